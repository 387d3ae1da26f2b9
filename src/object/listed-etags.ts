/**
 * ETags of encrypted objects in listings. A listing knows only the sealed form; of SSE-S3 the MD5 must be shown, for which the
 * version's own metadata and the KMS are needed: looked up once, and remembered.
 */
import type { ObjectContext } from "./context.ts";
import { ObjectError } from "./errors.ts";
import { openEtag } from "./known-etag.ts";
import { encryptionKind, isSealedEtag, opaqueEtag } from "./object-key.ts";
import type { ListedObject } from "./types.ts";

const KNOWN_MAX = 32_768;
const LOOKUPS_AT_ONCE = 16;

/** Sealed ETag, which is unique, to the one that is shown. */
export class KnownEtags {
  private readonly known = new Map<string, string>();
  get(sealed: string): string | undefined {
    return this.known.get(sealed);
  }
  remember(sealed: string, shown: string): void {
    if (this.known.size >= KNOWN_MAX) this.known.clear();
    this.known.set(sealed, shown);
  }
}

/** The same objects with the ETags that clients know. */
export async function withShownEtags(
  ctx: ObjectContext,
  bucket: string,
  objects: readonly ListedObject[],
): Promise<readonly ListedObject[]> {
  const sealed = [...objects.keys()].filter((i) => isSealedEtag((objects[i] as ListedObject).version.etag));
  if (sealed.length === 0) return objects;
  const out = [...objects];
  const lanes = Array.from({ length: Math.min(LOOKUPS_AT_ONCE, sealed.length) }, async (_, lane) => {
    for (let at = lane; at < sealed.length; at += LOOKUPS_AT_ONCE) {
      const i = sealed[at] as number;
      const object = objects[i] as ListedObject;
      out[i] = { ...object, version: { ...object.version, etag: await shownOf(ctx, bucket, object) } };
    }
  });
  await Promise.all(lanes);
  return out;
}

async function shownOf(ctx: ObjectContext, bucket: string, { key, version }: ListedObject): Promise<string> {
  const known = ctx.transforms.etags.get(version.etag);
  if (known !== undefined) return known;
  const stored = await ctx.store.readVersion(bucket, key, version.versionId);
  const kind = stored === null ? null : encryptionKind(stored.metaSys);
  if (stored === null || kind !== "SSE-S3" || stored.metaUsr.get("etag") !== version.etag)
    return opaqueEtag(version.etag);
  try {
    return await openEtag(ctx, { bucket, key }, stored);
  } catch (error) {
    if (error instanceof ObjectError) return opaqueEtag(version.etag); // a listing goes on without this object's key
    throw error;
  }
}
