/**
 * repairLog: a damaged commit log becomes one that a start can read (`sherd drive repair`). What is whole is written to new
 * segments, in the order of the sequences; the old ones, the note and a report go to `.minio.sys/sherd/damaged-log-<time>/`;
 * nothing is deleted. The drive is marked for a rebuild first: of what it lacks it is no witness until then. The next start
 * compares each key with the tree, for the note names a session that no marker vouches for.
 * Killed at any step it can be run again: until the new note is durable the log counts as damaged. Throws RepairError.
 */
import { OperatingError } from "../core/errors.ts";
import type { Clock } from "../sys/clock.ts";
import { type Disk, Errno, Ignore, step } from "../sys/disk.ts";
import type { Rng } from "../sys/rng.ts";
import { type CheckpointNote, NoteFile } from "./checkpoint-note.ts";
import type { Stamp } from "./drive.ts";
import { later } from "./key-memory.ts";
import { decodeRecord, type LogRecord, paddedLength, RecordWriter, sealRecords } from "./log-record.ts";
import { readLog } from "./log-replay.ts";
import { type LostRecords, readSegment, type Salvage, salvage } from "./log-salvage.ts";
import { LogSegments, type LogSize } from "./log-segments.ts";
import { SYSTEM_BUCKET } from "./paths.ts";
import { markRebuild } from "./rebuild-mark.ts";

export class RepairError extends OperatingError<"CannotRepair"> {}

export interface RepairOptions {
  readonly disk: Disk;
  readonly clock: Clock;
  readonly rng: Rng;
  /** Absolute path of the drive. */
  readonly root: string;
  readonly size: LogSize;
  /** Only looks. */
  readonly dryRun: boolean;
}
export interface RepairReport {
  readonly drive: string;
  /** What a start would say; null = nothing is wrong. */
  readonly damage: string | null;
  /** Records behind the checkpoint that are whole. */
  readonly kept: number;
  readonly lost: readonly LostRecords[];
  /** Keys whose whole record names an image that is not there. */
  readonly withoutImage: readonly string[];
  readonly unreadableBytes: number;
  /** Where the old log is; null = nothing was changed. */
  readonly movedTo: string | null;
}

export async function repairLog(options: RepairOptions): Promise<RepairReport> {
  const { disk, root, size } = options;
  const format = await disk.run([step.stat(`${root}/${SYSTEM_BUCKET}/format.json`)]);
  if (format.error !== 0) fail(root, "there is no format.json: this is no drive of a deployment", format.error);
  const whole = { drive: root, damage: null, kept: 0, lost: [], withoutImage: [], unreadableBytes: 0, movedTo: null };
  const directory = logDirectory(root);
  const segments = await LogSegments.open(disk, directory, size, () => Promise.resolve(0));
  if (segments === Errno.ENOENT) return whole;
  if (typeof segments === "number") return fail(root, "the commit log cannot be opened", segments);
  try {
    const noteFile = new NoteFile(disk, `${directory}/checkpoint`);
    const found = await noteFile.read();
    const note = found === null || found === "damaged" || typeof found === "number" ? null : found;
    const damage = await damageOf(disk, segments, found);
    if (damage === null) return whole;
    return await new Repair(options, { segments, note, noteFile, damage }).run();
  } finally {
    await segments.close();
  }
}

type FoundNote = Awaited<ReturnType<NoteFile["read"]>>;

async function damageOf(disk: Disk, segments: LogSegments, note: FoundNote): Promise<string | null> {
  if (note === null) return segments.all.length > 0 ? "its checkpoint note is missing" : null;
  if (note === "damaged") return "its checkpoint note cannot be read";
  if (typeof note === "number") return `its checkpoint note cannot be read (errno ${note})`;
  const end = await readLog(disk, segments, note, () => undefined);
  return typeof end === "number" ? `a part of it cannot be read (errno ${end})` : end.damage;
}

