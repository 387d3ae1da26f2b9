/**
 * Builds a key index from the tree of its drive: a walk in a fixed order, gently, that can go on where it stopped. What is
 * changed during a step is known better by who changed it: such keys are left out of the step. Errors of the drive end it.
 */
import { compareKeys } from "../core/key-order.ts";
import type { TableChange } from "../sys/ordered-table.ts";
import type { DriveError, DriveOutcome, KeyState, ObjectPath } from "./drive.ts";
import { rowOfBytes } from "./index-row.ts";
import type { SummaryCache } from "./version-summary.ts";
import { XlMeta } from "./xl-meta.ts";
import { FormatError } from "../core/format-error.ts";

const LOOKS_AT_ONCE = 32;

/** What is read of the drive. */
export interface Tree {
  buckets(): Promise<DriveOutcome<readonly string[]>>;
  /** Names of the directories below; none if there is no such directory. */
  directories(bucket: string, path: string): Promise<DriveOutcome<readonly string[]>>;
  look(key: ObjectPath): Promise<DriveOutcome<{ readonly state: KeyState; readonly directories: readonly string[] }>>;
}
export interface BuildOptions {
  readonly tree: Tree;
  readonly summaries: SummaryCache;
  /** Rows of one step are made between `begin` and `end`: whoever changes a key meanwhile is heard. */
  begin(): void;
  end(rows: readonly TableChange[], position: string): Promise<void>;
  /** Where an earlier build stopped; "" = at the beginning. */
  readonly position: string;
  readonly signal: AbortSignal;
}

/** Thrown by the walk when the drive fails; the build goes on later from its position. */
export class TreeFailed extends Error {
  constructor(readonly error: DriveError) {
    super(error.message);
  }
}

/** Walks the whole tree; resolves at its end. Throws TreeFailed, and on abort. */
export async function buildIndex(options: BuildOptions): Promise<void> {
  const at = options.position.indexOf("/");
  const doneBucket = at < 0 ? options.position : options.position.slice(0, at);
  const donePath = at < 0 ? "" : options.position.slice(at + 1);
  const buckets = [...demand(await options.tree.buckets())].sort(compareKeys);
  for (const bucket of buckets) {
    const order = compareKeys(bucket, doneBucket);
    if (order < 0) continue;
    const names = demand(await options.tree.directories(bucket, ""));
    await walk(options, bucket, { base: "", names, done: order === 0 ? donePath.split("/").filter(Boolean) : [] });
  }
}

interface Level {
  /** "" or ending with a slash. */
  readonly base: string;
  readonly names: readonly string[];
  /** Components below `base` of the path that is done, with what comes before it; none = nothing is. */
  readonly done: readonly string[];
}

/** Depth first: the names of a directory in order, what lies below each before the next. */
async function walk(options: BuildOptions, bucket: string, level: Level): Promise<void> {
  const { base, done } = level;
  const [reached] = done;
  const names = [...level.names]
    .sort(compareKeys)
    .filter((name) => reached === undefined || compareKeys(name, reached) >= 0);
  for (let from = 0; from < names.length; from += LOOKS_AT_ONCE) {
    options.signal.throwIfAborted();
    const group = names.slice(from, from + LOOKS_AT_ONCE);
    options.begin();
    const looks = await Promise.all(group.map((name) => options.tree.look({ bucket, path: base + name })));
    const rows: TableChange[] = [];
    const below: (readonly string[])[] = [];
    for (const [i, look] of looks.entries()) {
      const { state, directories } = demand(look);
      const key = { bucket, path: base + (group[i] as string) };
      if (state.meta !== null) rows.push(rowOfBytes(key, state.meta, state.stamp, options.summaries));
      below.push(withoutDataDirs(directories, state.meta));
    }
    // The keys of this step lie in several places of the walk's order: until those below are done, the first is not.
    const before = group[0] as string;
    await options.end(rows, `${bucket}/${base}${before}`);
    for (const [i, directories] of below.entries()) {
      if (directories.length === 0) continue;
      const name = group[i] as string;
      await walk(options, bucket, {
        base: `${base}${name}/`,
        names: directories,
        done: name === reached ? done.slice(1) : [],
      });
    }
  }
}

function withoutDataDirs(directories: readonly string[], meta: Uint8Array | null): readonly string[] {
  if (directories.length === 0 || meta === null) return directories;
  try {
    const own = XlMeta.decode(meta).dataDirs();
    return directories.filter((name) => !own.has(name));
  } catch (error) {
    if (error instanceof FormatError) return directories;
    throw error;
  }
}

function demand<T>(outcome: DriveOutcome<T>): T {
  if (!outcome.ok) throw new TreeFailed(outcome.error);
  return outcome.value;
}
