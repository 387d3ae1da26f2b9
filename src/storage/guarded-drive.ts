/**
 * GuardedDrive: a Drive with deadlines and health. A metadata call that does not answer in time is a Timeout outcome (of a
 * commit: unknown, which the protocol knows). One that holds the caller's buffers is given up too, but tells when the drive
 * lets them go (DriveError.letsGo): until then they are not the caller's. A drive that hangs or keeps failing is taken out of use and answers
 * Faulty at once; a probe brings it back. In-flight calls are capped, so that a slow drive cannot pile up work.
 */
import { DeadlineWatch, type Watched } from "../core/deadline-watch.ts";
import { bad, isAnswered } from "../core/fan-out.ts";
import type { Clock } from "../sys/clock.ts";
import {
  type Change,
  type CommitAnswer,
  type CommitTerms,
  type CommitWaiter,
  type DirectoryEntry,
  type Drive,
  DriveError,
  type DriveOutcome,
  type DriveSpace,
  type DriveState,
  type FenceAnswer,
  type Frame,
  type KeyState,
  type ObjectPath,
  type PartNumbers,
  type ShardFile,
  type ShardWriter,
  type Stamp,
} from "./drive.ts";
import type { DriveUpkeep } from "./drive-upkeep.ts";
import type { IndexListRequest, IndexPage } from "./index-list.ts";
import type { BucketUsage } from "./usage.ts";

const DEADLINE_MS = 30_000;
const SUSPECT_AFTER = 3;
const FAULTY_AFTER = 8;
const PROBE_MS = 5_000;
const IN_FLIGHT_MAX = 1_024;

export interface GuardOptions {
  readonly clock: Clock;
  readonly deadlineMs?: number;
  readonly probeMs?: number;
  readonly inFlightMax?: number;
  readonly onState: (endpoint: string, state: DriveState) => void;
}

export class GuardedDrive implements Drive {
  readonly upkeep: DriveUpkeep;
  private health: DriveState = "ok";
  private failures = 0;
  private inFlight = 0;
  private readonly deadlineMs: number;
  private readonly watch: DeadlineWatch;

  constructor(
    private readonly inner: Drive,
    private readonly options: GuardOptions,
  ) {
    this.deadlineMs = options.deadlineMs ?? DEADLINE_MS;
    this.watch = new DeadlineWatch((ms, run) => options.clock.after(ms, run), this.deadlineMs);
    this.upkeep = this.guarded(inner.upkeep);
  }

  private guarded(upkeep: DriveUpkeep): DriveUpkeep {
    return {
      readNote: (name) => this.refused() ?? this.timed("read a note", upkeep.readNote(name)),
      writeNote: (name, bytes, isUrgent) =>
        this.refused() ?? this.timed("write a note", upkeep.writeNote(name, bytes, isUrgent)),
      noteNames: (folder) => this.refused() ?? this.timed("list notes", upkeep.noteNames(folder)),
      indexRange: (asked, withRows) => this.refused() ?? this.timed("compare keys", upkeep.indexRange(asked, withRows)),
      verifyIndex: (bucket, after, limit) => this.unhurried(() => upkeep.verifyIndex(bucket, after, limit)),
      indexMissing: (bucket, paths) => this.unhurried(() => upkeep.indexMissing(bucket, paths)),
      checkIndex: () => upkeep.checkIndex(), // as long as it takes to read the file, in a thread of its own
      dataDirectory: (key, name) => this.refused() ?? this.timed("look at data", upkeep.dataDirectory(key, name)),
      discardData: (key, name) => this.unhurried(() => upkeep.discardData(key, name)),
      sweepStaging: (since) => this.unhurried(() => upkeep.sweepStaging(since)),
      quarantine: (version) => this.unhurried(() => upkeep.quarantine(version)),
      quarantined: () => this.unhurried(() => upkeep.quarantined()),
      quarantinedIds: () => this.refused() ?? this.timed("list quarantine", upkeep.quarantinedIds()),
      stageQuarantined: (version, op) => this.unhurried(() => upkeep.stageQuarantined(version, op)),
      dropQuarantined: (id) => this.unhurried(() => upkeep.dropQuarantined(id)),
    };
  }

