/**
 * Pools: the Store over pools of erasure sets. Owns placement of keys, the locks of this process (one serialisation domain
 * a key) and the settling that goes on after answers. Buckets are directories on every drive of every pool.
 */
import { KeyLock } from "../core/key-lock.ts";
import { sourceOf } from "../core/byte-stream.ts";
import { SYSTEM_BUCKET } from "../storage/paths.ts";
import {
  type Change,
  type Drive,
  type DriveErrorCode,
  type DriveOutcome,
  nameOf,
  type ObjectPath,
  type PartNumbers,
  type Stamp,
} from "../storage/drive.ts";
import { NULL_VERSION_ID } from "../storage/uuid.ts";
import { askDrives } from "./ask-drives.ts";
import type { BackgroundWork } from "./background-work.ts";
import { bucketUsage } from "./bucket-usage.ts";
import { commitChange } from "./commit-version.ts";
import { type ErasureSet, ReadPin } from "./erasure-set.ts";
import { QuorumError } from "../core/quorum-error.ts";
import { listPage } from "./list-page.ts";
import {
  findVersion,
  type Found,
  highestOf,
  type LocatedKey,
  locateKey,
  type PlacedVersion,
  type PoolReading,
} from "./locate.ts";
import { NO_DATA, openData, PinnedVersion } from "./open-version.ts";
import { SetChooser } from "./placement.ts";
import { PoolChooser } from "./pool-choice.ts";
import { deleteQuorum, type Merged, writeQuorum } from "./quorum.ts";
import type { KeyReading } from "./read-version.ts";
import type {
  CommitRequest,
  Committed,
  ListPage,
  ListRequest,
  Staged,
  StagedDigests,
  StageRequest,
  Store,
  StoredUsage,
  StoredVersion,
  UploadPart,
  UploadRef,
  VersionLookup,
  UploadState,
  VersionChange,
  VersionReader,
} from "./store.ts";
import { quickRead } from "./quick-read.ts";
import { storedVersion } from "./stored-version.ts";
import { hasTaken, tellDrives, tellEnough } from "./tell-drives.ts";
import { walkPage } from "./walk-page.ts";
import { Uploads } from "./uploads.ts";
import { pathOf, type PoolsOptions } from "./pool-layout.ts";
import { deleteMarkerChange, putStaged } from "./write-version.ts";
import { type StagedShards, stageShards } from "./write-shards.ts";

/** How long the removal of a bucket waits for deletes to be settled. */
const SETTLED_MS = 5000;
const NO_SIGNAL = new AbortController().signal;
/** The pin of what is in memory. */
const NOTHING_TO_KEEP: Disposable = {
  [Symbol.dispose]() {
    /* deliberately nothing */
  },
};
const USAGE_KEYS_MAX = 1000;
const MD5 = 1;
const DOCUMENTS_A_PAGE = 1000;
/** Of a bucket that a drive is to have, and not to have any more. */
const THERE: readonly DriveErrorCode[] = ["Exists"];
const GONE: readonly DriveErrorCode[] = ["NotFound"];

export class Pools implements Store {
  readonly locks = new KeyLock();
  readonly allSets: readonly ErasureSet[];
  private readonly uploads: Uploads;
  private readonly chooser: PoolChooser;
  private readonly setChoosers: readonly SetChooser[];

  constructor(readonly options: PoolsOptions) {
    this.allSets = options.pools.flatMap((pool) => pool.sets);
    this.uploads = new Uploads(this, options);
    this.chooser = new PoolChooser(options.pools);
    this.setChoosers = options.pools.map(
      (pool) => new SetChooser(pool.placement, options.deploymentId, pool.sets.length),
    );
  }

  get background(): BackgroundWork {
    return this.options.background;
  }

  /** The set of an encoded path in each pool. */
  setsOf(path: string): readonly ErasureSet[] {
    return this.allSets.length === 1 ? this.allSets : this.chosenFor(path);
  }

  private chosenFor(path: string): readonly ErasureSet[] {
    return this.options.pools.map(
      (pool, i) => pool.sets[(this.setChoosers[i] as SetChooser).choose(path)] as ErasureSet,
    );
  }

  // ---- buckets

  async makeBucket(bucket: string): Promise<boolean> {
    if (await this.bucketExists(bucket)) return false;
    await this.makeOnMost(bucket, "make bucket");
    return true;
  }

