/**
 * DriveLog: one drive's commit log with all that belongs to it, from opening (replay, conflicts, a fresh marker) to a clean
 * stop. `.minio.sys/sherd/log/` holds segments, images and the checkpoint note; the marker lies in `.minio.sys/tmp`, which
 * every program that serves the drive clears at its start: without it the tree may have been changed by another.
 */
import { bad, good } from "../core/fan-out.ts";
import type { Clock } from "../sys/clock.ts";
import type { Rng } from "../sys/rng.ts";
import { type Disk, Ignore, step } from "../sys/disk.ts";
import { ApplyLog } from "./apply-log.ts";
import { BucketGate } from "./bucket-gate.ts";
import { type CheckpointNote, NoteFile } from "./checkpoint-note.ts";
import type { CommitSink } from "./commit-sink.ts";
import { CommitLog } from "./commit-log.ts";
import type { DriveFiles } from "./drive-files.ts";
import { DriveError, type DriveOutcome } from "./drive.ts";
import type { GroupSync } from "./group-sync.ts";
import { KeyMemory } from "./key-memory.ts";
import { LogCommit } from "./log-commit.ts";
import { LOG_RETRY_MS, LogHealth } from "./log-health.ts";
import { LogImages } from "./log-images.ts";
import { LogRecovery } from "./log-recovery.ts";
import { type LogEnd, readLog } from "./log-replay.ts";
import { LogSegments, type LogSize } from "./log-segments.ts";
import { Overlay } from "./overlay.ts";
import { SYSTEM_BUCKET } from "./paths.ts";

export interface LogOptions extends LogSize {
  /** Between two attempts to write a log that a full or read-only drive refused. */
  readonly retryMs?: number;
  /** How old a record is at least before it is applied without need of space; 0 = as soon as the drive is idle. */
  readonly applyAfterMs?: number;
}
/** A drive. */
export const LOG_DEFAULTS: LogOptions = {
  segmentBytes: 16 * 1024 * 1024,
  totalBytes: 64 * 1024 * 1024,
  applyAfterMs: 60_000,
};
const IMAGE_BYTES_MAX = 256 * 1024;

export interface DriveLogOptions {
  readonly files: DriveFiles;
  readonly disk: Disk;
  readonly rng: Rng;
  readonly clock: Clock;
  readonly groupSync: GroupSync;
  readonly size: LogOptions;
  readonly changes: CommitSink | null;
  readonly warn: (message: string) => void;
}

export class DriveLog {
  readonly gate = new BucketGate();
  readonly memory: KeyMemory;
  readonly overlay: Overlay;
  readonly images: LogImages;
  readonly log: CommitLog;
  readonly commits: LogCommit;
  readonly apply: ApplyLog;
  readonly health: LogHealth;

  private constructor(
    private readonly options: DriveLogOptions,
    private readonly at: Opened & { readonly end: LogEnd; readonly session: string; readonly mark: number },
  ) {
    const { files, disk, clock, groupSync, changes, warn } = options;
    const { overlay, memory, images, segments, note, noteFile, end, session, mark } = at;
    this.overlay = overlay;
    this.memory = memory;
    this.images = images;
    const retryMs = options.size.retryMs ?? LOG_RETRY_MS;
    this.health = new LogHealth({ endpoint: files.endpoint, clock, retryMs, warn });
    const log = new CommitLog({
      disk,
      clock,
      endpoint: files.endpoint,
      segments,
      health: this.health,
      nextSequence: end.sequence + 1,
      mark,
      hurry: () => this.apply.hurry(),
    });
    this.log = log;
    this.apply = new ApplyLog({
      files,
      log,
      overlay,
      memory,
      images,
      groupSync,
      note: noteFile,
      session,
      mark,
      clock,
      health: this.health,
      changes,
      warn,
      relocate: (name) => this.commits.relocate(name),
      checkpoint: note.sequence,
      afterMs: options.size.applyAfterMs ?? 0,
    });
    this.commits = new LogCommit({
      files,
      log,
      overlay,
      memory,
      images,
      gate: this.gate,
      health: this.health,
      treeFull: () => this.apply.full,
      groupSync,
      changes,
      onCommit: () => this.apply.touched(),
    });
  }