  get id(): string {
    return this.inner.id;
  }
  get endpoint(): string {
    return this.inner.endpoint;
  }
  get state(): DriveState {
    return this.health === "ok" ? this.inner.state : this.health;
  }
  doubts(): readonly ObjectPath[] {
    return this.inner.doubts();
  }

  space(): Promise<DriveOutcome<DriveSpace>> {
    return this.refused() ?? this.timed("space", this.inner.space());
  }
  makeBucket(bucket: string): Promise<DriveOutcome<void>> {
    return this.refused() ?? this.timed("make bucket", this.inner.makeBucket(bucket));
  }
  removeBucket(bucket: string): Promise<DriveOutcome<void>> {
    return this.unhurried(() => this.inner.removeBucket(bucket)); // walks the bucket: as long as it takes
  }
  listBuckets(): Promise<DriveOutcome<readonly { readonly name: string; readonly createdNs: bigint }[]>> {
    return this.refused() ?? this.timed("list buckets", this.inner.listBuckets());
  }
  async stage(op: string, dataDir: string, part: number): Promise<DriveOutcome<ShardWriter>> {
    const refusal = this.refusal();
    if (refusal !== null) return bad(refusal);
    const opening = this.run(() => this.inner.stage(op, dataDir, part));
    const writer = await this.held(() => opening, true);
    if (!writer.ok && writer.error.letsGo !== null)
      opening.then((late) => (late.ok ? late.value.abort() : undefined), this.broken); // nobody waits for it any more
    if (!writer.ok) return writer;
    const { value } = writer;
    return {
      ok: true,
      value: {
        append: (region, lead) => this.held(() => value.append(region, lead)),
        close: () => this.held(() => value.close()),
        abort: () => this.aborted(value),
      },
    };
  }
  stageWhole(op: string, dataDir: string, part: number, bytes: Uint8Array): Promise<DriveOutcome<void>> {
    return this.held(() => this.inner.stageWhole(op, dataDir, part, bytes));
  }
  unstage(op: string): Promise<DriveOutcome<void>> {
    return this.refused() ?? this.timed("unstage", this.inner.unstage(op));
  }
  read(key: ObjectPath): Promise<DriveOutcome<KeyState>> {
    return this.refused() ?? this.timed("read", this.inner.read(key));
  }
  readNow(key: ObjectPath): KeyState | null {
    if (this.state !== "ok") return null;
    const state = this.inner.readNow(key);
    if (state !== null) this.judge(null);
    return state;
  }
  copyNow(key: ObjectPath, into: Uint8Array): number {
    if (this.state !== "ok") return -1;
    const bytes = this.inner.copyNow(key, into);
    if (bytes > 0) this.judge(null);
    return bytes;
  }
  commit(key: ObjectPath, change: Change, terms: CommitTerms): Promise<DriveOutcome<CommitAnswer>> {
    return this.refused() ?? this.timed("commit", this.inner.commit(key, change, terms));
  }
  commitNow(key: ObjectPath, change: Change, terms: CommitTerms, waiter: CommitWaiter): boolean {
    if (this.refusal() !== null) return false;
    const call = new GuardedCommit(this, waiter);
    if (!this.inner.commitNow(key, change, terms, call)) return false;
    this.inFlight++;
    this.watch.watch(call);
    return true;
  }
  settle(key: ObjectPath, stamp: Stamp): Promise<DriveOutcome<void>> {
    return this.refused() ?? this.timed("settle", this.inner.settle(key, stamp));
  }
  fence(key: ObjectPath, stamp: Stamp): Promise<DriveOutcome<FenceAnswer>> {
    return this.refused() ?? this.timed("fence", this.inner.fence(key, stamp));
  }
  restore(key: ObjectPath, stamp: Stamp, expect: Stamp): Promise<DriveOutcome<boolean>> {
    return this.refused() ?? this.timed("restore", this.inner.restore(key, stamp, expect));
  }
  help(key: ObjectPath, fence: Stamp, stamp: Stamp, change: Change): Promise<DriveOutcome<boolean>> {
    return this.refused() ?? this.timed("help", this.inner.help(key, fence, stamp, change));
  }
  readFrames(file: ShardFile, frames: readonly Frame[]): Promise<DriveOutcome<void>> {
    return this.held(() => this.inner.readFrames(file, frames));
  }
  shardSize(file: ShardFile): Promise<DriveOutcome<number | null>> {
    return this.refused() ?? this.timed("stat", this.inner.shardSize(file));
  }
  list(request: IndexListRequest): Promise<DriveOutcome<IndexPage | null>> {
    return this.refused() ?? this.timed("list keys", this.inner.list(request));
  }
  usage(bucket: string): Promise<DriveOutcome<BucketUsage | null>> {
    return this.refused() ?? this.timed("usage", this.inner.usage(bucket));
  }
  readDirectory(bucket: string, path: string): Promise<DriveOutcome<readonly DirectoryEntry[]>> {
    return this.refused() ?? this.timed("list", this.inner.readDirectory(bucket, path));
  }
  look(key: ObjectPath): Promise<DriveOutcome<{ readonly state: KeyState; readonly directories: readonly string[] }>> {
    return this.refused() ?? this.timed("look", this.inner.look(key));
  }
  readParts(
    uploadPath: string,
    dataDir: string,
    only?: PartNumbers,
  ): Promise<DriveOutcome<ReadonlyMap<number, Uint8Array>>> {
    return this.refused() ?? this.timed("read parts", this.inner.readParts(uploadPath, dataDir, only));
  }
  putPart(request: Parameters<Drive["putPart"]>[0]): Promise<DriveOutcome<void>> {
    return this.refused() ?? this.timed("put part", this.inner.putPart(request));
  }
  removeUpload(uploadPath: string): Promise<DriveOutcome<void>> {
    return this.refused() ?? this.timed("remove upload", this.inner.removeUpload(uploadPath));
  }

