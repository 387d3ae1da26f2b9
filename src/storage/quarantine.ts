/**
 * Quarantine: versions that too few drives have to be read, kept aside on each drive that has a part of one:
 * `.minio.sys/sherd/quarantine/<id>/` with `version.json`, `xl.meta` and the data directory, whose files are links: nothing
 * is copied, and what the key gives up afterwards stays here. Removed by an operator's word alone.
 */
import { bad, good } from "../core/fan-out.ts";
import { Errno, Ignore, step } from "../sys/disk.ts";
import type { DriveOutcome } from "./drive.ts";
import type { DriveFiles } from "./drive-files.ts";
import type { DriveNotes } from "./drive-notes.ts";
import type { QuarantinedVersion } from "./drive-upkeep.ts";
import type { GroupSync } from "./group-sync.ts";

const FOLDER = "quarantine";
const LINKS_AT_ONCE = 64;

export class Quarantine {
  constructor(
    private readonly files: DriveFiles,
    private readonly notes: DriveNotes,
    private readonly groupSync: GroupSync,
  ) {}

  /** The note that makes it one is written last, when everything else is durable. */
  async keep(version: QuarantinedVersion): Promise<DriveOutcome<void>> {
    const folder = `${FOLDER}/${version.id}`;
    const meta = await this.notes.write(`${folder}/xl.meta`, version.meta, false);
    if (!meta.ok) return meta;
    const from = `${this.files.objectDirectory(version)}/${version.dataDir}`;
    const linked =
      version.dataDir === "" ? good(undefined) : await this.link(from, `${this.notes.pathOf(folder)}/data`);
    if (!linked.ok) return linked;
    const synced = await this.groupSync.sync();
    if (synced !== 0) return bad(this.files.error("sync", synced));
    return await this.notes.write(`${folder}/version.json`, textOf(version), true);
  }

  ids(): Promise<DriveOutcome<readonly string[]>> {
    return this.notes.names(FOLDER);
  }

  async list(): Promise<DriveOutcome<readonly QuarantinedVersion[]>> {
    const ids = await this.notes.names(FOLDER);
    if (!ids.ok) return ids;
    const found: QuarantinedVersion[] = [];
    for (const id of ids.value) {
      const [text, meta] = await Promise.all([
        this.notes.read(`${FOLDER}/${id}/version.json`),
        this.notes.read(`${FOLDER}/${id}/xl.meta`),
      ]);
      if (!text.ok) return text;
      if (!meta.ok) return meta;
      const version = text.value === null || meta.value === null ? null : versionOf(id, text.value, meta.value);
      if (version !== null) found.push(version);
    }
    return good(found);
  }

  /** Links again, so that a restore that fails loses nothing. */
  async stage(version: QuarantinedVersion, op: string): Promise<DriveOutcome<void>> {
    if (version.dataDir === "") return good(undefined);
    const from = `${this.notes.pathOf(`${FOLDER}/${version.id}`)}/data`;
    return await this.link(from, this.files.stageDirectory(op, version.dataDir));
  }

  async drop(id: string): Promise<DriveOutcome<void>> {
    const trash = this.files.trash();
    const { error } = await this.files.disk.run([
      step.rename(this.notes.pathOf(`${FOLDER}/${id}`), trash, Ignore.enoent),
      step.removeTree(trash, Ignore.any),
    ]);
    return error === 0 ? good(undefined) : bad(this.files.error("drop from quarantine", error));
  }

  /** A directory with links to the files of another; one that is not there has none. */
  private async link(from: string, to: string): Promise<DriveOutcome<void>> {
    const entries = await this.files.readDirectory(from);
    if (!entries.ok) return entries.error.code === "NotFound" ? good(undefined) : entries;
    const made = await this.files.disk.run([step.mkdir(to, Ignore.eexist)]);
    if (made.error !== 0) return bad(this.files.error("make a folder of quarantine", made.error));
    const names = entries.value.filter((entry) => !entry.isDirectory).map(({ name }) => name);
    for (let at = 0; at < names.length; at += LINKS_AT_ONCE) {
      const steps = names
        .slice(at, at + LINKS_AT_ONCE)
        .map((name) => step.link(`${from}/${name}`, `${to}/${name}`, Ignore.eexist));
      const { error } = await this.files.disk.run(steps);
      if (error !== 0 && error !== Errno.EEXIST) return bad(this.files.error("link into quarantine", error));
    }
    return good(undefined);
  }
}

function textOf(version: QuarantinedVersion): Uint8Array {
  const { bucket, path, versionId, dataDir } = version;
  const times = { modTimeNs: version.modTimeNs.toString(), movedNs: version.movedNs.toString() };
  return new TextEncoder().encode(`${JSON.stringify({ bucket, path, versionId, dataDir, ...times })}\n`);
}

/** Null: not a note of ours. */
function versionOf(id: string, text: Uint8Array, meta: Uint8Array): QuarantinedVersion | null {
  let read: unknown;
  try {
    read = JSON.parse(Buffer.from(text).toString("utf8"));
  } catch (error) {
    if (error instanceof SyntaxError) return null;
    throw error;
  }
  const fields = new Map(Object.entries(typeof read === "object" && read !== null ? read : {}));
  const field = (name: string): string => String(fields.get(name) ?? "");
  const time = (name: string): bigint => (/^\d{1,20}$/.test(field(name)) ? BigInt(field(name)) : 0n);
  if (field("bucket") === "" || field("path") === "") return null;
  return {
    id,
    bucket: field("bucket"),
    path: field("path"),
    versionId: field("versionId"),
    dataDir: field("dataDir"),
    modTimeNs: time("modTimeNs"),
    movedNs: time("movedNs"),
    meta,
  };
}
