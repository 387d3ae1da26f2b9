/** Default encryption of a bucket, from its stored document. Pure. Source: s3-api.md §4.14. */
export type BucketEncryption =
  | { readonly algorithm: "AES256" }
  | {
      readonly algorithm: "aws:kms";
      /** null = the server's default key. */
      readonly keyId: string | null;
    };

/** Throws when it orders what cannot be done: data must not be stored in the clear where encryption was ordered. */
export function defaultEncryption(document: Uint8Array): BucketEncryption {
  const text = new TextDecoder().decode(document);
  const algorithm = /<SSEAlgorithm>\s*([^<\s]*)\s*<\/SSEAlgorithm>/.exec(text)?.[1];
  const keyId = /<KMSMasterKeyID>\s*([^<\s]*)\s*<\/KMSMasterKeyID>/.exec(text)?.[1] ?? "";
  if (algorithm === "AES256") return { algorithm };
  if (algorithm === "aws:kms") return { algorithm, keyId: keyId === "" ? null : withoutArn(keyId) };
  throw new Error("the bucket's stored default encryption names no known algorithm");
}

const ARN = "arn:aws:kms:";
/** Clients may write a key as an ARN. */
export function withoutArn(keyId: string): string {
  return keyId.startsWith(ARN) ? keyId.slice(ARN.length) : keyId;
}