  /** A call without buffers of the caller's: it may be given up. What is answered at once, as from memory, needs no watch. */
  private timed<T>(what: string, answer: Promise<DriveOutcome<T>>): Promise<DriveOutcome<T>> {
    if (isAnswered(answer)) {
      const outcome = Bun.peek(answer) as DriveOutcome<T>;
      this.judge(outcome.ok ? null : outcome.error);
      return answer;
    }
    this.inFlight++;
    return new Promise((resolve) => {
      const call = this.watch.begin(() => resolve(this.hung(what)));
      answer.then((outcome) => {
        this.ended(call, outcome);
        resolve(outcome);
      }, this.broken);
    });
  }

  /** Of a call that may be given up: it did not answer in time. A drive that hangs is out at once. */
  hung(what: string): { readonly ok: false; readonly error: DriveError } {
    this.become("faulty");
    const words = `${this.endpoint}: ${what} did not answer in ${this.deadlineMs} ms`;
    return bad(new DriveError("Timeout", words, {}));
  }

  /** Of a call that may be given up: it answered, perhaps too late. */
  ended(call: Watched, outcome: DriveOutcome<unknown>): void {
    this.inFlight--;
    this.judge(outcome.ok ? null : outcome.error);
    this.watch.end(call);
  }

  /** A call that holds buffers of the caller's. `counted`: it is under way already. */
  private async held<T>(work: () => Promise<DriveOutcome<T>>, counted = false): Promise<DriveOutcome<T>> {
    const refusal = counted ? null : this.refusal();
    if (refusal !== null) return bad(refusal);
    const { promise, resolve } = Promise.withResolvers<DriveOutcome<T>>();
    const { deadlineMs } = this;
    const running = counted ? work() : this.run(work);
    const call = this.watch.begin(() => {
      this.become("faulty");
      const error = new DriveError("Timeout", `${this.endpoint}: data did not pass in ${deadlineMs} ms`);
      error.letsGo = running.then(() => undefined, this.broken);
      resolve(bad(error));
    });
    running.then((outcome) => {
      this.watch.end(call);
      resolve(outcome);
    }, this.broken);
    return await promise;
  }

