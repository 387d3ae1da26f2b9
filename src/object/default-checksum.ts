/** The checksum that an upload gets when its client brings none: S3's default, CRC64NVME, unless the operator wants none. Source: s3-api.md §3.2, §8. */
import { type ChecksumAlgorithm, checksumAlgorithmOf, checksumToBase64 } from "../codec/checksum.ts";
import type { UploadPart } from "../erasure/store.ts";
import type { ObjectContext } from "./context.ts";
import type { ChecksumName, ChecksumType, Digests, ObjectBody } from "./types.ts";

/** The body, with a checksum in any case where there is a default. */
export function withDefaultChecksum(ctx: ObjectContext, body: ObjectBody): ObjectBody {
  const name = ctx.defaultChecksum;
  if (name === null || body.declares !== null) return body;
  return new BodyWithChecksum(body, checksumAlgorithmOf(name));
}

class BodyWithChecksum implements ObjectBody {
  readonly declares: ChecksumName;
  readonly digests: number;
  private found: Digests | null = null;

  constructor(
    private readonly body: ObjectBody,
    private readonly algorithm: ChecksumAlgorithm,
  ) {
    this.declares = algorithm.name;
    this.digests = body.digests | algorithm.flag;
  }

  get sizeBytes(): number {
    return this.body.sizeBytes;
  }
  get sizeIsMax(): boolean {
    return this.body.sizeIsMax === true;
  }

  next(): Promise<Uint8Array | null> {
    return this.body.next();
  }
  verify(digests: Digests): void {
    this.body.verify(digests);
    this.found = digests;
  }
  checksum(): { readonly algorithm: ChecksumName; readonly value: string } | null {
    const { found, algorithm } = this;
    return found === null ? null : { algorithm: algorithm.name, value: checksumToBase64(found[algorithm.digest]) };
  }
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