  static async open(options: DriveLogOptions): Promise<DriveOutcome<DriveLog>> {
    const opened = await openFiles(options);
    if (!opened.ok) return opened;
    const end = await replay(options, opened.value);
    if (!end.ok) return end;
    const session = options.rng.uuid();
    // A log that is empty begins anew, with a secret that it never had.
    const mark = end.value.segment === null ? newMark(options.rng) : opened.value.note.mark;
    const drive = new DriveLog(options, { ...opened.value, end: end.value, session, mark });
    if (end.value.damage === null) {
      const begun = await drive.begin();
      return begun === null ? good(drive) : bad(begun);
    }
    const { endpoint } = options.files;
    drive.health.end(
      new DriveError(
        "ReadOnly",
        `${endpoint}: the commit log is damaged: ${end.value.damage}. The drive takes no writes; reads go on. Stop sherd, run: sherd drive repair ${endpoint}, and start again: what is whole is kept, and the other drives bring the rest`,
      ),
    );
    return good(drive);
  }

  /** From here on records are written: what a torn batch left is wiped, the session is noted, all of it durably. */
  private async begin(): Promise<DriveError | null> {
    const { files, groupSync } = this.options;
    const { end, segments, note, noteFile, session, mark, memory, images } = this.at;
    for (const segment of end.torn) {
      const error = await segments.wipe(segment, segment.fill, segment.sizeBytes);
      if (error !== 0) return files.error("wipe the torn end of the commit log", error);
    }
    if (end.segment !== null) segments.resume(end.segment);
    await images.sweep();
    // What replay moved out of tmp must not be lost with it.
    const moved = await groupSync.sync();
    if (moved !== 0) return files.error("sync", moved);
    const renewed = await renewTmp(this.options, session);
    if (renewed !== 0) return files.error("prepare the system directories", renewed);
    const isEmpty = end.segment === null;
    const next: CheckpointNote = {
      sequence: isEmpty ? end.sequence : note.sequence,
      floor: memory.highest,
      isClean: false,
      session,
      segment: isEmpty ? -1 : note.segment,
      offset: isEmpty ? 0 : note.offset,
      mark,
    };
    const noted = await noteFile.write(next);
    if (noted !== 0) return files.error("note the start", noted);
    const synced = await groupSync.sync();
    return synced === 0 ? null : files.error("sync", synced);
  }

  /** A record names staged data of the operation: a replay may have to bring them to their place. */
  awaits(op: string): boolean {
    for (const { doubt } of this.overlay.doubts())
      if (doubt?.newDirs.some(({ from }) => from.includes(op)) === true) return true;
    return false;
  }

  /** Brings everything into the tree; true if the log is empty after it. */
  drain(): Promise<boolean> {
    return this.apply.drain();
  }

  /** The clean stop: the tree holds everything, unless an operation is in doubt or the drive cannot be written. */
  async close(): Promise<void> {
    const isEmpty = (await this.health.refusal()) === null && (await this.apply.drain());
    await this.apply.close();
    await this.health.close();
    const { noteFile, segments, memory, session, mark } = this.at;
    const { files, disk } = this.options;
    if (isEmpty) {
      const sequence = this.log.durableSequence;
      await noteFile.write({ sequence, floor: memory.highest, isClean: true, session, segment: -1, offset: 0, mark });
      await disk.run([step.unlink(markerOf(files.root, session), Ignore.any)]); // a log that is clean needs none
    }
    await segments.close();
  }
}

/** Never 0: that is a log without. */
function newMark(rng: Rng): number {
  const word = rng.fill(new Uint8Array(4));
  return new DataView(word.buffer).getUint32(0, true) || 1;
}

interface Opened {
  readonly note: CheckpointNote;
  readonly noteFile: NoteFile;
  readonly segments: LogSegments;
  readonly overlay: Overlay;
  readonly memory: KeyMemory;
  readonly images: LogImages;
  readonly damage: string | null;
  /** There was a log: its records tell what an index missed. */
  readonly isKnown: boolean;
}

