/**
 * DriveNotes: small files of ours below `.minio.sys/sherd/` of a drive, each replaced whole: written aside, synced, renamed.
 * A crash of the machine may show the one before. Names are ours, never a client's. Errors are DriveErrors.
 */
import { bad, good } from "../core/fan-out.ts";
import { Ignore, step } from "../sys/disk.ts";
import type { DriveOutcome } from "./drive.ts";
import type { DriveFiles } from "./drive-files.ts";
import type { GroupSync } from "./group-sync.ts";
import { SYSTEM_BUCKET, SYSTEM_PATHS } from "./paths.ts";

export class DriveNotes {
  constructor(
    private readonly files: DriveFiles,
    private readonly groupSync: GroupSync,
  ) {}

  pathOf(name: string): string {
    return `${this.files.root}/${SYSTEM_BUCKET}/${SYSTEM_PATHS.sherd}/${name}`;
  }

  read(name: string): Promise<DriveOutcome<Uint8Array | null>> {
    return this.files.readSmall(this.pathOf(name));
  }

  async write(name: string, bytes: Uint8Array | null, isUrgent: boolean): Promise<DriveOutcome<void>> {
    const path = this.pathOf(name);
    const tmp = this.files.newTmpPath();
    const steps =
      bytes === null
        ? [step.unlink(path, Ignore.enoent)]
        : [
            step.mkdirPath(path.slice(0, path.lastIndexOf("/")), `${this.files.root}/${SYSTEM_BUCKET}`),
            step.writeFile(tmp, bytes, { exclusive: true, sync: true }),
            step.rename(tmp, path),
          ];
    const { error } = await this.files.disk.run(steps);
    if (error !== 0) return bad(this.files.error(`write the note ${name}`, error));
    const synced = isUrgent ? await this.groupSync.sync() : 0;
    return synced === 0 ? good(undefined) : bad(this.files.error("sync", synced));
  }

  async names(folder: string): Promise<DriveOutcome<readonly string[]>> {
    const entries = await this.files.readDirectory(this.pathOf(folder));
    if (!entries.ok) return entries.error.code === "NotFound" ? good([]) : entries;
    return good(entries.value.map(({ name }) => name).sort());
  }
}
