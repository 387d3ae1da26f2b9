/** LocalUpkeep: DriveUpkeep on a mounted directory. */
import { good } from "../core/fan-out.ts";
import type { DriveOutcome } from "./drive.ts";
import type { DriveFiles } from "./drive-files.ts";
import type { DriveIndex } from "./drive-index.ts";
import { DriveNotes } from "./drive-notes.ts";
import type { DriveUpkeep, IndexRangeAnswer, IndexRangeAsked } from "./drive-upkeep.ts";
import type { GroupSync } from "./group-sync.ts";
import { answerRange } from "./index-verify.ts";

export interface LocalUpkeepOptions {
  readonly files: DriveFiles;
  readonly groupSync: GroupSync;
  readonly index: DriveIndex | null;
}

export class LocalUpkeep implements DriveUpkeep {
  private readonly notes: DriveNotes;

  constructor(private readonly options: LocalUpkeepOptions) {
    this.notes = new DriveNotes(options.files, options.groupSync);
  }

  readNote(name: string): Promise<DriveOutcome<Uint8Array | null>> {
    return this.notes.read(name);
  }
  writeNote(name: string, bytes: Uint8Array | null, isUrgent: boolean): Promise<DriveOutcome<void>> {
    return this.notes.write(name, bytes, isUrgent);
  }
  noteNames(folder: string): Promise<DriveOutcome<readonly string[]>> {
    return this.notes.names(folder);
  }

  async indexRange(asked: IndexRangeAsked, withRows: boolean): Promise<DriveOutcome<IndexRangeAnswer | null>> {
    const { index } = this.options;
    return await Promise.resolve(good(index?.consult((keys) => answerRange(keys, asked, withRows)) ?? null));
  }
}