async function openFiles(options: DriveLogOptions): Promise<DriveOutcome<Opened>> {
  const { files, disk, rng, size, groupSync } = options;
  const system = `${files.root}/${SYSTEM_BUCKET}`;
  const directory = `${system}/sherd/log`;
  const { error } = await disk.run([
    step.mkdirPath(directory, files.root),
    step.removeTree(`${system}/sherd/undo`, Ignore.any), // of versions before the log
  ]);
  if (error !== 0) return bad(files.error("prepare the commit log", error));
  const noteFile = new NoteFile(disk, `${directory}/checkpoint`);
  const found = await noteFile.read();
  if (typeof found === "number") return bad(files.error("read the checkpoint of the commit log", found));
  const segments = await LogSegments.open(disk, directory, size, () => groupSync.sync());
  if (typeof segments === "number") return bad(files.error("open the commit log", segments));
  const overlay = new Overlay();
  const inRecordBytesMax = Math.min(IMAGE_BYTES_MAX, size.segmentBytes / 8);
  const images = new LogImages({ disk, rng, drive: files, directory, inRecordBytesMax });
  const fresh: CheckpointNote = {
    sequence: 0,
    floor: 0n,
    isClean: true,
    session: rng.uuid(),
    segment: -1,
    offset: 0,
    mark: 0,
  };
  const isLost = found === "damaged" || (found === null && segments.all.length > 0);
  const note = found === null || found === "damaged" ? fresh : found;
  const damage = isLost ? "its checkpoint note cannot be read" : null;
  return good({
    note,
    noteFile,
    segments,
    overlay,
    memory: new KeyMemory(note.floor),
    images,
    damage,
    isKnown: found !== null,
  });
}

async function replay(options: DriveLogOptions, opened: Opened): Promise<DriveOutcome<LogEnd>> {
  const { files, disk, changes, warn } = options;
  const { note, segments, overlay, memory, images, damage } = opened;
  const marker = await disk.run([step.stat(markerOf(files.root, note.session))], true);
  const isForeign = !note.isClean && marker.error !== 0;
  await changes?.retold(opened.isKnown && damage === null ? note.sequence + 1 : null);
  const recovery = new LogRecovery({ files, overlay, memory, images, changes, warn, isForeign });
  const end = await readLog(disk, segments, note, (found) => recovery.take(found));
  if (typeof end === "number")
    return bad(files.error("read the commit log (with sherd stopped, sherd drive repair keeps what can be read)", end));
  const kept = changes?.after ?? 0;
  if (end.damage !== null || (end.segment !== null && kept > end.sequence))
    changes?.giveUp("its commit log is not whole");
  if (damage !== null || end.damage !== null) return good({ ...end, damage: damage ?? end.damage });
  const failed = await recovery.finish();
  // An index may have counted further than a log that begins anew.
  return failed === null ? good({ ...end, sequence: Math.max(end.sequence, kept) }) : bad(failed);
}

/** What a previous run staged is put away, to be removed by `sweep`; the new tmp holds the marker. */
async function renewTmp({ files, disk, rng }: DriveLogOptions, session: string): Promise<number> {
  const system = `${files.root}/${SYSTEM_BUCKET}`;
  const { error } = await disk.run([
    step.mkdir(`${system}/tmp-old`, Ignore.eexist),
    step.rename(`${system}/tmp`, `${system}/tmp-old/${rng.uuid()}`, Ignore.enoent),
    step.mkdirPath(`${system}/tmp/.trash`, files.root),
    step.writeFile(markerOf(files.root, session), new Uint8Array(0)),
    ...["multipart", "buckets", "config"].map((name) => step.mkdir(`${system}/${name}`, Ignore.eexist)),
  ]);
  return error;
}

function markerOf(root: string, session: string): string {
  return `${root}/${SYSTEM_BUCKET}/tmp/.sherd-${session}`;
}