  async removeBucket(bucket: string): Promise<"gone" | "missing" | "not-empty"> {
    if (!(await this.bucketExists(bucket))) return "missing";
    const page = await this.list({
      bucket,
      prefix: "",
      delimiter: "",
      after: "",
      inclusive: false,
      limit: 1,
      allVersions: true,
      signal: NO_SIGNAL,
    });
    if (page.entries.length > 0) return "not-empty";
    // Data of what was just deleted goes when that is settled on all drives and its last reader has finished. A reader that
    // takes longer, or has stopped to read, does not keep a bucket of which nothing is left.
    const { clock } = (this.allSets[0] as ErasureSet).resources;
    await this.background.finished(bucket, SETTLED_MS, clock);
    for (const set of this.allSets) set.leaveReaders(bucket);
    await this.background.finished(bucket, SETTLED_MS, clock);
    return (await this.removeBucketDirectories(bucket)) ? "gone" : "not-empty";
  }

  /** False if a drive of a quorum still holds something: an object came meanwhile, and the directories are made again. */
  private async removeBucketDirectories(bucket: string): Promise<boolean> {
    let isEmpty = true;
    for (const set of this.allSets) {
      const needed = deleteQuorum(set.size);
      const tell = (drive: Drive): Promise<DriveOutcome<void>> => drive.removeBucket(bucket);
      const outcomes = await tellDrives(set, { positions: set.present(), needed, tell, fine: GONE });
      if (outcomes.filter((outcome) => hasTaken(outcome, GONE)).length >= needed) continue; // what the others hold is not committed
      if (!outcomes.some((outcome) => !outcome.ok && outcome.error.code === "NotEmpty")) {
        const reasons = outcomes.flatMap((o) => (o.ok ? [] : [o.error.message])).join("; ");
        throw new QuorumError("WriteQuorum", `remove bucket: too few of ${needed} needed drives: ${reasons}`, {
          needed,
        });
      }
      isEmpty = false;
      break;
    }
    if (!isEmpty) await this.makeOnMost(bucket, "keep bucket");
    return isEmpty;
  }

  async bucketExists(bucket: string): Promise<boolean> {
    return (await this.listBuckets()).some((b) => b.name === bucket);
  }

