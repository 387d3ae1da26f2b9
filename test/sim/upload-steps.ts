/** The steps of a multipart upload on a simulated store, each of which may fail alone. */
import { createHash } from "node:crypto";
import { sourceOf } from "../../src/core/byte-stream.ts";
import type { Pools } from "../../src/erasure/pools.ts";
import { NO_SIGNAL } from "./simulated-store.ts";

/** Its upload id. */
export async function beginUpload(pools: Pools, key: string): Promise<string> {
  const begun = await pools.createUpload({
    bucket: "bucket",
    key,
    versionId: "null",
    storageClass: "STANDARD",
    metaUsr: new Map(),
    metaSys: new Map(),
  });
  return begun.ref.uploadId;
}

export async function sendPart(
  pools: Pools,
  upload: { readonly key: string; readonly id: string },
  number: number,
  bytes: Uint8Array,
): Promise<void> {
  const state = await pools.openUpload("bucket", upload.key, upload.id);
  if (state === null) throw new Error("no such upload");
  await using staged = await pools.stage({
    bucket: "bucket",
    key: upload.key,
    body: sourceOf(bytes),
    sizeBytes: bytes.length,
    digests: 1,
    storageClass: "STANDARD",
    inline: "never",
    upload: state.ref,
    signal: NO_SIGNAL,
  });
  const etag = createHash("md5").update(bytes).digest("hex");
  const sizes = { sizeBytes: bytes.length, actualBytes: bytes.length };
  await pools.putPart(state.ref, staged, { number, etag, ...sizes, checksums: new Map() });
}

/** Of two parts. False: there is no such upload. */
export async function completeUpload(
  pools: Pools,
  upload: { readonly key: string; readonly id: string },
): Promise<boolean> {
  const state = await pools.openUpload("bucket", upload.key, upload.id);
  if (state === null) return false;
  const parts = await pools.listParts(state.ref);
  if (parts.length !== 2) throw new Error(`${parts.length} of 2 parts are listed`);
  await pools.completeUpload({
    ref: state.ref,
    versionId: state.versionId,
    parts,
    metaUsr: state.metaUsr,
    metaSys: state.metaSys,
    check: () => undefined,
    readsLatest: false,
    signal: NO_SIGNAL,
  });
  return true;
}
