/** Server-side encryption on the wire: what requests ask for, and what answers say. Source: s3-api.md §4.14. */
import { createHash } from "node:crypto";
import { withoutArn } from "../bucket/encryption.ts";
import type { Encryption, EncryptionInfo } from "../object/types.ts";
import type { Call } from "./call.ts";
import { WireError } from "./wire-error.ts";

const PREFIX = "x-amz-server-side-encryption";
const KMS_KEY = `${PREFIX}-aws-kms-key-id`;
/** The three headers that give a customer's key. */
const CUSTOMER_KEY = {
  object: customerHeaders(PREFIX),
  "copy-source": customerHeaders("x-amz-copy-source-server-side-encryption"),
} as const;
const KEY_BYTES = 32;
const ARN = "arn:aws:kms:";

function customerHeaders(prefix: string) {
  return {
    algorithm: `${prefix}-customer-algorithm`,
    key: `${prefix}-customer-key`,
    md5: `${prefix}-customer-key-md5`,
  } as const;
}

/** Of a new object; undefined = as the bucket says. */
export function encryptionFrom(call: Call): Encryption | undefined {
  const key = customerKeyFrom(call);
  const algorithm = call.parameter(PREFIX);
  const keyId = call.parameter(KMS_KEY);
  const context = call.parameter(`${PREFIX}-context`);
  if (algorithm === undefined) {
    if (keyId !== undefined || context !== undefined)
      throw new WireError("InvalidArgument", "A KMS key or context needs x-amz-server-side-encryption: aws:kms.");
    return key === undefined ? undefined : { kind: "SSE-C", key };
  }
  if (key !== undefined)
    throw new WireError(
      "InvalidArgument",
      "Server Side Encryption with Customer provided key is incompatible with the encryption method specified.",
    );
  if (algorithm === "AES256") {
    if (keyId !== undefined)
      throw new WireError("InvalidArgument", "x-amz-server-side-encryption: AES256 takes no KMS key.");
    return { kind: "SSE-S3" };
  }
  if (algorithm !== "aws:kms")
    throw new WireError("InvalidArgument", "The encryption method specified is not supported.");
  const named = withoutArn((keyId ?? "").trim());
  if (keyId !== undefined && named === "") throw new WireError("InvalidArgument", "The KMS key has no name.");
  return { kind: "SSE-KMS", keyId: keyId === undefined ? null : named, context: context ?? "" };
}

/** The client's key; undefined = none. Throws unless all three headers are there and right, over TLS. */
export function customerKeyFrom(call: Call, of: keyof typeof CUSTOMER_KEY = "object"): Uint8Array | undefined {
  const names = CUSTOMER_KEY[of];
  const algorithm = call.parameter(names.algorithm);
  const encoded = call.parameter(names.key);
  const md5 = call.parameter(names.md5);
  if (algorithm === undefined && encoded === undefined && md5 === undefined) return undefined;
  if (!call.request.isTls)
    throw new WireError(
      "InvalidRequest",
      "Requests specifying Server Side Encryption with Customer provided keys must be made over a secure connection.",
    );
  if (algorithm !== "AES256")
    throw new WireError(
      "InvalidArgument",
      "Requests specifying Server Side Encryption with Customer provided keys must provide a valid encryption algorithm.",
    );
  const key = new Uint8Array(Buffer.from(encoded ?? "", "base64"));
  if (encoded === undefined || key.length !== KEY_BYTES)
    throw new WireError("InvalidArgument", "The secret key was invalid for the specified algorithm.");
  if (md5 === undefined)
    throw new WireError(
      "InvalidArgument",
      "Requests specifying Server Side Encryption with Customer provided keys must provide the client calculated MD5 of the secret key.",
    );
  if (createHash("md5").update(key).digest("base64") !== md5)
    throw new WireError(
      "InvalidArgument",
      "The calculated MD5 hash of the key did not match the hash that was provided.",
    );
  return key;
}

/** Of a request that reads: only the client's own key has a place there. */
export function readingKeyFrom(call: Call): Uint8Array | undefined {
  if (call.request.headers.has(PREFIX) || call.request.headers.has(KMS_KEY))
    throw new WireError(
      "BadRequest",
      "Encryption headers other than those of a customer key have no meaning on reading.",
    );
  return customerKeyFrom(call);
}

export function encryptionHeaders(info: EncryptionInfo | null): Record<string, string> {
  if (info === null) return {};
  if (info.kind === "SSE-S3") return { [PREFIX]: "AES256" };
  if (info.kind === "SSE-C")
    return {
      [`${PREFIX}-customer-algorithm`]: "AES256",
      ...(info.customerKeyMd5 === "" ? {} : { [`${PREFIX}-customer-key-MD5`]: info.customerKeyMd5 }),
    };
  return {
    [PREFIX]: "aws:kms",
    [KMS_KEY]: info.keyId.startsWith(ARN) ? info.keyId : `${ARN}${info.keyId}`,
    ...(info.context === "" ? {} : { [`${PREFIX}-context`]: info.context }),
  };
}
