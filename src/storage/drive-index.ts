/**
 * DriveIndex: the life of the key index of one drive. Opened when it holds everything, else built from the tree in the
 * background while listings walk; built anew when it cannot be written or is damaged.
 *
 * A mark in the drive's `.minio.sys/tmp` says that the index speaks of this tree: "clean" after a clean stop, "open" while
 * we run. A MinIO server empties that folder when it starts, so that an index that missed its writes is never believed.
 */
import type { Clock } from "../sys/clock.ts";
import { type Disk, Ignore, step } from "../sys/disk.ts";
import { type TableChange, TableError, type Tables } from "../sys/ordered-table.ts";
import type { CommitSink } from "./commit-sink.ts";
import type { ObjectPath, Stamp } from "./drive.ts";
import { buildIndex, type Tree, TreeFailed } from "./index-build.ts";
import { type IndexListRequest, type IndexPage, listIndex } from "./index-list.ts";
import { indexRow, unreadableRow } from "./index-row.ts";
import { KeyIndex } from "./key-index.ts";
import { decodeKey, SYSTEM_BUCKET } from "./paths.ts";
import type { BucketUsage } from "./usage.ts";
import type { SummaryCache } from "./version-summary.ts";
import type { XlMeta } from "./xl-meta.ts";

const RETRY_MS = 30_000;
/** Of the time that a step of a build took it rests as much, and at least a moment, so that clients come first. */
const REST_SHARE = 0.25;
const REST_MS_MIN = 1;
const COMPLETE = "complete";
const BUILT_TO = "built-to";
const IDENTITY = "identity";

export interface IndexOptions {
  readonly tables: Tables;
  readonly clock: Clock;
  /** One for all drives: a version lies on several. */
  readonly summaries: SummaryCache;
  readonly warn: (message: string) => void;
}
export interface DriveIndexOptions extends IndexOptions {
  readonly disk: Disk;
  readonly root: string;
  readonly endpoint: string;
  readonly newIdentity: () => string;
  readonly tree: Tree;
}

export class DriveIndex implements CommitSink {
  private index: KeyIndex | null = null;
  private isComplete = false;
  private mark = "";
  private isBegun = false;
  private lastSequence = 0;
  /** Keys changed during a step of the build; null = no step is under way. */
  private touched: Set<string> | null = null;
  private readonly stopping = new AbortController();
  private building: Promise<void> = Promise.resolve();
  private isBuilding = false;
  private lost: KeyIndex | null = null;

  constructor(private readonly options: DriveIndexOptions) {}

  /** Before `.minio.sys/tmp` is put away: does an index there speak of this tree? Then `retold`, and after it `begin`. */
  async readMark(): Promise<void> {
    const buffer = new Uint8Array(new ArrayBuffer(256));
    const { error, results } = await this.options.disk.run([step.readFile(this.markPath, buffer)], true);
    this.mark = error === 0 ? Buffer.from(buffer.subarray(0, results[0])).toString("utf8") : "";
  }

  /** Opens the index if the mark vouches for it: one that a crash left is as good where what it missed is told again. */
  async retold(first: number | null): Promise<void> {
    this.index = await this.openMarked(this.mark, first).catch((error: unknown) => this.unusable(error));
    if (this.index === null) return;
    this.lastSequence = Number(this.index.position());
    this.isComplete = this.index.getNote(COMPLETE) === "yes";
  }

  /** All was told: listings use the index, or one is built; they will as soon as it is complete. */
  async begin(): Promise<void> {
    this.isBegun = true;
    await this.writeMark("open");
    if (!this.isComplete) this.startBuilding();
  }

  /** Writes what is in memory, and the mark that lets the next start believe it. */
  async close(): Promise<void> {
    this.stopping.abort(new Error("the drive is closed"));
    await this.building;
    const { index } = this;
    this.index = null;
    try {
      await this.putAwayLost();
      if (index === null) return;
      await index.sync();
      await this.writeMarkOf(index, "clean");
      await index.close();
    } catch (error) {
      this.unusable(error);
    }
  }

  /** Resolves when no build is under way. */
  async settled(): Promise<void> {
    await this.building;
  }

  // ---- changes: CommitSink