  async listBuckets(): Promise<readonly { name: string; createdNs: bigint }[]> {
    const votes = new Map<string, { count: number; createdNs: bigint }>();
    const set = this.allSets[0] as ErasureSet; // every bucket is on every set
    const need = Math.max(1, Math.ceil(set.size / 2));
    const listed = await askDrives(set, {
      needed: need,
      ofAll: true,
      ask: (drive) => drive.listBuckets(),
      told: (outcome) => (outcome.ok ? outcome.value : null),
    });
    for (const buckets of listed)
      for (const { name, createdNs } of buckets) {
        const vote = votes.get(name);
        votes.set(name, {
          count: (vote?.count ?? 0) + 1,
          createdNs: vote === undefined || createdNs < vote.createdNs ? createdNs : vote.createdNs,
        });
      }
    const answers = listed.length;
    if (answers < need)
      throw new QuorumError("ReadQuorum", `${answers} of ${need} needed drives list the buckets`, {
        answers,
        needed: need,
      });
    const found = [...votes].filter(([, v]) => v.count >= need).map(([name, v]) => ({ name, createdNs: v.createdNs }));
    return found.sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  private async makeOnMost(bucket: string, what: string): Promise<void> {
    for (const set of this.allSets) {
      const tell = (drive: Drive): Promise<DriveOutcome<void>> => drive.makeBucket(bucket);
      await tellEnough(set, what, { positions: set.present(), needed: deleteQuorum(set.size), tell, fine: THERE });
    }
  }

  // ---- system objects

  async readDocument(path: string): Promise<Uint8Array | null> {
    await using reader = await this.openVersion(SYSTEM_BUCKET, path);
    if (reader === null || reader.version.isDeleteMarker || reader.version.sizeBytes === 0) return null;
    if (reader.inline !== null) return reader.inline;
    const out = new Uint8Array(reader.version.sizeBytes);
    let at = 0;
    const write = (bytes: Uint8Array): Promise<void> => {
      out.set(bytes, at);
      at += bytes.length;
      return Promise.resolve();
    };
    await reader.stream({ write }, 0, out.length);
    return out;
  }

  async writeDocument(path: string, bytes: Uint8Array): Promise<void> {
    await using staged = await this.stage({
      bucket: SYSTEM_BUCKET,
      key: path,
      body: sourceOf(bytes),
      sizeBytes: bytes.length,
      digests: MD5,
      storageClass: "STANDARD",
      inline: "unversioned",
      signal: NO_SIGNAL,
    });
    const etag = Buffer.from(staged.digests.md5).toString("hex");
    const contentType = path.endsWith(".json") ? "application/json" : "application/octet-stream";
    const metaUsr = new Map([
      ["etag", etag],
      ["content-type", contentType],
    ]);
    await this.commit({
      bucket: SYSTEM_BUCKET,
      key: path,
      reads: "none",
      signal: NO_SIGNAL,
      decide: () => ({ kind: "put", versionId: NULL_VERSION_ID, staged, metaUsr, metaSys: new Map() }),
    });
  }

  async removeDocument(path: string): Promise<void> {
    await this.commit({
      bucket: SYSTEM_BUCKET,
      key: path,
      reads: "latest",
      signal: NO_SIGNAL,
      decide: (current) => (current === null ? null : { kind: "delete-version", versionId: current.versionId }),
    });
  }

  /** From a walk: system objects are in no key index. */
  async listDocuments(prefix: string): Promise<readonly string[]> {
    const options = {
      setsOf: (path: string) => this.setsOf(path),
      allSets: this.allSets,
      bucket: SYSTEM_BUCKET,
      prefix,
      signal: NO_SIGNAL,
    };
    const found: string[] = [];
    for (let after = ""; ; ) {
      const request = {
        ...options,
        delimiter: "",
        after,
        inclusive: false,
        limit: DOCUMENTS_A_PAGE,
        allVersions: false,
      };
      const page = await walkPage(options, request);
      found.push(...page.entries.map((entry) => entry.key));
      if (!page.isTruncated) return found;
      after = page.next;
    }
  }

  // ---- versions

  async readVersion(bucket: string, key: string, versionId?: string): Promise<StoredVersion | null> {
    const path = pathOf(bucket, key);
    const sets = this.setsOf(path.path);
    const quick = quickRead(sets, path, versionId, false);
    if (quick !== null) return quick.version;
    const located = await locateKey(sets, path);
    const found = findVersion(located, versionId);
    return found === undefined ? null : this.stored(located, found);
  }

  async openVersion(bucket: string, key: string, versionId?: string): Promise<VersionReader | null> {
    const path = pathOf(bucket, key);
    const sets = this.setsOf(path.path);
    const quick = quickRead(sets, path, versionId, true);
    if (quick !== null) return new PinnedVersion(quick.version, quick.data, NOTHING_TO_KEEP);
    const pin = new ReadPin(sets, path); // before reading: what is found stays readable
    try {
      const located = await locateKey(sets, path);
      const found = findVersion(located, versionId);
      if (found === undefined) {
        pin[Symbol.dispose]();
        return null;
      }
      const version = this.stored(located, found);
      const opening = version.isDeleteMarker ? NO_DATA : openData(found.set, found.reading, found.merged);
      const data = opening instanceof Promise ? await opening : opening;
      if (data !== null) return new PinnedVersion(version, data, pin);
      pin[Symbol.dispose]();
      return await this.openVersion(bucket, key, versionId); // it was replaced meanwhile: what replaced it is the answer
    } catch (error) {
      pin[Symbol.dispose]();
      throw error;
    }
  }

  private stored(located: LocatedKey, found: Found): StoredVersion {
    return storedVersion(found.reading, found.merged, {
      isLatest: found.isLatest,
      versionCount: located.versions.length,
    });
  }

  async stage(request: StageRequest): Promise<Staged> {
    const path = pathOf(request.bucket, request.key);
    const pinned = request.upload === undefined ? null : this.uploads.placeOf(request.upload);
    const clientBytes = request.clientBytes?.() ?? request.sizeBytes ?? 0;
    const set = pinned?.set ?? (await this.setForWrite(path, clientBytes));
    const parity = pinned?.parity ?? set.parityFor(request.bucket, request.storageClass);
    const shards = await stageShards(set, {
      body: request.body,
      sizeBytes: request.sizeBytes,
      sizeIsMax: request.sizeIsMax === true,
      clientBytes: request.clientBytes ?? null,
      digests: request.digests,
      parity,
      dist: pinned?.dist ?? set.distribution(path),
      part: pinned === null ? 1 : pinned.nextPart,
      dataDir: pinned?.dataDir ?? set.resources.rng.uuid(),
      inlineAllowed:
        request.inline !== "never" &&
        request.sizeIsMax !== true &&
        inlineFits(set, request.inline, clientBytes, parity),
      isPart: pinned !== null,
      signal: request.signal,
    });
    return new StagedHandle(shards);
  }

  private async setForWrite(path: ObjectPath, sizeBytes: number): Promise<ErasureSet> {
    const sets = this.setsOf(path.path);
    if (sets.length === 1) return sets[0] as ErasureSet;
    const located = await locateKey(sets, path);
    const newest = located.versions[0]?.set;
    if (newest !== undefined && this.options.pools[newest.poolIndex]?.isSuspended === false) return newest;
    return sets[await this.chooser.choose(sets, sizeBytes, path.bucket === SYSTEM_BUCKET)] as ErasureSet;
  }

  async commit(request: CommitRequest): Promise<Committed | null> {
    const path = pathOf(request.bucket, request.key);
    const sets = this.setsOf(path.path);
    const name = nameOf(path);
    using _ = this.locks.take(name) ?? (await this.locks.acquire(name));
    request.signal.throwIfAborted();
    const located = request.reads === "none" ? null : await locateKey(sets, path, true);
    const found =
      located === null
        ? undefined
        : findVersion(
            located,
            request.reads === "latest" || request.reads === "none" ? undefined : request.reads.versionId,
          );
    const current = located === null || found === undefined ? null : this.stored(located, found);
    const change = request.decide(current, this.lookupIn(located));
    return change === null ? null : await this.apply(path, located, change);
  }

  /** For decisions: every version that was located. */
  lookupIn(located: LocatedKey | null): VersionLookup {
    return (versionId) => {
      const found = located === null ? undefined : findVersion(located, versionId);
      return located === null || found === undefined ? null : this.stored(located, found);
    };
  }

  /** One pool orders its writes by itself, several only by stamps. */
  async newestStamp(path: ObjectPath): Promise<Stamp> {
    return this.options.pools.length === 1 ? 0n : highestOf(await locateKey(this.setsOf(path.path), path));
  }

  private async apply(path: ObjectPath, located: LocatedKey | null, change: VersionChange): Promise<Committed> {
    const above = located === null ? await this.newestStamp(path) : highestOf(located);
    if (change.kind === "put") {
      const staged = change.staged.handle as StagedShards;
      const reading = readingOf(located, staged.set);
      const stamp = await commitChange(
        staged.set,
        {
          key: path,
          quorum: writeQuorum(staged.k, staged.m),
          removes: false,
          changeFor: putStaged(staged, change),
          reading,
          above,
        },
        this.background,
      );
      return { versionId: change.versionId, modTimeNs: change.modTimeNs ?? stamp };
    }
    const holders =
      located?.versions.filter(
        (v) => change.kind === "delete-marker" || v.merged.header.versionId === change.versionId,
      ) ?? [];
    if (change.kind === "delete-marker") {
      const set = holders[0]?.set ?? (await this.setForWrite(path, 0));
      const reading = readingOf(located, set);
      const stamp = await commitChange(
        set,
        {
          key: path,
          quorum: deleteQuorum(set.size),
          removes: false,
          changeFor: deleteMarkerChange(change.versionId),
          reading,
          above,
        },
        this.background,
      );
      return { versionId: change.versionId, modTimeNs: stamp };
    }
    return await this.changeOld(path, located, change, holders);
  }

  /** Of versions that are there: in the pools that hold them. */
  private async changeOld(
    path: ObjectPath,
    located: LocatedKey | null,
    change: Extract<VersionChange, { kind: "patch" | "delete-version" }>,
    holders: readonly PlacedVersion[],
  ): Promise<Committed> {
    let stamp: Stamp = 0n;
    const drop: Change =
      change.kind === "patch"
        ? {
            kind: "patch",
            versionId: change.versionId,
            metaUsr: change.metaUsr ?? new Map(),
            metaSys: change.metaSys ?? new Map(),
          }
        : { kind: "delete-version", versionId: change.versionId };
    const targets =
      change.kind === "patch"
        ? holders.slice(0, 1)
        : poolsToClear(located?.pools ?? [], change.versionId, holders[0]?.set ?? null);
    for (const { set, reading } of targets)
      stamp = await commitChange(
        set,
        {
          key: path,
          quorum: deleteQuorum(set.size),
          removes: change.kind === "delete-version",
          changeFor: () => drop,
          reading,
        },
        this.background,
      );
    return { versionId: change.versionId, modTimeNs: holders[0]?.merged.header.modTime ?? stamp };
  }

  list(request: ListRequest): Promise<ListPage> {
    return listPage(
      {
        setsOf: (path) => this.setsOf(path),
        allSets: this.allSets,
        bucket: request.bucket,
        prefix: request.prefix,
        signal: request.signal,
      },
      request,
    );
  }

  usage(bucket: string): Promise<StoredUsage | null> {
    const where = { bucket, prefix: "", delimiter: "", after: "", inclusive: false };
    const asked = { ...where, limit: USAGE_KEYS_MAX, allVersions: true, signal: NO_SIGNAL };
    return bucketUsage(this.allSets, bucket, () => this.list(asked));
  }

  // ---- uploads: uploads.ts

  createUpload(request: Parameters<Store["createUpload"]>[0]): Promise<UploadState> {
    return this.uploads.create(request);
  }
  openUpload(bucket: string, key: string, uploadId: string): Promise<UploadState | null> {
    return this.uploads.open(bucket, key, uploadId);
  }
  listUploads(bucket: string, prefix: string): Promise<readonly UploadState[]> {
    return this.uploads.list(bucket, prefix);
  }
  putPart(ref: UploadRef, staged: Staged, part: Omit<UploadPart, "modTimeNs">): Promise<UploadPart> {
    return this.uploads.putPart(ref, staged, part);
  }
  listParts(ref: UploadRef, only?: PartNumbers): Promise<readonly UploadPart[]> {
    return this.uploads.listParts(ref, only);
  }
  completeUpload(request: Parameters<Store["completeUpload"]>[0]): Promise<Committed> {
    return this.uploads.complete(request);
  }
  abortUpload(ref: UploadRef): Promise<void> {
    return this.uploads.abort(ref);
  }

  /** For uploads.ts: set of a new key. */
  placeNew(path: ObjectPath): Promise<ErasureSet> {
    return this.setForWrite(path, 0);
  }
  async latestOf(path: ObjectPath): Promise<{ readonly located: LocatedKey; readonly current: StoredVersion | null }> {
    const located = await locateKey(this.setsOf(path.path), path, true);
    const found = findVersion(located, undefined);
    return { located, current: found === undefined ? null : this.stored(located, found) };
  }
}

class StagedHandle implements Staged {
  readonly sizeBytes: number;
  readonly digests: StagedDigests;

