/**
 * LogImages: xl.meta into and out of the commit log. Small ones are in the records; larger ones are synced files beside the
 * segments, which the records name, removed when no record behind the checkpoint names them.
 */
import { bad, good } from "../core/fan-out.ts";
import type { Rng } from "../sys/rng.ts";
import { type Disk, Ignore, step } from "../sys/disk.ts";
import type { DriveFiles } from "./drive-files.ts";
import { DriveError, type DriveOutcome, type LoneVersion } from "./drive.ts";
import type { Placed } from "./commit-log.ts";
import type { CommitRecord, StoredImage } from "./log-record.ts";
import type { Entry, Image, SegmentImage } from "./overlay.ts";

const PREFIX = "image-";
const REMOVE_AT_ONCE = 32;

export class LogImages {
  /** Sequence of the last record that names a file. */
  private readonly files = new Map<string, number>();

  constructor(
    private readonly parts: {
      readonly disk: Disk;
      readonly rng: Rng;
      readonly drive: DriveFiles;
      readonly directory: string;
      /** Larger ones become files. */
      readonly inRecordBytesMax: number;
    },
  ) {}

  /** What a record says of `meta`; undefined: it is too large for one. */
  storeNow(meta: Uint8Array | LoneVersion | null): StoredImage | null | undefined {
    if (meta === null) return null;
    if (meta.length > this.parts.inRecordBytesMax) return undefined;
    return meta instanceof Uint8Array ? { kind: "bytes", bytes: meta } : { kind: "made", bytes: meta };
  }

  /** The same of any size; a file is durable when it answers. `known`: an image of the same bytes. */
  async store(meta: Uint8Array | null, known: Image | null): Promise<DriveOutcome<StoredImage | null>> {
    const stored = this.storeNow(meta);
    if (meta === null || stored !== undefined) return good(stored ?? null);
    const { disk, rng, directory, drive } = this.parts;
    const name = known?.kind === "file" ? known.name : `${PREFIX}${rng.uuid()}`;
    this.files.set(name, Number.MAX_SAFE_INTEGER); // kept until the record that names it is written
    if (known?.kind === "file") return good({ kind: "file", name });
    const { error } = await disk.run([
      step.writeFile(`${directory}/${name}`, meta, { exclusive: true, sync: true }),
      step.openRead(directory),
      step.fsync(),
    ]);
    return error === 0 ? good({ kind: "file", name }) : bad(drive.error("write an image of xl.meta", error));
  }

  /** The image of a record that was written. */
  of(stored: StoredImage | null, placed: Placed, at: number): Image | null {
    if (stored === null) return null;
    if (stored.kind === "file") {
      this.files.set(stored.name, placed.sequence);
      return { kind: "file", name: stored.name };
    }
    const { segment, offset } = placed;
    return { kind: "segment", segment, offset: offset + at, sizeBytes: stored.bytes.length };
  }

  /**
   * What a commit's record replaces: its own image, or what `known`, the key's entry before it, shows; without that one the tree
   * does, for what the log let go was applied. `needed`: the older record that stays because of it; undefined = none.
   */
  ofPrev(
    { key, prev }: CommitRecord,
    placed: Placed,
    at: number,
    known: Entry | undefined,
  ): { readonly image: Image | null; readonly needed: Placed | undefined } {
    if (prev?.kind !== "before") return { image: this.of(prev, placed, at), needed: undefined };
    return { image: known?.image ?? { kind: "tree", key }, needed: known?.placed };
  }

  /** The bytes if they are in memory, the kernel's too; undefined = they have to be waited for. */
  readNow(image: Image | null): Uint8Array | null | undefined {
    if (image === null) return null;
    if (image.kind === "file") return undefined;
    const { disk, drive } = this.parts;
    if (image.kind === "tree") return drive.readMetaNow(image.key);
    if (disk.preadCached === undefined) return undefined;
    const bytes = imageBuffer(image);
    const { segment, offset } = image;
    return disk.preadCached(segment.descriptor, bytes, offset, bytes.length) === bytes.length ? bytes : undefined;
  }

  /** The bytes into memory of the caller's, if they are in memory, the kernel's too: how many, else -1. */
  copyNow(image: Image, into: Uint8Array): number {
    if (image.kind === "file") return -1;
    const { disk, drive } = this.parts;
    if (image.kind === "tree") return drive.copyMetaNow(image.key, into);
    const { segment, offset, sizeBytes } = image;
    if (sizeBytes > into.length) return -1;
    return disk.preadCached?.(segment.descriptor, into, offset, sizeBytes) ?? -1;
  }

  /** The bytes; the caller makes sure that the entry of the image is still in the overlay afterwards. */
  async read(image: Image | null): Promise<DriveOutcome<Uint8Array | null>> {
    const known = this.readNow(image);
    if (image === null || known !== undefined) return good(known ?? null);
    const { drive, disk, directory } = this.parts;
    if (image.kind === "tree") return await drive.readMeta(image.key);
    if (image.kind === "file") {
      const found = await drive.readSmall(`${directory}/${image.name}`);
      if (found.ok && found.value === null)
        return bad(new DriveError("Corrupt", `${drive.endpoint}: the commit log lacks ${image.name}`));
      return found;
    }
    const bytes = imageBuffer(image);
    const { error } = await disk.run([step.use(image.segment.descriptor), step.pread(bytes, image.offset)], true);
    return error === 0 ? good(bytes) : bad(drive.error("read the commit log", error));
  }

  pathOf(name: string): string {
    return `${this.parts.directory}/${name}`;
  }

  /** Removes the files that only records up to `sequence` name. */
  async release(sequence: number): Promise<void> {
    const gone = [...this.files].filter(([, last]) => last <= sequence).map(([name]) => name);
    for (const name of gone) this.files.delete(name);
    await this.remove(gone);
  }

  /** After replay: removes files that no record names. */
  async sweep(): Promise<void> {
    const entries = await this.parts.drive.readDirectory(this.parts.directory);
    if (!entries.ok) return;
    await this.remove(entries.value.map((e) => e.name).filter((n) => n.startsWith(PREFIX) && !this.files.has(n)));
  }

  private async remove(names: readonly string[]): Promise<void> {
    const steps = names.map((name) => step.unlink(this.pathOf(name), Ignore.any));
    for (let at = 0; at < steps.length; at += REMOVE_AT_ONCE)
      await this.parts.disk.run(steps.slice(at, at + REMOVE_AT_ONCE), true);
  }
}

/** In memory that does not move. */
function imageBuffer({ sizeBytes }: SegmentImage): Uint8Array {
  return new Uint8Array(new ArrayBuffer(Math.max(1024, sizeBytes)), 0, sizeBytes);
}
