/** DocumentError: a bucket's setting that a client wants to store is not a valid one. s3/errors.ts maps every code. */
import { OperatingError } from "../core/errors.ts";

export type DocumentErrorCode =
  | "Malformed"
  | "InvalidArgument"
  | "InvalidRequest"
  | "InvalidRetentionPeriod"
  | "IllegalVersioningConfiguration"
  | "InvalidStorageClass"
  | "LifecycleWithObjectLock"
  | "UnsupportedNotification"
  | "NoSuchRemoteTarget";

export class DocumentError extends OperatingError<DocumentErrorCode> {}

export function malformed(message: string): DocumentError {
  return new DocumentError("Malformed", message);
}
