/**
 * Multipart uploads in MinIO's layout (on-disk-format.md §6): `.minio.sys/multipart/<sha256 of bucket/key>/<uploadDir>`
 * holds an xl.meta with the final version's shape and a data directory of parts with their records. Parts are replaced by
 * rename; a Complete moves the data directory into the object and can be repeated if it fails.
 * Our own uploads also carry bucket and key in MetaSys, so that they can be listed by prefix; MinIO's are found by exact key.
 */
import { present } from "../core/assert.ts";
import { INLINE_DATA_KEY } from "../storage/xl-meta-header.ts";
import { decodeVersion, type ObjectVersion } from "../storage/xl-meta-version.ts";
import { encodePartMeta } from "../storage/part-meta.ts";
import {
  decodeUploadId,
  encodeUploadId,
  SYSTEM_BUCKET,
  uploadDirName,
  uploadInitiatedNs,
  uploadParent,
  uploadPath,
} from "../storage/paths.ts";
import type { DriveOutcome, ObjectPath, PartNumbers } from "../storage/drive.ts";
import { commitChange } from "./commit-version.ts";
import type { ErasureSet } from "./erasure-set.ts";
import { QuorumError } from "../core/quorum-error.ts";
import { findVersion, highestOf, locateKey } from "./locate.ts";
import { pathOf, type PoolsOptions, type UploadHost } from "./pool-layout.ts";
import { deleteQuorum, writeQuorum } from "./quorum.ts";
import type { Committed, Staged, Store, UploadPart, UploadRef, UploadState } from "./store.ts";
import { storedVersion } from "./stored-version.ts";
import { readPartRecord, type UploadPlace, wholeHolders } from "./upload-holders.ts";
import { tellEnough } from "./tell-drives.ts";
import { putChange } from "./write-version.ts";
import type { StagedShards } from "./write-shards.ts";

const BUCKET_KEY = "x-minio-internal-sherd-upload-bucket";
const KEY_KEY = "x-minio-internal-sherd-upload-key";
const TEXT = new TextEncoder();

export interface StagePlace extends UploadPlace {
  /** Staged files are always part.1; putPart gives the number. */
  readonly nextPart: number;
}

export class Uploads {
  constructor(
    private readonly pools: UploadHost,
    private readonly options: PoolsOptions,
  ) {}

  placeOf(ref: UploadRef): StagePlace {
    return { ...(ref.handle as UploadPlace), nextPart: 1 };
  }

  async create(request: Parameters<Store["createUpload"]>[0]): Promise<UploadState> {
    const object = pathOf(request.bucket, request.key);
    const set = await this.pools.placeNew(object);
    const { clock, rng } = set.resources;
    const initiatedNs = clock.nowNs();
    const uploadDir = uploadDirName(rng.uuid(), initiatedNs);
    const m = set.parityFor(request.bucket, request.storageClass);
    const place: UploadPlace = {
      set,
      path: uploadPath(request.bucket, request.key, uploadDir),
      dataDir: rng.uuid(),
      k: set.size - m,
      parity: m,
      dist: set.distribution(object),
    };
    const metaSys = new Map([
      ...request.metaSys,
      [BUCKET_KEY, TEXT.encode(request.bucket)] as const,
      [KEY_KEY, TEXT.encode(request.key)] as const,
    ]);
    const version = {
      versionId: request.versionId,
      dataDir: place.dataDir,
      k: place.k,
      m,
      dist: place.dist,
      sizeBytes: 0,
      parts: [],
      metaUsr: request.metaUsr,
      metaSys,
      modTimeNs: initiatedNs,
    };
    const changeFor = putChange(version, () => ({ kind: "inline", bytes: new Uint8Array(0) }));
    await commitChange(
      set,
      {
        key: systemKey(place.path),
        quorum: writeQuorum(place.k, m),
        removes: false,
        wantsAll: true,
        changeFor,
        reading: null,
      },
      this.pools.background,
    );
    const uploadId = encodeUploadId(this.options.deploymentId, uploadDir);
    return {
      ref: { bucket: request.bucket, key: request.key, uploadId, handle: place },
      initiatedNs,
      versionId: request.versionId,
      metaUsr: request.metaUsr,
      metaSys: request.metaSys,
    };
  }

  async open(bucket: string, key: string, uploadId: string): Promise<UploadState | null> {
    const uploadDir = decodeUploadId(uploadId);
    if (uploadDir === null) return null;
    const path = uploadPath(bucket, key, uploadDir);
    for (const set of this.pools.setsOf(pathOf(bucket, key).path)) {
      if (this.options.pools[set.poolIndex]?.isSuspended === true) continue; // what a drained pool kept is not ours to finish
      const state = await this.readUpload(set, { bucket, key, uploadId, path });
      if (state !== null) return state;
    }
    return null;
  }