  /** A drive that hangs closes its file when it can. */
  private async aborted(writer: ShardWriter): Promise<void> {
    const closing = writer.abort();
    if (this.health !== "faulty") await closing;
    else closing.then(undefined, this.broken);
  }

  /** A call that takes as long as it takes; the drive is out of use when it is far beyond the deadline. */
  private async unhurried<T>(work: () => Promise<DriveOutcome<T>>): Promise<DriveOutcome<T>> {
    const refusal = this.refusal();
    if (refusal !== null) return bad(refusal);
    const stop = this.options.clock.after(3 * this.deadlineMs, () => this.become("faulty"));
    try {
      return await this.run(work);
    } finally {
      stop();
    }
  }

  private async run<T>(work: () => Promise<DriveOutcome<T>>): Promise<DriveOutcome<T>> {
    this.inFlight++;
    try {
      const outcome = await work();
      this.judge(outcome.ok ? null : outcome.error);
      return outcome;
    } finally {
      this.inFlight--;
    }
  }

  /** Drives answer with values; what is thrown is a broken promise of our own. */
  private readonly broken = (error: unknown): never => {
    throw error;
  };

  /** The answer to a call that is not to begin; null = it may. */
  private refused(): Promise<{ readonly ok: false; readonly error: DriveError }> | null {
    const refusal = this.refusal();
    return refusal === null ? null : Promise.resolve(bad(refusal));
  }

  private refusal(): DriveError | null {
    if (this.health === "faulty")
      return new DriveError("Faulty", `${this.endpoint} is out of use until it answers again`);
    const max = this.options.inFlightMax ?? IN_FLIGHT_MAX;
    return this.inFlight < max
      ? null
      : new DriveError("Faulty", `${this.endpoint}: ${max} calls are under way already`);
  }

  private judge(error: DriveError | null): void {
    if (error?.code === "Faulty") {
      this.become("faulty"); // it is not there
      return;
    }
    if (error === null || (error.code !== "Io" && error.code !== "Timeout")) {
      this.failures = 0;
      if (this.health === "suspect") this.become("ok");
      return;
    }
    this.failures++;
    if (this.failures >= FAULTY_AFTER) this.become("faulty");
    else if (this.failures >= SUSPECT_AFTER && this.health === "ok") this.become("suspect");
  }

  private become(state: DriveState): void {
    if (this.health === state) return;
    this.health = state;
    this.options.onState(this.endpoint, state);
    if (state === "faulty") this.probeLater();
  }

  private probeLater(): void {
    this.options.clock.after(this.options.probeMs ?? PROBE_MS, () => {
      this.inner.space().then((outcome) => {
        this.failures = 0;
        if (outcome.ok) this.become("ok");
        else this.probeLater();
      }, this.broken);
    });
  }
}

/** A commit that a drive took at once: who asked is told its answer, or that it was late. */
class GuardedCommit implements CommitWaiter, Watched {
  ticks = 0;
  private isLate = false;

  constructor(
    private readonly guard: GuardedDrive,
    private readonly waiter: CommitWaiter,
  ) {}

  answered(outcome: DriveOutcome<CommitAnswer>): void {
    this.guard.ended(this, outcome);
    if (!this.isLate) this.waiter.answered(outcome);
  }

  late(): void {
    this.isLate = true;
    this.waiter.answered(this.guard.hung("commit"));
  }
}