interface Before {
  readonly segments: LogSegments;
  readonly note: CheckpointNote | null;
  readonly noteFile: NoteFile;
  readonly damage: string;
}

class Repair {
  private highestStamp: Stamp;
  /** Files that whole records name. */
  private readonly named = new Set<string>();
  /** Sequences of records whose images are not there, and their keys. */
  private readonly unusable = new Map<number, string>();

  constructor(
    private readonly options: RepairOptions,
    private readonly before: Before,
  ) {
    this.highestStamp = before.note?.floor ?? 0n;
  }

  async run(): Promise<RepairReport> {
    const { disk, root, dryRun } = this.options;
    const found = await salvage(disk, this.before.segments, this.before.note);
    await this.eachRecord(found, (_, record, sequence) => this.look(record, sequence));
    const report: RepairReport = {
      drive: root,
      damage: this.before.damage,
      kept: found.kept - this.unusable.size,
      lost: found.lost,
      withoutImage: [...this.unusable.values()],
      unreadableBytes: found.unreadableBytes,
      movedTo: null,
    };
    return dryRun ? report : await this.rewrite(found, report);
  }

  private async eachRecord(
    found: Salvage,
    each: (bytes: Uint8Array, record: LogRecord, sequence: number) => Promise<void>,
  ): Promise<void> {
    for (const { segment, offsets, ends, sequences } of found.parts) {
      const { bytes } = await readSegment(this.options.disk, segment);
      for (const [i, offset] of offsets.entries()) {
        const decoded = decodeRecord(bytes, offset, found.mark);
        if (decoded === null) fail(this.options.root, "the log changes while it is repaired: is a server running?", 0);
        await each(bytes.subarray(offset, ends[i]), decoded.record, sequences[i] as number);
      }
    }
  }

  private async look(record: LogRecord, sequence: number): Promise<void> {
    if ("stamp" in record) this.highestStamp = later(this.highestStamp, record.stamp);
    if (record.type !== "commit") return;
    for (const image of [record.image, record.prev]) {
      if (image?.kind !== "file") continue;
      this.named.add(image.name);
      const { error } = await this.options.disk.run([step.stat(`${logDirectory(this.options.root)}/${image.name}`)]);
      if (error !== 0) this.unusable.set(sequence, `${record.key.bucket}/${record.key.path}`);
    }
  }

  private async rewrite(found: Salvage, report: RepairReport): Promise<RepairReport> {
    const { disk, root, clock, rng } = this.options;
    const time = new Date(clock.nowMs()).toISOString();
    const movedTo = `${root}/${SYSTEM_BUCKET}/sherd/damaged-log-${time.replaceAll(/[:.]/g, "-")}`;
    const done = { ...report, movedTo };
    await markRebuild(disk, root);
    await this.must("write the report", [
      step.mkdirPath(movedTo, root),
      step.writeFile(
        `${movedTo}/report.json`,
        new TextEncoder().encode(`${JSON.stringify({ time, ...done }, null, 2)}\n`),
      ),
      step.syncfs(root),
    ]);
    const first = await this.writeSegments(found);
    await this.moveAside(movedTo);
    // An index that follows this log was told less than there is, or more.
    await this.must("put away the mark of the key index", [
      step.unlink(`${root}/${SYSTEM_BUCKET}/tmp/sherd-index`, Ignore.any),
      step.syncfs(root),
    ]);
    const noted = await this.before.noteFile.write({
      sequence: found.highest,
      floor: later(this.highestStamp, clock.nowNs()), // what was lost had promised something, at some time before now
      isClean: false,
      session: rng.uuid(),
      segment: first,
      offset: 0,
      mark: found.mark,
    });
    if (noted !== 0) fail(root, "the checkpoint note cannot be written", noted);
    await this.must("sync", [step.syncfs(root)]);
    return done;
  }

