/** ObjectError: what an S3 operation may refuse, without HTTP. s3/errors.ts maps every code; the union is closed. */
import { OperatingError } from "../core/errors.ts";

export type ObjectErrorCode =
  | "NoSuchBucket"
  | "NoSuchKey"
  | "NoSuchVersion"
  | "NoSuchUpload"
  | "DeleteMarker"
  | "NotModified"
  | "PreconditionFailed"
  | "BucketAlreadyOwnedByYou"
  | "BucketNotEmpty"
  | "InvalidBucketName"
  | "InvalidObjectName"
  | "KeyTooLong"
  | "ReservedBucket"
  | "InvalidPart"
  | "InvalidPartOrder"
  | "InvalidPartNumber"
  | "EntityTooSmall"
  | "EntityTooLarge"
  | "IncompleteBody"
  | "InvalidRange"
  | "InvalidArgument"
  | "InvalidRequest"
  | "InvalidCopy"
  | "InvalidBucketState"
  | "InvalidWriteOffset"
  | "EncryptionMismatch"
  | "Conflict"
  | "InvalidTag"
  | "BadDigest"
  | "ChecksumMismatch"
  | "ObjectExistsAsDirectory"
  | "ObjectLocked"
  | "NoSuchLock"
  | "QuotaExceeded"
  | "MethodNotAllowed"
  | "NotImplemented"
  | "WrongKey"
  | "ObjectTampered"
  | "KmsNotConfigured"
  | "KmsKeyNotFound"
  | "KmsUnavailable";

export class ObjectError extends OperatingError<ObjectErrorCode> {}

export function notFound(versionId: string | undefined): ObjectError {
  return versionId === undefined
    ? new ObjectError("NoSuchKey", "The specified key does not exist.")
    : new ObjectError("NoSuchVersion", "The specified version does not exist.", { versionId });
}
