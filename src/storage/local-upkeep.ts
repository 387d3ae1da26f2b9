/** LocalUpkeep: DriveUpkeep on a mounted directory: notes and quarantine in files of their own, the rest beside the commits. */
import { bad, good } from "../core/fan-out.ts";
import type { TableChange } from "../sys/ordered-table.ts";
import { type Disk, Errno, Ignore, step } from "../sys/disk.ts";
import type { DriveError, DriveOutcome, KeyState, ObjectPath } from "./drive.ts";
import type { DriveFiles } from "./drive-files.ts";
import type { DriveIndex } from "./drive-index.ts";
import { DriveNotes } from "./drive-notes.ts";
import type {
  DataDirectory,
  DriveUpkeep,
  IndexRangeAnswer,
  IndexRangeAsked,
  IndexVerified,
  QuarantinedVersion,
} from "./drive-upkeep.ts";
import type { GroupSync } from "./group-sync.ts";
import { answerRange, verifyRange } from "./index-verify.ts";
import { rowOfBytes } from "./index-row.ts";
import { decodeKey, encodeKey, SYSTEM_BUCKET } from "./paths.ts";
import { Quarantine } from "./quarantine.ts";
import { isUuidText } from "./uuid.ts";

const LOOKS_AT_ONCE = 32;

export interface LocalUpkeepOptions {
  readonly files: DriveFiles;
  readonly groupSync: GroupSync;
  readonly index: DriveIndex | null;
  readonly read: (key: ObjectPath) => Promise<DriveOutcome<KeyState>>;
  /** The staged data of the operation are still needed. */
  readonly isWanted: (op: string) => boolean;
}

export class LocalUpkeep implements DriveUpkeep {
  private readonly files: DriveFiles;
  private readonly disk: Disk;
  private readonly notes: DriveNotes;
  private readonly kept: Quarantine;