  private async readUpload(
    set: ErasureSet,
    upload: { bucket: string; key: string; uploadId: string; path: string },
  ): Promise<UploadState | null> {
    const located = await locateKey([set], systemKey(upload.path));
    const found = findVersion(located, undefined);
    if (found === undefined) return null;
    const version = storedVersion(found.reading, found.merged, { isLatest: true, versionCount: 1 });
    const holder = present(found.merged.holders[0], "a holder");
    const body = decodeVersion(
      present(found.reading.metas[holder]?.find(version.versionId), "the upload's version").body,
    );
    if (body.type !== 1) return null;
    const metaSys = new Map(
      [...version.metaSys].filter(([name]) => name !== BUCKET_KEY && name !== KEY_KEY && name !== INLINE_DATA_KEY),
    );
    const place: UploadPlace = {
      set,
      path: upload.path,
      dataDir: body.dataDir,
      k: body.dataShards,
      parity: body.parityShards,
      dist: (body as ObjectVersion).distribution,
    };
    const uploadDir = upload.path.slice(upload.path.lastIndexOf("/") + 1);
    return {
      ref: { bucket: upload.bucket, key: upload.key, uploadId: upload.uploadId, handle: place },
      initiatedNs: uploadInitiatedNs(uploadDir) ?? version.modTimeNs,
      versionId: version.versionId,
      metaUsr: version.metaUsr,
      metaSys,
    };
  }

  async list(bucket: string, prefix: string): Promise<readonly UploadState[]> {
    const found = new Map<string, UploadState>();
    const exact = uploadParent(bucket, prefix);
    for (const set of this.pools.allSets) {
      if (this.options.pools[set.poolIndex]?.isSuspended === true) continue;
      for (const parent of await namesOn(set, "multipart")) {
        for (const uploadDir of await namesOn(set, `multipart/${parent}`)) {
          const state = await this.listed(set, { bucket, prefix, parent, uploadDir, isExact: parent === exact });
          if (state !== null) found.set(`${state.ref.key}\0${uploadDir}`, state);
        }
      }
    }
    return [...found.values()].sort((a, b) =>
      a.ref.key === b.ref.key
        ? Number(a.initiatedNs - b.initiatedNs)
        : Buffer.compare(Buffer.from(a.ref.key), Buffer.from(b.ref.key)),
    );
  }

  private async listed(
    set: ErasureSet,
    at: { bucket: string; prefix: string; parent: string; uploadDir: string; isExact: boolean },
  ): Promise<UploadState | null> {
    const path = `multipart/${at.parent}/${at.uploadDir}`;
    const located = await locateKey([set], systemKey(path));
    const found = findVersion(located, undefined);
    if (found === undefined) return null;
    const { metaSys } = storedVersion(found.reading, found.merged, { isLatest: true, versionCount: 1 });
    const text = (name: string): string | undefined =>
      metaSys.has(name) ? Buffer.from(metaSys.get(name) as Uint8Array).toString() : undefined;
    const bucket = text(BUCKET_KEY) ?? (at.isExact ? at.bucket : undefined);
    const key = text(KEY_KEY) ?? (at.isExact ? at.prefix : undefined);
    if (bucket !== at.bucket || key === undefined || !key.startsWith(at.prefix)) return null;
    const uploadId = encodeUploadId(this.options.deploymentId, at.uploadDir);
    return await this.readUpload(set, { bucket, key, uploadId, path });
  }

  async putPart(ref: UploadRef, staged: Staged, part: Omit<UploadPart, "modTimeNs">): Promise<UploadPart> {
    const place = ref.handle as UploadPlace;
    const shards = staged.handle as StagedShards;
    const record: UploadPart = { ...part, modTimeNs: place.set.resources.clock.nowNs() };
    const meta = encodePartMeta({
      etag: part.etag,
      number: part.number,
      sizeBytes: part.sizeBytes,
      actualBytes: part.actualBytes,
      modTime: record.modTimeNs,
      index: null,
      checksums: part.checksums,
    });
    using _ = await this.pools.locks.acquire(`${SYSTEM_BUCKET}/${place.path}`);
    await tellEnough(place.set, `part ${part.number}`, {
      positions: [...shards.holders],
      needed: writeQuorum(place.k, place.parity),
      tell: (drive) =>
        drive.putPart({ op: shards.op, uploadPath: place.path, dataDir: place.dataDir, part: part.number, meta }),
    });
    return record;
  }

  /** Of each number the newest that enough drives show alike. Throws when others may be there. */
  async listParts(ref: UploadRef, only?: PartNumbers): Promise<readonly UploadPart[]> {
    const { set, path, dataDir, k } = ref.handle as UploadPlace;
    const positions = set.present();
    const answers = positions.map((i) => present(set.drives[i], "a drive").readParts(path, dataDir, only));
    const heard = await set.patience.hear(positions, answers);
    const parts =
      agreedParts(set, k, heard) ?? (heard.includes(null) ? agreedParts(set, k, await Promise.all(answers)) : null);
    if (parts === null)
      throw new QuorumError("ReadQuorum", `too few drives answer for the parts of ${ref.bucket}/${ref.key}`);
    return parts;
  }

