/**
 * PendingCommit: a commit that a drive accepted, on its way into the log. Told when its record is durable: then the overlay shows it,
 * the drive remembers it and who follows the changes knows it, before anybody is answered.
 */
import type { Applied } from "./apply-change.ts";
import type { CommitSink } from "./commit-sink.ts";
import type { Placed } from "./commit-log.ts";
import { type DriveError, nameOf } from "./drive.ts";
import type { KeyMemory } from "./key-memory.ts";
import type { LogImages } from "./log-images.ts";
import type { CommitRecord, ImageOffsets } from "./log-record.ts";
import type { Entry, Overlay } from "./overlay.ts";

export interface CommitParts {
  readonly overlay: Overlay;
  readonly memory: KeyMemory;
  readonly images: LogImages;
  readonly changes: CommitSink | null;
}

export interface CommitFacts {
  readonly record: CommitRecord;
  readonly applied: Applied;
  /** The key had no xl.meta. */
  readonly wasAbsent: boolean;
  /** Until its data are in their place; null = they are. */
  readonly arriving: Promise<DriveError | null> | null;
}

export class PendingCommit {
  constructor(
    private readonly parts: CommitParts,
    private readonly facts: CommitFacts,
  ) {}

  get record(): CommitRecord {
    return this.facts.record;
  }

  absorb(placed: Placed, offsets: ImageOffsets): void {
    const { record, applied, wasAbsent, arriving } = this.facts;
    const { overlay, memory, images, changes } = this.parts;
    const name = nameOf(record.key);
    const known = overlay.get(name);
    const { image: prev, needed } = images.ofPrev(record, placed, offsets.prev, known);
    const entry: Entry = {
      name,
      key: record.key,
      stamp: record.stamp,
      image: images.of(record.image, placed, offsets.image),
      placed: needed ?? placed,
      doubt: {
        sequence: placed.sequence,
        prev: { image: prev, stamp: record.prevStamp },
        newDirs: record.newDirs,
        oldDirs: record.oldDirs,
        replaces: record.heals,
      },
      isNew: known?.isNew ?? wasAbsent,
      arriving,
    };
    overlay.set(entry, needed === undefined);
    memory.accept(name, record.stamp);
    changes?.changed(placed.sequence, record.key, applied.parsed, record.stamp);
  }
}