  /** The whole records, numbered anew without gaps, each a batch of its own; the index of the first segment. */
  private async writeSegments(found: Salvage): Promise<number> {
    const { root, size } = this.options;
    const first = Math.max(-1, ...this.before.segments.all.map((segment) => segment.index)) + 1;
    const sequences = found.parts.flatMap((part) => part.sequences);
    const places = new Map(sequences.map((sequence, i) => [sequence, found.highest + 1 + i]));
    let bytes = new Uint8Array(new ArrayBuffer(size.segmentBytes));
    let fill = 0;
    let index = first;
    const write = async (): Promise<void> => {
      const path = `${logDirectory(root)}/segment-${index++}`;
      await this.must("write a segment", [step.writeFile(path, bytes, { exclusive: true, sync: true })]);
      bytes = new Uint8Array(new ArrayBuffer(size.segmentBytes));
      fill = 0;
    };
    const put = async (raw: Uint8Array, sequence: number): Promise<void> => {
      if (fill + raw.length > bytes.length) await write();
      bytes.set(raw, fill);
      sealRecords(bytes.subarray(fill, fill + raw.length), sequence);
      fill += raw.length;
    };
    // A log without any record would not look damaged while the old segments are moved.
    if (sequences.length === 0) await put(settleRecord([], found.mark), found.highest + 1);
    await this.eachRecord(found, async (raw, record, sequence) => {
      const place = places.get(sequence) as number;
      if (record.type === "settle")
        await put(
          settleRecord(
            record.sequences.flatMap((s) => places.get(s) ?? []),
            found.mark,
          ),
          place,
        );
      else await put(this.unusable.has(sequence) ? settleRecord([], found.mark) : raw, place);
    });
    await write();
    await this.must("sync", [step.syncfs(root)]);
    return first;
  }

  /** The old segments, a copy of the note, and images that no whole record names. */
  private async moveAside(movedTo: string): Promise<void> {
    const { disk, root } = this.options;
    const directory = logDirectory(root);
    const note = new Uint8Array(new ArrayBuffer(16 * 1024));
    const read = await disk.run([step.readFile(`${directory}/checkpoint`, note)]);
    if (read.error === 0)
      await this.must("copy the checkpoint note", [
        step.writeFile(`${movedTo}/checkpoint`, note.subarray(0, read.results[0]), { sync: true }),
      ]);
    const names = this.before.segments.all.map(({ index }) => `segment-${index}`);
    for (const image of await this.images()) if (!this.named.has(image)) names.push(image);
    for (const name of names)
      await this.must(`move ${name}`, [step.rename(`${directory}/${name}`, `${movedTo}/${name}`)]);
    await this.must("sync", [step.syncfs(root)]);
  }

  private async images(): Promise<string[]> {
    const { disk, root } = this.options;
    const names = new Uint8Array(new ArrayBuffer(1024 * 1024));
    const { error, results } = await disk.run([step.readdir(logDirectory(root), names)]);
    if (error !== 0) fail(root, "list the commit log", error);
    const text = Buffer.from(names.buffer, 0, results[0] as number).toString("latin1");
    return text.match(/image-[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}/g) ?? [];
  }

  private async must(what: string, steps: Parameters<Disk["run"]>[0]): Promise<void> {
    const { error } = await this.options.disk.run(steps);
    if (error !== 0) fail(this.options.root, what, error);
  }
}

function settleRecord(sequences: readonly number[], mark: number): Uint8Array {
  const bytes = new Uint8Array(new ArrayBuffer(paddedLength(64 + 8 * sequences.length)));
  const { padded } = new RecordWriter(bytes, mark).write({ type: "settle", sequences }, 0);
  return bytes.subarray(0, padded);
}

function logDirectory(root: string): string {
  return `${root}/${SYSTEM_BUCKET}/sherd/log`;
}

function fail(root: string, what: string, errno: number): never {
  const why = errno === 0 ? "" : ` (errno ${errno})`;
  throw new RepairError("CannotRepair", `${root} is not repaired: ${what}${why}`, { root, errno });
}
