/** GetObject and HeadObject: find the version, judge the conditions, open it. Headers are known before bytes move. */
import type { StoredVersion } from "../erasure/store.ts";
import { contentOf } from "./content.ts";
import { bucketOf, type ObjectContext } from "./context.ts";
import { notFound, ObjectError } from "./errors.ts";
import { demandAlive, expiryOfVersion } from "./expiry.ts";
import { checkKey } from "./names.ts";
import { judgeRead } from "./precondition.ts";
import type { OpenedObject, OpenObjectRequest } from "./types.ts";
import { modTimeMs } from "./version-info.ts";

export async function openObject(ctx: ObjectContext, request: OpenObjectRequest): Promise<OpenedObject> {
  checkKey(request.key);
  const bucket = await bucketOf(ctx, request.bucket);
  const reader = await ctx.store.openVersion(request.bucket, request.key, request.versionId);
  if (reader === null) throw notFound(request.versionId);
  try {
    demandVisible(reader.version, request.versionId);
    const expiry = expiryOfVersion(ctx, bucket, request.key, reader.version);
    demandAlive(ctx, expiry, request.versionId);
    const content = await contentOf(ctx, request, reader, request.customerKey);
    const { info, inline, stream } = content;
    const verdict = judgeRead(request.conditions, { etag: info.etag, modTimeMs: modTimeMs(reader.version) });
    if (verdict === "failed")
      throw new ObjectError("PreconditionFailed", "At least one of the pre-conditions you specified did not hold.", {
        info,
      });
    if (verdict === "not-modified") throw new ObjectError("NotModified", "Not Modified", { info });
    return {
      info,
      expiry,
      inline,
      stream,
      [Symbol.asyncDispose]() {
        content.close();
        return reader[Symbol.asyncDispose]();
      },
    };
  } catch (error) {
    await reader[Symbol.asyncDispose]();
    throw error;
  }
}

/** Delete markers are not content; the wire says so with the marker's id. */
export function demandVisible(version: StoredVersion, versionId: string | undefined): void {
  if (!version.isDeleteMarker) return;
  throw new ObjectError(
    "DeleteMarker",
    versionId === undefined
      ? "The specified key does not exist."
      : "The specified method is not allowed against this resource.",
    {
      versionId: version.versionId,
      modTimeNs: version.modTimeNs,
      named: versionId !== undefined,
    },
  );
}
