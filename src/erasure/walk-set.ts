/**
 * walkSet: every directory below one of a bucket, on all drives of a set together: what one drive lost, another shows. In a
 * fixed order, parents first, so that a walk goes on after the path where it stopped. Never writes.
 */
import { FormatError } from "../core/format-error.ts";
import { compareKeys } from "../core/key-order.ts";
import { QuorumError } from "../core/quorum-error.ts";
import type { ObjectPath } from "../storage/drive.ts";
import { XlMeta } from "../storage/xl-meta.ts";
import type { ErasureSet } from "./erasure-set.ts";

export interface DriveLook {
  readonly directories: readonly string[];
  /** Data directories that its xl.meta, or the one before, names; null = it has none that can be read. */
  readonly named: ReadonlySet<string> | null;
  readonly hasMeta: boolean;
  readonly inDoubt: boolean;
}
export interface Visit {
  readonly key: ObjectPath;
  /** Some drive has an xl.meta here. */
  readonly isObject: boolean;
  /** By position; null = no answer. */
  readonly looks: readonly (DriveLook | null)[];
}
export interface WalkOptions {
  readonly bucket: string;
  /** The directory to begin with; "" = the bucket. */
  readonly directory: string;
  /** The last path of an earlier walk; "" = from the beginning. */
  readonly after: string;
  /** Before each look at a directory. */
  readonly pace: () => Promise<void>;
}

/** Throws QuorumError when no drive lists a directory. */
export async function* walkSet(set: ErasureSet, options: WalkOptions): AsyncGenerator<Visit> {
  const base = options.directory === "" ? "" : `${options.directory}/`;
  const done = options.after.startsWith(base) ? options.after.slice(base.length).split("/").filter(Boolean) : [];
  yield* below(set, options, { directory: options.directory, done });
}

async function* below(
  set: ErasureSet,
  options: WalkOptions,
  at: { readonly directory: string; readonly done: readonly string[] },
): AsyncGenerator<Visit> {
  const base = at.directory === "" ? "" : `${at.directory}/`;
  const [first, ...rest] = at.done;
  for (const name of await namesIn(set, options.bucket, at.directory)) {
    const order = first === undefined ? 1 : compareKeys(name, first);
    if (order < 0) continue;
    await options.pace();
    const key = { bucket: options.bucket, path: base + name };
    const looks = await lookAt(set, key);
    const visit = { key, isObject: looks.some((look) => look?.hasMeta === true), looks };
    if (order > 0) yield visit;
    if (hasMoreBelow(visit)) yield* below(set, options, { directory: key.path, done: order === 0 ? rest : [] });
  }
}

/** Directories other than those of the versions' data. */
function hasMoreBelow({ looks }: Visit): boolean {
  const named = new Set(looks.flatMap((look) => [...(look?.named ?? [])]));
  return looks.some((look) => look?.directories.some((name) => !named.has(name)) === true);
}

/** Directory names on any drive. One drive that lists is enough to go on: what it lacks, the others tell. */
export async function namesIn(set: ErasureSet, bucket: string, directory: string): Promise<readonly string[]> {
  const outcomes = await set.each((drive) => drive.readDirectory(bucket, directory));
  const names = new Set<string>();
  let answers = 0;
  for (const outcome of outcomes) {
    if (!outcome.ok && outcome.error.code !== "NotFound") continue;
    answers++;
    if (outcome.ok) for (const entry of outcome.value) if (entry.isDirectory) names.add(entry.name);
  }
  if (answers === 0)
    throw new QuorumError("ReadQuorum", `no drive of set ${set.setIndex} lists ${bucket}/${directory}`, { answers });
  return [...names].sort(compareKeys);
}

export async function lookAt(set: ErasureSet, key: ObjectPath): Promise<readonly (DriveLook | null)[]> {
  const outcomes = await set.each((drive) => drive.look(key));
  return outcomes.map((outcome) => {
    if (!outcome.ok) return null;
    const { state, directories } = outcome.value;
    const metas = state.prev === null ? [state.meta] : [state.meta, state.prev.meta];
    const named = metas.map(dataDirsOf);
    return {
      directories,
      named: named.includes(null) ? null : new Set(named.flatMap((dirs) => [...(dirs ?? [])])),
      hasMeta: state.meta !== null,
      inDoubt: state.prev !== null,
    };
  });
}

function dataDirsOf(meta: Uint8Array | null): ReadonlySet<string> | null {
  if (meta === null) return new Set();
  try {
    return XlMeta.decode(meta).dataDirs();
  } catch (error) {
    if (error instanceof FormatError) return null;
    throw error;
  }
}
