/**
 * The coding of an upload in progress: its object key opened for a part, for the ETags that clients know, and for the checksum
 * of the whole. Source: s3-api.md §4.14, on-disk-format.md §5.13, §6.
 */
import type { UploadPart, UploadState } from "../erasure/store.ts";
import { encryptionInfo } from "./content.ts";
import type { ObjectContext } from "./context.ts";
import { ObjectError } from "./errors.ts";
import { Coding, uploadIsCompressed } from "./new-coding.ts";
import { encryptionKind, isSealedEtag, opaqueEtag, openObjectKey, shownEtag } from "./object-key.ts";

/** Throws ObjectError when the client's key is missing, wrong, or given for nothing. */
export async function uploadCoding(
  ctx: ObjectContext,
  state: UploadState,
  customerKey: Uint8Array | undefined,
): Promise<Coding> {
  const { metaSys, ref } = state;
  const kind = encryptionKind(metaSys);
  if (kind !== "SSE-C" && customerKey !== undefined)
    throw new ObjectError(
      "InvalidRequest",
      "The encryption parameters are not those that the upload was started with.",
    );
  const compressed = uploadIsCompressed(metaSys);
  if (kind === null) return new Coding(null, compressed, null, new Map());
  const key = await openObjectKey(ctx.transforms, ref, metaSys, customerKey ?? null);
  return new Coding(key, compressed, encryptionInfo(metaSys, customerKey), new Map());
}

/** For Complete, which clients send without their key: null when there is none to be had. */
export async function completionCoding(
  ctx: ObjectContext,
  state: UploadState,
  customerKey: Uint8Array | undefined,
): Promise<Coding | null> {
  if (encryptionKind(state.metaSys) === "SSE-C" && customerKey === undefined) return null;
  return await uploadCoding(ctx, state, customerKey);
}

/** ETags of parts as clients know them, in the order of `parts`. */
export async function shownPartEtags(
  ctx: ObjectContext,
  state: UploadState,
  parts: readonly Pick<UploadPart, "etag">[],
): Promise<readonly string[]> {
  const kind = encryptionKind(state.metaSys);
  if (kind !== "SSE-S3" || !parts.some((part) => isSealedEtag(part.etag)))
    return parts.map((part) => opaqueEtag(part.etag));
  const key = await openObjectKey(ctx.transforms, state.ref, state.metaSys, null);
  try {
    return parts.map((part) => shownEtag(ctx.transforms.codec, kind, key, part.etag));
  } finally {
    key.fill(0);
  }
}