  async complete(request: Parameters<Store["completeUpload"]>[0]): Promise<Committed> {
    const place = request.ref.handle as UploadPlace;
    const object = pathOf(request.ref.bucket, request.ref.key);
    const sizeBytes = request.parts.reduce((sum, p) => sum + p.sizeBytes, 0);
    using _upload = await this.pools.locks.acquire(`${SYSTEM_BUCKET}/${place.path}`);
    const quorum = writeQuorum(place.k, place.parity);
    const holders = sizeBytes === 0 ? null : await wholeHolders(place, request.parts, quorum);
    using _ = await this.pools.locks.acquire(`${object.bucket}/${object.path}`);
    request.signal.throwIfAborted();
    const latest = request.readsLatest ? await this.pools.latestOf(object) : null;
    request.check(latest?.current ?? null, this.pools.lookupIn(latest?.located ?? null));
    const reading = latest?.located.pools.find((p) => p.set === place.set)?.reading ?? null;
    const version = {
      versionId: request.versionId,
      dataDir: place.dataDir,
      k: place.k,
      m: place.parity,
      dist: place.dist,
      sizeBytes,
      parts: request.parts,
      metaUsr: request.metaUsr,
      metaSys: request.metaSys,
    };
    const keepParts = request.parts.map((p) => p.number);
    const changeFor = putChange(version, (position) => {
      if (holders === null) return { kind: "inline", bytes: new Uint8Array(0) };
      return holders.has(position) ? { kind: "upload", path: place.path, keepParts } : null;
    });
    const above = latest === null ? await this.pools.newestStamp(object) : highestOf(latest.located);
    const stamp = await commitChange(
      place.set,
      {
        key: object,
        quorum,
        removes: false,
        wantsAll: true,
        changeFor,
        reading,
        above,
      },
      this.pools.background,
    );
    this.pools.background.track(this.remove(place));
    return { versionId: request.versionId, modTimeNs: stamp };
  }

  async abort(ref: UploadRef): Promise<void> {
    const place = ref.handle as UploadPlace;
    using _ = await this.pools.locks.acquire(`${SYSTEM_BUCKET}/${place.path}`);
    await this.remove(place);
  }

  private async remove({ set, path }: UploadPlace): Promise<void> {
    await tellEnough(set, "remove the upload", {
      positions: set.present(),
      needed: deleteQuorum(set.size),
      tell: (drive) => drive.removeUpload(path),
    });
  }
}

function systemKey(path: string): ObjectPath {
  return { bucket: SYSTEM_BUCKET, path };
}

/** `answers`: null = none yet. Null: parts may be there that too few of them show. */
function agreedParts(
  set: ErasureSet,
  k: number,
  answers: readonly (DriveOutcome<ReadonlyMap<number, Uint8Array>> | null)[],
): readonly UploadPart[] | null {
  const votes = new Map<string, { readonly part: UploadPart; count: number }>();
  const told = answers.flatMap((answer) => (answer?.ok === true ? [answer.value] : []));
  for (const records of told)
    for (const bytes of records.values()) {
      const part = readRecord(bytes);
      if (part === null) continue;
      const name = `${part.number} ${part.etag} ${part.modTimeNs}`;
      const vote = votes.get(name);
      if (vote === undefined) votes.set(name, { part, count: 1 });
      else vote.count++;
    }
  const silent = set.size - told.length;
  if (silent > set.size - k) return null;
  const best = new Map<number, UploadPart>();
  const shown = new Map<number, number>();
  for (const { part, count } of votes.values()) {
    shown.set(part.number, (shown.get(part.number) ?? 0) + count);
    const other = best.get(part.number);
    if (count >= k && (other === undefined || other.modTimeNs < part.modTimeNs)) best.set(part.number, part);
  }
  // Not agreed on, by drives that are silent or damaged: to say that it was never sent would be a guess.
  for (const [number, count] of shown) if (!best.has(number) && count + silent >= k) return null;
  return [...best.values()].sort((a, b) => a.number - b.number);
}

function readRecord(bytes: Uint8Array): UploadPart | null {
  const record = readPartRecord(bytes);
  if (record === null) return null;
  const { etag, number, sizeBytes, actualBytes, modTime: modTimeNs, checksums } = record;
  return { number, etag, sizeBytes, actualBytes, modTimeNs, checksums };
}

async function namesOn(set: ErasureSet, path: string): Promise<Set<string>> {
  const names = new Set<string>();
  const positions = set.present();
  const outcomes = await set.patience.hear(
    positions,
    positions.map((i) => present(set.drives[i], "a drive").readDirectory(SYSTEM_BUCKET, path)),
  );
  for (const outcome of outcomes)
    if (outcome?.ok === true) for (const entry of outcome.value) if (entry.isDirectory) names.add(entry.name);
  return names;
}
