/**
 * The ETag that clients know the current version by, for the conditions of writes and deletes: of SSE-S3 it is the MD5, which only
 * the object key shows. It is opened before the write takes its lock, under which no KMS is asked; a version that came meanwhile is
 * then another one, which the condition does not mean.
 */
import type { StoredVersion } from "../erasure/store.ts";
import type { ObjectContext } from "./context.ts";
import { encryptionKind, isSealedEtag, opaqueEtag, openObjectKey, shownEtag } from "./object-key.ts";
import type { Conditions, ObjectTarget } from "./types.ts";

export type EtagOf = (version: StoredVersion) => string;

const storedEtag = (version: StoredVersion): string => version.metaUsr.get("etag") ?? "";
const opaque: EtagOf = (version) => opaqueEtag(storedEtag(version));

/**
 * Throws ObjectError when a condition names an ETag, and the key of what is there is not to be had. Without waiting where none is
 * named, as nearly always.
 */
export function etagForConditions(
  ctx: ObjectContext,
  target: Pick<ObjectTarget, "bucket" | "key">,
  conditions: Conditions,
  versionId?: string,
): EtagOf | Promise<EtagOf> {
  return ctx.transforms.kms === null || !namesEtag(conditions) ? opaque : etagOfCurrent(ctx, target, versionId);
}

async function etagOfCurrent(
  ctx: ObjectContext,
  { bucket, key }: Pick<ObjectTarget, "bucket" | "key">,
  versionId: string | undefined,
): Promise<EtagOf> {
  const current = await ctx.store.readVersion(bucket, key, versionId);
  if (current === null || current.isDeleteMarker) return opaque;
  const sealed = storedEtag(current);
  if (encryptionKind(current.metaSys) !== "SSE-S3" || !isSealedEtag(sealed)) return opaque;
  const shown = await openEtag(ctx, { bucket, key }, current);
  return (version) => (storedEtag(version) === sealed ? shown : opaque(version));
}

function namesEtag({ ifMatch, ifNoneMatch }: Conditions): boolean {
  const isOne = (etag: string): boolean => etag !== "*";
  return ifMatch?.some(isOne) === true || ifNoneMatch?.some(isOne) === true;
}

/** Of a version that is encrypted by SSE-S3. */
export async function openEtag(
  { transforms }: ObjectContext,
  place: { readonly bucket: string; readonly key: string },
  version: StoredVersion,
): Promise<string> {
  const sealed = storedEtag(version);
  const known = transforms.etags.get(sealed);
  if (known !== undefined) return known;
  const objectKey = await openObjectKey(transforms, place, version.metaSys, null);
  try {
    const shown = shownEtag(transforms.codec, "SSE-S3", objectKey, sealed);
    transforms.etags.remember(sealed, shown);
    return shown;
  } finally {
    objectKey.fill(0);
  }
}