  constructor(readonly handle: StagedShards) {
    this.sizeBytes = handle.sizeBytes;
    this.digests = handle.digests;
  }
  [Symbol.asyncDispose](): Promise<void> {
    return this.handle.discard();
  }
}

/**
 * A stale copy of a removed version in another pool would come back: it goes from all of them. The one that is shown goes last: if a
 * pool refuses, no stale copy takes its place.
 */
function poolsToClear(
  pools: readonly PoolReading[],
  versionId: string,
  shown: ErasureSet | null,
): readonly PoolReading[] {
  const targets: PoolReading[] = [];
  let last: PoolReading | null = null;
  for (const pool of pools) {
    if (!mayHold(pool.reading.merged, versionId)) continue;
    if (pool.set === shown) last = pool;
    else targets.push(pool);
  }
  if (last !== null) targets.push(last);
  return targets;
}

/** It holds the version, or does unless drives that do not answer say otherwise. */
function mayHold({ versions, undecided }: Merged, versionId: string): boolean {
  return (
    versions.some(({ header }) => header.versionId === versionId) ||
    undecided.some((header) => header.versionId === versionId)
  );
}

/** What was read of the key in the pool of this set. */
function readingOf(located: LocatedKey | null, set: ErasureSet): KeyReading | null {
  if (located !== null) for (const pool of located.pools) if (pool.set === set) return pool.reading;
  return null;
}

/** on-disk-format.md §5.9: by the shard's size, an eighth of the limit in versioned buckets. */
function inlineFits(set: ErasureSet, inline: StageRequest["inline"], clientBytes: number, parity: number): boolean {
  const k = set.size - parity;
  const blocks = Math.floor(clientBytes / 1048576);
  const shardBytes = blocks * Math.ceil(1048576 / k) + Math.ceil((clientBytes - blocks * 1048576) / k);
  const limit = set.resources.inlineBytesMax;
  return shardBytes <= (inline === "versioned" ? Math.floor(limit / 8) : limit);
}
