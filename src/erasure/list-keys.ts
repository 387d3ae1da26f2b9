/**
 * Listing without an index: a walk over the directories of all sets, merged, in the byte order of keys. A directory with
 * an xl.meta is an object and may hold further keys below it. Enough drives of each set are asked to see every committed
 * key. One page at a time; nothing is kept between pages, so a page is correct however old its marker is.
 */
import type { Cancellation } from "../core/cancellation.ts";
import { compareKeys } from "../core/key-order.ts";
import type { DriveOutcome, KeyState, ObjectPath } from "../storage/drive.ts";
import { askDrives } from "./ask-drives.ts";
import type { ErasureSet } from "./erasure-set.ts";
import { QuorumError } from "../core/quorum-error.ts";
import { type KeyReading, readKey } from "./read-version.ts";

const LOOK_AHEAD = 64;
/** Sorts after every key that starts with what stands before it. */
export const AFTER_ALL = "\u{10FFFF}";
const DIRECTORY_SUFFIX = "__XLDIR__";

export interface WalkedKey {
  readonly key: string;
  /** One reading for each pool. */
  readonly readings: readonly KeyReading[];
}
export interface WalkCursor {
  /** Keys up to here are skipped; the reader of the walk may move it forward at any time. */
  after: string;
  /** Also yield `after` itself. */
  inclusive: boolean;
}
export interface WalkOptions {
  /** The set of a path in every pool. */
  setsOf(path: string): readonly ErasureSet[];
  readonly allSets: readonly ErasureSet[];
  readonly bucket: string;
  readonly prefix: string;
  readonly signal: Cancellation;
}

interface Look {
  readonly readings: readonly KeyReading[];
  readonly directories: ReadonlySet<string>;
}

export async function* walkKeys(options: WalkOptions, cursor: WalkCursor): AsyncGenerator<WalkedKey> {
  const slash = options.prefix.lastIndexOf("/");
  const directory = slash < 0 ? "" : options.prefix.slice(0, slash);
  const names = await namesIn(options, directory);
  // "a/" itself is the object "a__XLDIR__" in the parent; when the prefix ends inside "a/", it belongs to this page too.
  if (slash >= 0 && options.prefix === `${directory}/`) {
    const look = await lookAt(options, `${directory}${DIRECTORY_SUFFIX}`);
    if (wanted(cursor, options.prefix) && holdsVersions(look)) yield { key: options.prefix, readings: look.readings };
  }
  yield* walkNames(options, cursor, directory === "" ? "" : `${directory}/`, names);
}

function wanted(cursor: WalkCursor, key: string): boolean {
  const order = compareKeys(key, cursor.after);
  return order > 0 || (order === 0 && cursor.inclusive);
}

function holdsVersions(look: Look): boolean {
  return look.readings.some((r) => r.merged.versions.length > 0);
}

interface Item {
  readonly sort: string;
  readonly name: string;
  readonly below: boolean;
}

async function* walkNames(
  options: WalkOptions,
  cursor: WalkCursor,
  base: string,
  names: Iterable<string>,
): AsyncGenerator<WalkedKey> {
  const items: Item[] = [];
  for (const name of names) {
    if (name.endsWith(DIRECTORY_SUFFIX))
      items.push({ sort: `${base}${name.slice(0, -DIRECTORY_SUFFIX.length)}/`, name, below: false });
    else items.push({ sort: base + name, name, below: false }, { sort: `${base}${name}/`, name, below: true });
  }
  const visible = items.filter((item) =>
    item.below ? overlaps(item.sort, options.prefix) : item.sort.startsWith(options.prefix),
  );
  visible.sort((a, b) => compareKeys(a.sort, b.sort) || Number(a.below) - Number(b.below));
  const looks = new LookAhead(options, base, visible, cursor);
  for (const [i, item] of visible.entries()) {
    options.signal.throwIfAborted();
    if (cursor.after === base + AFTER_ALL) return;
    if (skips(cursor, item)) continue;
    const look = await looks.get(i);
    if (!item.below) {
      if (holdsVersions(look) && wanted(cursor, item.sort)) yield { key: item.sort, readings: look.readings };
    } else if (look.directories.size > 0) yield* walkNames(options, cursor, item.sort, look.directories);
    if (item.below) looks.drop(item.name);
  }
}

