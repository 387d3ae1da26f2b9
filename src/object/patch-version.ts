/** A change of the metadata of one version, named or the latest: what tags, access control lists and object locks share. */
import type { StoredVersion } from "../erasure/store.ts";
import { bucketOf, type ObjectContext } from "./context.ts";
import { notFound } from "./errors.ts";
import { demandVisible } from "./get-object.ts";
import { checkKey } from "./names.ts";
import type { TaggingRequest } from "./types.ts";

export interface MetadataPatch {
  /** null removes. */
  readonly metaUsr?: ReadonlyMap<string, string | null>;
  readonly metaSys?: ReadonlyMap<string, Uint8Array | null>;
}

/** `patchOf` sees the version under the key's lock. Returns the version touched. Throws ObjectError when there is none. */
export async function patchVersion(
  ctx: ObjectContext,
  request: TaggingRequest,
  patchOf: (current: StoredVersion) => MetadataPatch,
): Promise<{ readonly versionId: string }> {
  checkKey(request.key);
  await bucketOf(ctx, request.bucket);
  let versionId = "null";
  await ctx.store.commit({
    bucket: request.bucket,
    key: request.key,
    reads: request.versionId === undefined ? "latest" : { versionId: request.versionId },
    signal: request.signal,
    decide(current) {
      if (current === null) throw notFound(request.versionId);
      demandVisible(current, request.versionId);
      versionId = current.versionId;
      return { kind: "patch", versionId, ...patchOf(current) };
    },
  });
  return { versionId };
}