  constructor(private readonly options: LocalUpkeepOptions) {
    this.files = options.files;
    this.disk = options.files.disk;
    this.notes = new DriveNotes(options.files, options.groupSync);
    this.kept = new Quarantine(options.files, this.notes, options.groupSync);
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
  quarantine(version: QuarantinedVersion): Promise<DriveOutcome<void>> {
    return this.kept.keep(version);
  }
  quarantined(): Promise<DriveOutcome<readonly QuarantinedVersion[]>> {
    return this.kept.list();
  }
  stageQuarantined(version: QuarantinedVersion, op: string): Promise<DriveOutcome<void>> {
    return this.kept.stage(version, op);
  }
  dropQuarantined(id: string): Promise<DriveOutcome<void>> {
    return this.kept.drop(id);
  }

  quarantinedIds(): Promise<DriveOutcome<readonly string[]>> {
    return this.kept.ids();
  }

  // ---- the key index

  async indexRange(asked: IndexRangeAsked, withRows: boolean): Promise<DriveOutcome<IndexRangeAnswer | null>> {
    const { index } = this.options;
    return good((await index?.consult((keys) => answerRange(keys, asked, withRows))) ?? null);
  }

  async verifyIndex(bucket: string, after: string, limit: number): Promise<DriveOutcome<IndexVerified | null>> {
    const { index } = this.options;
    const asked = { bucket, from: after, inclusive: false, before: null, limit, withExtra: false };
    const slice = (await index?.consult((keys) => keys.range(asked))) ?? null;
    if (index === null || slice === null) return good(null);
    const names = slice.rows.map(({ key }) => key);
    const range = { bucket, after, last: slice.resume };
    const repaired = await this.putRight(index, bucket, names, (keys, rows) => {
      const looked = new Set(rows.map(({ key }) => key));
      const held = rows.flatMap(({ key, value }) => (value === null ? [] : [{ key, value }]));
      const wrong = new Set(verifyRange(keys, range, held).flatMap(({ key }) => (looked.has(key) ? [key] : [])));
      return rows.filter(({ key }) => wrong.has(key));
    });
    return repaired.ok ? good({ keys: names.length, repaired: repaired.value, last: slice.resume }) : repaired;
  }

  async indexMissing(bucket: string, paths: readonly string[]): Promise<DriveOutcome<number>> {
    const { index } = this.options;
    if (index === null) return good(0);
    let found = 0;
    for (let at = 0; at < paths.length; at += LOOKS_AT_ONCE) {
      const names = paths.slice(at, at + LOOKS_AT_ONCE).map(decodeKey);
      const missing =
        (await index.consult((keys) => names.filter((name) => keys.valueOf(bucket, name) === null))) ?? [];
      if (missing.length === 0) continue;
      const added = await this.putRight(index, bucket, missing, (keys, rows) =>
        rows.filter(({ key, value }) => value !== null && keys.valueOf(bucket, key) === null),
      );
      if (!added.ok) return added;
      found += added.value;
    }
    return good(found);
  }

  async checkIndex(): Promise<DriveOutcome<boolean>> {
    return good((await this.options.index?.check()) ?? true);
  }

  private async putRight(
    index: DriveIndex,
    bucket: string,
    names: readonly string[],
    wrongOf: Parameters<DriveIndex["putRight"]>[1],
  ): Promise<DriveOutcome<number>> {
    let failed: DriveError | null = null;
    const find = async (): Promise<readonly TableChange[]> => {
      const rows: TableChange[] = [];
      for (let at = 0; at < names.length; at += LOOKS_AT_ONCE) {
        const some = names.slice(at, at + LOOKS_AT_ONCE).map((name) => ({ bucket, path: encodeKey(name) }));
        const states = await Promise.all(some.map((key) => this.options.read(key)));
        for (const [i, state] of states.entries()) {
          if (state.ok)
            rows.push(rowOfBytes(some[i] as ObjectPath, state.value.meta, state.value.stamp, index.summaries));
          else failed = state.error;
        }
      }
      return rows;
    };
    const wrong = await index.putRight(find, wrongOf);
    return failed === null ? good(wrong ?? 0) : bad(failed);
  }

  // ---- what nothing refers to

  async dataDirectory(key: ObjectPath, name: string): Promise<DriveOutcome<DataDirectory | null>> {
    const path = `${this.files.objectDirectory(key)}/${name}`;
    const facts = new BigUint64Array(new ArrayBuffer(1024));
    const { error } = await this.disk.run([step.stat(path, new Uint8Array(facts.buffer))], true);
    if (error === Errno.ENOENT || error === Errno.ENOTDIR) return await this.files.absent();
    if (error !== 0) return bad(this.files.error("look at a data directory", error));
    const entries = await this.files.readDirectory(path);
    if (!entries.ok) return entries;
    const onlyParts = entries.value.every((entry) => !entry.isDirectory && /^part\.\d{1,5}$/.test(entry.name));
    return good({ changedNs: facts[1] ?? 0n, onlyParts });
  }

  discardData(key: ObjectPath, name: string): Promise<DriveOutcome<void>> {
    return this.files.discardDirectory(key, name);
  }

  /** Names as ours in tmp, those of other programs stay: `<op>.<data directory>`, `<uuid>` of a small file, and the trash. */
  async sweepStaging(untouchedSinceNs: bigint): Promise<DriveOutcome<number>> {
    const tmp = `${this.files.root}/${SYSTEM_BUCKET}/tmp`;
    let swept = 0;
    for (const folder of [tmp, `${tmp}/.trash`]) {
      const entries = await this.files.readDirectory(folder);
      if (!entries.ok && entries.error.code !== "NotFound") return entries;
      for (const { name } of entries.ok ? entries.value : []) {
        if (!isOurs(name) || this.options.isWanted(name.split(".")[0] as string)) continue;
        const facts = new BigUint64Array(new ArrayBuffer(1024));
        const { error } = await this.disk.run([step.stat(`${folder}/${name}`, new Uint8Array(facts.buffer))], true);
        if (error !== 0 || (facts[1] ?? 0n) > untouchedSinceNs) continue;
        const failed = await this.discard(`${folder}/${name}`);
        if (failed !== 0) return bad(this.files.error("sweep staged data", failed));
        swept++;
      }
    }
    return good(swept);
  }

  private async discard(path: string): Promise<number> {
    const trash = this.files.trash();
    const { error } = await this.disk.run([
      step.rename(path, trash, Ignore.enoent),
      step.removeTree(trash, Ignore.any),
    ]);
    return error;
  }
}

function isOurs(name: string): boolean {
  const parts = name.split(".");
  return parts.length <= 2 && parts.every(isUuidText);
}