function overlaps(directory: string, prefix: string): boolean {
  return directory.startsWith(prefix) || prefix.startsWith(directory);
}

function skips(cursor: WalkCursor, item: Item): boolean {
  if (cursor.after === "") return false;
  if (!item.below) return !wanted(cursor, item.sort);
  if (cursor.after === item.sort + AFTER_ALL) return true;
  return compareKeys(item.sort, cursor.after) <= 0 && !cursor.after.startsWith(item.sort);
}

/** Looks at the next names of a directory before they are needed, a bounded number at a time. */
class LookAhead {
  private readonly looks = new Map<string, Promise<Look>>();
  private reach = 0;

  constructor(
    private readonly options: WalkOptions,
    private readonly base: string,
    private readonly items: readonly Item[],
    private readonly cursor: WalkCursor,
  ) {}

  async get(index: number): Promise<Look> {
    this.reach = Math.max(this.reach, index);
    while (this.reach < this.items.length && this.looks.size < LOOK_AHEAD) {
      const item = this.items[this.reach++] as Item;
      if (!skips(this.cursor, item)) this.looks.set(item.name, this.start(item.name));
    }
    return await this.start((this.items[index] as Item).name);
  }

  drop(name: string): void {
    this.looks.delete(name);
  }

  private start(name: string): Promise<Look> {
    let look = this.looks.get(name);
    if (look === undefined) {
      // What lies behind the current item is not needed any more, except a directory that is still to be entered.
      if (this.looks.size >= LOOK_AHEAD * 2) this.looks.delete(this.looks.keys().next().value as string);
      look = lookAt(this.options, this.base + name);
      look.then(nothing, nothing); // awaited when its turn comes; until then a failure is not "unhandled"
      this.looks.set(name, look);
    }
    return look;
  }
}
function nothing(): void {
  /* deliberately nothing */
}

async function lookAt(options: WalkOptions, path: string): Promise<Look> {
  const directories = new Set<string>();
  const key: ObjectPath = { bucket: options.bucket, path };
  const own = options.setsOf(path);
  const readings = await Promise.all(
    own.map((set) =>
      readKey(set, key, false, async (drive): Promise<DriveOutcome<KeyState>> => {
        const answer = await drive.look(key);
        if (!answer.ok) return answer;
        for (const name of answer.value.directories) directories.add(name);
        return { ok: true, value: answer.value.state };
      }),
    ),
  );
  // Keys below this one may lie in other sets: their directories are seen only there.
  for (const set of options.allSets) {
    if (own.includes(set)) continue;
    for (const name of await namesOnSet(set, options.bucket, path)) directories.add(name);
  }
  for (const reading of readings)
    for (const meta of reading.metas) for (const dir of meta?.dataDirs() ?? []) directories.delete(dir);
  return { readings, directories };
}

async function namesIn(options: WalkOptions, directory: string): Promise<Set<string>> {
  const names = new Set<string>();
  await Promise.all(
    options.allSets.map(async (set) => {
      for (const name of await namesOnSet(set, options.bucket, directory)) names.add(name);
    }),
  );
  return names;
}

/** Directory names on enough drives of a set to see every committed key. */
async function namesOnSet(set: ErasureSet, bucket: string, path: string): Promise<Set<string>> {
  const need = Math.max(1, set.size - Math.floor(set.size / 2));
  const listed = await askDrives(set, {
    needed: need,
    ofAll: false,
    ask: (drive) => drive.readDirectory(bucket, path),
    told: (outcome) => (outcome.ok ? outcome.value : outcome.error.code === "NotFound" ? [] : null),
  });
  const answers = listed.length;
  if (answers < need)
    throw new QuorumError("ReadQuorum", `${answers} of ${need} needed drives list ${bucket}/${path}`, {
      answers,
      needed: need,
    });
  const names = new Set<string>();
  for (const entries of listed) for (const { name, isDirectory } of entries) if (isDirectory) names.add(name);
  return names;
}
