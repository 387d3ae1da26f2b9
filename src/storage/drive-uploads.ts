/**
 * DriveUploads: the uploads of one drive (on-disk-format.md §6). A part that is sent again comes behind the one before, however long that
 * takes: of two that a slow drive gets at the same time it must not have the data of one and the record of the other. An upload is removed
 * when nothing is under way in it.
 */
import { bad } from "../core/fan-out.ts";
import { KeyLock } from "../core/key-lock.ts";
import { type Disk, Errno, Ignore, step } from "../sys/disk.ts";
import type { Drive, DriveOutcome, PartNumbers } from "./drive.ts";
import type { DriveFiles } from "./drive-files.ts";
import type { DriveLog } from "./drive-log.ts";
import type { GroupSync } from "./group-sync.ts";
import { SYSTEM_BUCKET } from "./paths.ts";
import { readParts } from "./upload-parts.ts";

interface DriveUploadsParts {
  readonly files: DriveFiles;
  readonly log: DriveLog;
  readonly disk: Disk;
  readonly groupSync: GroupSync;
}

export class DriveUploads {
  private readonly turns = new KeyLock();
  /** By the path of the upload. */
  private readonly underWay = new Map<string, Set<Promise<unknown>>>();

  constructor(private readonly parts: DriveUploadsParts) {}

  readParts(
    uploadPath: string,
    dataDir: string,
    only?: PartNumbers,
  ): Promise<DriveOutcome<ReadonlyMap<number, Uint8Array>>> {
    return readParts(this.parts.files, `${this.directory(uploadPath)}/${dataDir}`, only);
  }

  putPart(request: Parameters<Drive["putPart"]>[0]): Promise<DriveOutcome<void>> {
    return this.within(request.uploadPath, this.putInTurn(request));
  }

  /** `work` takes something out of the upload. */
  async within<T>(uploadPath: string, work: Promise<T>): Promise<T> {
    const all = this.underWay.get(uploadPath) ?? new Set();
    this.underWay.set(uploadPath, all.add(work));
    try {
      return await work;
    } finally {
      all.delete(work);
      if (all.size === 0 && this.underWay.get(uploadPath) === all) this.underWay.delete(uploadPath);
    }
  }

  private async putInTurn(request: Parameters<Drive["putPart"]>[0]): Promise<DriveOutcome<void>> {
    const { files, log, disk, groupSync } = this.parts;
    using _ = await this.turns.acquire(`${request.uploadPath}/${request.part}`);
    const upload = this.directory(request.uploadPath);
    const target = `${upload}/${request.dataDir}/part.${request.part}`;
    const refusal = await log.health.refusal();
    if (refusal !== null) return bad(refusal);
    const known = await log.commits.read({ bucket: SYSTEM_BUCKET, path: request.uploadPath });
    if (!known.ok) return known;
    if (known.value.meta === null) return files.outcome(`put part into ${request.uploadPath}`, Errno.ENOENT);
    const tmp = files.newTmpPath();
    const first = await disk.run([step.writeFile(tmp, request.meta, { exclusive: true })], true);
    if (first.error !== 0) return files.outcome("write part record", first.error);
    const synced = await groupSync.sync();
    if (synced !== 0) return files.outcome("sync", synced);
    // The record goes last and the old one goes first: a part without its record does not exist (on-disk-format.md §6.3).
    const { error } = await disk.run(
      [
        step.mkdirPath(`${upload}/${request.dataDir}`, files.bucketDirectory(SYSTEM_BUCKET)),
        step.unlink(`${target}.meta`, Ignore.enoent),
        step.rename(`${files.stageDirectory(request.op, request.dataDir)}/part.1`, target),
        step.rename(tmp, `${target}.meta`),
      ],
      true,
    );
    if (error !== 0) return files.outcome(`put part ${request.part}`, error);
    return files.outcome("sync", await groupSync.sync());
  }

  async remove(uploadPath: string): Promise<DriveOutcome<void>> {
    const { files, log, disk, groupSync } = this.parts;
    await Promise.all(this.underWay.get(uploadPath) ?? []);
    const refusal =
      (await log.health.refusal()) ?? (await log.commits.remove({ bucket: SYSTEM_BUCKET, path: uploadPath }));
    if (refusal !== null) return bad(refusal);
    // What a commit took out of it must not come back into it after a loss of power: it would go with the rest.
    const synced = await groupSync.sync();
    if (synced !== 0) return files.outcome("sync", synced);
    const system = files.bucketDirectory(SYSTEM_BUCKET);
    const trash = files.trash();
    const parent = uploadPath.slice(0, uploadPath.lastIndexOf("/"));
    const { error } = await disk.run([
      step.rename(`${system}/${uploadPath}`, trash, Ignore.enoent),
      step.rmdir(`${system}/${parent}`, Ignore.any),
      step.removeTree(trash, Ignore.any),
    ]);
    if (error !== 0) return files.outcome(`remove upload ${uploadPath}`, error);
    return files.outcome("sync", await groupSync.sync());
  }

  private directory(uploadPath: string): string {
    return `${this.parts.files.bucketDirectory(SYSTEM_BUCKET)}/${uploadPath}`;
  }
}
