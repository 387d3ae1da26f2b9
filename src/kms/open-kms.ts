/** Which KMS the options ask for; at most one. Throws KmsError with words for the operator. */
import { BuiltinKms, type KmsMeans } from "./builtin-kms.ts";
import { type Kms, KmsError } from "./kms.ts";

export interface KmsOptions {
  readonly kmsSecretKey: string;
}

export function openKms(options: KmsOptions, means: KmsMeans): Kms | null {
  if (options.kmsSecretKey === "") return null;
  const kms = BuiltinKms.parse(options.kmsSecretKey, means);
  if (kms === null)
    throw new KmsError("NotSupported", "MINIO_KMS_SECRET_KEY must be NAME:KEY, where KEY is base64 of 32 bytes.");
  return kms;
}
