/** The checksum that an upload gets when its client brings none: S3's default, CRC64NVME, unless the operator wants none. Source: s3-api.md §3.2, §8. */
import { checksumAlgorithmOf, checksumToBase64 } from "../codec/checksum.ts";
import type { UploadPart } from "../erasure/store.ts";
import type { ObjectContext } from "./context.ts";
import type { ChecksumName, ChecksumType, Digests, ObjectBody } from "./types.ts";

/** The body, with a checksum in any case where there is a default. */
export function withDefaultChecksum(ctx: ObjectContext, body: ObjectBody): ObjectBody {
  const name = ctx.defaultChecksum;
  if (name === null || body.declares !== null) return body;
  const { digest, flag } = checksumAlgorithmOf(name);
  let found: Digests | null = null;
  return {
    sizeBytes: body.sizeBytes,
    sizeIsMax: body.sizeIsMax === true,
    declares: name,
    digests: body.digests | flag,
    next: () => body.next(),
    verify(digests) {
      body.verify(digests);
      found = digests;
    },
    checksum: () => (found === null ? null : { algorithm: name, value: checksumToBase64(found[digest]) }),
  };
}

/** Of an upload that was created without an algorithm: what all of these parts have; null = there is none. */
export function checksumOfParts(
  ctx: ObjectContext,
  parts: readonly Pick<UploadPart, "checksums">[],
): { readonly algorithm: ChecksumName; readonly type: ChecksumType } | null {
  const algorithm = ctx.defaultChecksum;
  return algorithm !== null && parts.every((part) => part.checksums.has(algorithm))
    ? { algorithm, type: "FULL_OBJECT" }
    : null;
}