  get after(): number {
    return this.lastSequence;
  }

  async keep(sequence: number): Promise<void> {
    this.lastSequence = Math.max(this.lastSequence, sequence);
    const { index } = this;
    if (index === null) return;
    try {
      index.note([], BigInt(this.lastSequence));
      await index.flushed();
    } catch (error) {
      if (this.index === index) this.lose(error);
    }
  }

  giveUp(why: string): void {
    if (this.index !== null) this.lose(new TableError("Io", why));
  }

  changed(sequence: number, key: ObjectPath, meta: XlMeta | null | "unreadable", stamp: Stamp): void {
    this.lastSequence = sequence;
    if (key.bucket === SYSTEM_BUCKET) return;
    this.touched?.add(`${key.bucket}/${decodeKey(key.path)}`);
    const row = meta === "unreadable" ? unreadableRow(key, stamp) : indexRow(key, meta, stamp, this.options.summaries);
    this.index?.note([row], BigInt(sequence));
  }

  dropped(sequence: number, bucket: string): void {
    this.lastSequence = sequence;
    this.index?.dropBucket(bucket);
    this.index?.note([], BigInt(sequence));
  }

  room(): Promise<void> | null {
    return this.index?.room() ?? null;
  }

  // ---- questions; null = no complete index

  /** `doubts`: what they are, at the moment of the page. */
  list(request: IndexListRequest, doubts: () => readonly string[]): Promise<IndexPage | null> {
    return this.consult((index) => listIndex(index, request, doubts()));
  }

  async usage(bucket: string): Promise<BucketUsage | null> {
    try {
      return this.isComplete && this.index !== null ? await this.index.usage(bucket) : null;
    } catch (error) {
      this.lose(error);
      return null;
    }
  }

  /** A question about one moment, which may be asked again from its start (KeyIndex.read); null = no complete index. */
  async consult<T>(question: (index: KeyIndex) => T): Promise<T | null> {
    const { index } = this;
    if (!this.isComplete || index === null) return null;
    try {
      const answer = await index.read(() => question(index));
      return this.index === index ? answer : null;
    } catch (error) {
      if (this.index === index || !(error instanceof TableError)) this.lose(error);
      return null;
    }
  }

  get summaries(): SummaryCache {
    return this.options.summaries;
  }

  /**
   * Puts rows right that say something else than the drive. `find` looks at the drive and tells what rows should be, `isWrong`
   * which of them are not so; keys that somebody changed meanwhile are left alone. How many were wrong; null = cannot be told now.
   */
  async putRight(
    find: () => Promise<readonly TableChange[]>,
    wrongOf: (index: KeyIndex, rows: readonly TableChange[]) => readonly TableChange[],
  ): Promise<number | null> {
    const { index } = this;
    if (!this.isComplete || index === null || this.touched !== null) return null;
    const touched = new Set<string>();
    this.touched = touched;
    try {
      const rows = (await find()).filter((row) => !touched.has(`${row.group}/${row.key}`));
      if (this.index !== index || !this.isComplete) return null;
      const wrong = await index.read(() => wrongOf(index, rows));
      if (this.index !== index) return null;
      const still = wrong.filter((row) => !touched.has(`${row.group}/${row.key}`));
      index.found(still);
      return still.length;
    } catch (error) {
      if (!(error instanceof TableError)) throw error;
      if (this.index === index) this.lose(error);
      return null;
    } finally {
      if (this.touched === touched) this.touched = null;
    }
  }

  /** Reads the whole file; false = it is damaged, and another one is being built. */
  async check(): Promise<boolean> {
    const { index } = this;
    if (!this.isComplete || index === null || (await index.check())) return true;
    if (this.index === index) this.lose(new TableError("Damaged", "its file is not as it was written"));
    return false;
  }

  // ---- life

  private get path(): string {
    return `${this.options.root}/${SYSTEM_BUCKET}/sherd/index.db`;
  }
  private get markPath(): string {
    return `${this.options.root}/${SYSTEM_BUCKET}/tmp/sherd-index`;
  }

