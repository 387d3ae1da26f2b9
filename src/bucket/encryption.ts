/** Default encryption of a bucket: its document, judged and read. Pure. Source: s3-api.md §4.14. */
import { allChildren, firstChild, storedDocument, textOf, type XmlElement } from "../core/xml.ts";
import { malformed } from "./document-error.ts";

/** As it is stored. `keyId`: which must be there; null = the server's default key. */
export function storedEncryption(root: XmlElement): { readonly document: Uint8Array; readonly keyId: string | null } {
  const rules = allChildren(root, "Rule");
  const [rule] = rules;
  const byDefault = rule === undefined ? undefined : firstChild(rule, "ApplyServerSideEncryptionByDefault");
  if (rules.length !== 1 || byDefault === undefined)
    throw malformed("An encryption configuration has one rule with a default.");
  const algorithm = textOf(byDefault, "SSEAlgorithm");
  const keyId = textOf(byDefault, "KMSMasterKeyID");
  if (algorithm !== "AES256" && algorithm !== "aws:kms")
    throw malformed("The encryption algorithm must be AES256 or aws:kms.");
  if (algorithm === "AES256" && keyId !== undefined) throw malformed("Only aws:kms takes a KMS key.");
  const nodes = [
    ["SSEAlgorithm", algorithm] as const,
    keyId === undefined ? null : (["KMSMasterKeyID", keyId] as const),
  ];
  const document = storedDocument("ServerSideEncryptionConfiguration", [
    ["Rule", [["ApplyServerSideEncryptionByDefault", nodes]]],
  ]);
  return { document, keyId: keyId === undefined ? null : withoutArn(keyId) };
}

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