  private async openMarked(mark: string, retold: number | null): Promise<KeyIndex | null> {
    const { tables, clock } = this.options;
    const opened = await KeyIndex.open(tables, this.path, (error) => this.lose(error), clock);
    if (opened === "absent") return null;
    if (opened === "damaged") {
      this.options.warn(`${this.options.endpoint}: the key index is damaged and is built anew`);
      return null;
    }
    const identity = opened.getNote(IDENTITY);
    if (mark === `${identity} clean`) return opened;
    if (mark === `${identity} open` && retold !== null && opened.position() + 1n >= BigInt(retold)) return opened;
    await opened.close();
    return null;
  }

  private async writeMark(state: "open" | "clean"): Promise<void> {
    if (this.index !== null) await this.writeMarkOf(this.index, state);
  }

  private async writeMarkOf(index: KeyIndex, state: "open" | "clean"): Promise<void> {
    const text = new TextEncoder().encode(`${index.getNote(IDENTITY)} ${state}`);
    const { error } = await this.options.disk.run([
      step.unlink(this.markPath, Ignore.enoent),
      step.writeFile(this.markPath, text, { exclusive: true, sync: true }),
    ]);
    if (error !== 0)
      this.options.warn(`${this.options.endpoint}: the mark of the key index is not written (errno ${error})`);
  }

  /** The index is of no use any more: walk, and build another. */
  private lose(error: unknown): void {
    this.unusable(error);
    if (this.index === null) return;
    this.lost = this.index;
    this.index = null;
    this.isComplete = false;
    this.startBuilding();
  }

  private unusable(error: unknown): null {
    if (!(error instanceof TableError)) throw error;
    this.options.warn(`${this.options.endpoint}: the key index cannot be used: ${error.message}`);
    return null;
  }

  private startBuilding(): void {
    if (!this.isBegun || this.isBuilding || this.stopping.signal.aborted) return;
    this.isBuilding = true;
    this.building = this.build().finally(() => {
      this.isBuilding = false;
    });
  }

  /** Until the index is complete: again from where it stopped when the drive fails, anew when the table does. */
  private async build(): Promise<void> {
    const { signal } = this.stopping;
    while (!signal.aborted) {
      try {
        await this.putAwayLost();
        await this.buildOnce();
        if (this.isComplete) return;
      } catch (error) {
        if (signal.aborted) return;
        if (error instanceof TreeFailed) this.options.warn(`${this.options.endpoint}: key index: ${error.message}`);
        else this.unusable(error);
        await this.rest(RETRY_MS);
      }
    }
  }

  private async putAwayLost(): Promise<void> {
    const { lost } = this;
    this.lost = null;
    await lost?.close();
  }

  private async buildOnce(): Promise<void> {
    const index = (this.index ??= await this.create());
    let startedMs = this.options.clock.elapsedMs();
    await buildIndex({
      tree: this.options.tree,
      summaries: this.options.summaries,
      position: index.getNote(BUILT_TO) ?? "",
      signal: this.stopping.signal,
      begin: () => {
        this.touched = new Set();
        startedMs = this.options.clock.elapsedMs();
      },
      end: async (rows, position) => {
        const touched = this.touched ?? new Set<string>();
        this.touched = null;
        if (this.index !== index) throw new TableError("Io", "the key index was lost while it was built");
        index.found(rows.filter((row: TableChange) => !touched.has(`${row.group}/${row.key}`)));
        index.setNote(BUILT_TO, position);
        await index.room();
        await this.rest(Math.max(REST_MS_MIN, (this.options.clock.elapsedMs() - startedMs) * REST_SHARE));
      },
    });
    index.setNote(COMPLETE, "yes");
    await index.flushed();
    if (this.index === index) this.isComplete = true;
  }

  private async create(): Promise<KeyIndex> {
    const { tables, clock } = this.options;
    const made = await KeyIndex.create(tables, this.path, (error) => this.lose(error), clock);
    made.note([], BigInt(this.lastSequence));
    made.setNote(IDENTITY, this.options.newIdentity());
    this.index = made;
    await this.writeMark("open");
    return made;
  }

  private async rest(ms: number): Promise<void> {
    try {
      await this.options.clock.sleep(ms, this.stopping.signal);
    } catch (error) {
      if (!this.stopping.signal.aborted) throw error;
    }
  }
}
