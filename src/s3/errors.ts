/**
 * THE error table: every S3 code with its status and default message, and the mapping of the lower layers' codes to it,
 * complete at compile time. Source: s3-api.md §5.4.
 */
import type { DocumentErrorCode } from "../bucket/document-error.ts";
import type { ObjectErrorCode } from "../object/errors.ts";
import type { QuorumErrorCode } from "../core/quorum-error.ts";
import { SELECT_ERRORS } from "./select-errors.ts";

interface Row {
  readonly status: number;
  readonly message: string;
}
const row = (status: number, message: string): Row => ({ status, message });

export const S3_ERRORS = {
  ...SELECT_ERRORS,
  AccessControlListNotSupported: row(400, "The bucket does not allow ACLs"),
  AccessDenied: row(403, "Access Denied."),
  AccessForbidden: row(403, "This CORS request is not allowed."),
  AllAccessDisabled: row(403, "All access to this resource has been disabled."),
  AuthorizationHeaderMalformed: row(400, "The authorization header is malformed."),
  AuthorizationQueryParametersError: row(400, "The authorization query parameters are incomplete or wrong."),
  BadDigest: row(400, "The digest you specified did not match what we received."),
  BadRequest: row(400, "The request is malformed."),
  BucketAlreadyExists: row(
    409,
    "The requested bucket name is not available. The bucket namespace is shared by all users of the system. Please select a different name and try again.",
  ),
  BucketAlreadyOwnedByYou: row(
    409,
    "Your previous request to create the named bucket succeeded and you already own it.",
  ),
  BucketNotEmpty: row(409, "The bucket you tried to delete is not empty."),
  EntityTooLarge: row(400, "Your proposed upload exceeds the maximum allowed object size."),
  EntityTooSmall: row(400, "Your proposed upload is smaller than the minimum allowed object size."),
  ExcessData: row(400, "More data provided than indicated content length."),
  IllegalVersioningConfigurationException: row(400, "The versioning configuration is invalid."),
  IncompleteBody: row(400, "You did not provide the number of bytes specified by the Content-Length HTTP header."),
  InternalError: row(500, "We encountered an internal error, please try again."),
  InvalidAccessKeyId: row(403, "The AWS Access Key Id you provided does not exist in our records."),
  InvalidArgument: row(400, "Invalid Argument."),
  InvalidBucketAclWithObjectOwnership: row(
    400,
    "Bucket cannot have ACLs set with ObjectOwnership's BucketOwnerEnforced setting",
  ),
  InvalidBucketName: row(400, "The specified bucket is not valid."),
  InvalidBucketState: row(409, "The request is not valid with the current state of the bucket."),
  InvalidDigest: row(400, "The Content-Md5 you specified is not valid."),
  InvalidLifecycleWithObjectLock: row(400, "The lifecycle configuration is not possible with object lock."),
  InvalidObjectState: row(403, "The operation is not valid for the current state of the object."),
  InvalidPart: row(
    400,
    "One or more of the specified parts could not be found. The part may not have been uploaded, or the specified entity tag may not match the part's entity tag.",
  ),
  InvalidPolicyDocument: row(
    400,
    "The content of the form does not meet the conditions specified in the policy document.",
  ),
  InvalidPartNumber: row(416, "The requested partnumber is not satisfiable."),
  InvalidPartOrder: row(
    400,
    "The list of parts was not in ascending order. The parts list must be specified in order by part number.",
  ),
  InvalidRedirectLocation: row(
    400,
    "The website redirect location must have a prefix of 'http://' or 'https://' or '/'.",
  ),
  InvalidRetentionPeriod: row(400, "The retention period is not valid."),
  InvalidRange: row(416, "The requested range is not satisfiable."),
  InvalidRequest: row(400, "Invalid Request."),
  InvalidRegion: row(400, "Region does not match."),
  InvalidStorageClass: row(400, "Invalid storage class."),
  InvalidTag: row(400, "The tag provided was not a valid tag."),
  InvalidTokenId: row(403, "The security token included in the request is invalid."),
  "KMS.NotFoundException": row(400, "The specified KMS key does not exist."),
  KeyTooLongError: row(400, "Your key is too long."),
  MalformedACLError: row(
    400,
    "The XML you provided was not well-formed or did not validate against our published schema",
  ),
  MalformedDate: row(400, "Invalid date format header, expected to be in ISO8601, RFC1123 or RFC1123Z time format."),
  MalformedPolicy: row(400, "Policy has invalid resource."),
  MalformedPOSTRequest: row(400, "The body of your POST request is not well-formed multipart/form-data."),
  MalformedXML: row(400, "The XML you provided was not well-formed or did not validate against our published schema."),
  MetadataTooLarge: row(400, "Your metadata headers exceed the maximum allowed metadata size."),
  MethodNotAllowed: row(405, "The specified method is not allowed against this resource."),
  MissingContentLength: row(411, "You must provide the Content-Length HTTP header."),
  MissingContentMD5: row(400, "Missing required header for this request: Content-Md5 or a checksum."),
  MissingSecurityHeader: row(400, "Your request was missing a required header"),
  NoSuchBucket: row(404, "The specified bucket does not exist"),
  NoSuchBucketPolicy: row(404, "The bucket policy does not exist."),
  NoSuchCORSConfiguration: row(404, "The CORS configuration does not exist."),
  NoSuchKey: row(404, "The specified key does not exist."),
  NoSuchLifecycleConfiguration: row(404, "The lifecycle configuration does not exist."),
  NoSuchObjectLockConfiguration: row(404, "The specified object does not have an ObjectLock configuration."),
  NoSuchPublicAccessBlockConfiguration: row(404, "The public access block configuration was not found."),
  NoSuchTagSet: row(404, "The TagSet does not exist."),
  NoSuchUpload: row(
    404,
    "The specified multipart upload does not exist. The upload ID may be invalid, or the upload may have been aborted or completed.",
  ),
  NoSuchVersion: row(404, "The specified version does not exist."),
  NoSuchWebsiteConfiguration: row(404, "The specified bucket does not have a website configuration."),
  NotImplemented: row(501, "A header or query you provided implies functionality that is not implemented."),
  NotModified: row(304, "Not Modified."),
  ObjectLockConfigurationNotFoundError: row(404, "Object Lock configuration does not exist for this bucket."),
  OwnershipControlsNotFoundError: row(404, "The bucket ownership controls were not found."),
  PolicyTooLarge: row(400, "Policy exceeds the maximum allowed document size."),
  PreconditionFailed: row(412, "At least one of the pre-conditions you specified did not hold."),
  RemoteTargetNotFoundError: row(404, "The remote target does not exist."),
  ReplicationConfigurationNotFoundError: row(404, "The replication configuration was not found."),
  RequestTimeTooSkewed: row(403, "The difference between the request time and the server's time is too large."),
  RequestTimeout: row(503, "A timeout occurred while trying to process the request, please reduce your request rate."),
  ServerSideEncryptionConfigurationNotFoundError: row(404, "The server side encryption configuration was not found."),
  ServiceUnavailable: row(503, "A service that the request needs is not reached, please try again."),
  SignatureDoesNotMatch: row(
    403,
    "The request signature we calculated does not match the signature you provided. Check your key and signing method.",
  ),
  SlowDownRead: row(503, "Resource requested is unreadable, please reduce your request rate."),
  SlowDownWrite: row(503, "Resource requested is unwritable, please reduce your request rate."),
  UnexpectedContent: row(400, "This request does not support content"),
  UnresolvableGrantByEmailAddress: row(400, "The e-mail address you provided does not match any account on record."),
  UnsupportedNotification: row(400, "Only queues can be notified."),
  XAmzContentSHA256Mismatch: row(400, "The provided 'x-amz-content-sha256' header does not match what was computed."),
  XMinioAdminBucketQuotaExceeded: row(400, "Bucket quota exceeded"),
  XMinioInvalidObjectName: row(400, "Object name contains unsupported characters."),
  XMinioInvalidResourceName: row(400, 'Resource name contains bad components such as ".." or ".".'),
  XMinioObjectTampered: row(500, "The requested object was modified and may be compromised."),
  XMinioObjectExistsAsDirectory: row(400, "Object name already exists as a directory."),
  XMinioServerNotInitialized: row(503, "Server not initialized yet, please try again."),
  XMinioStorageFull: row(
    507,
    "Storage backend has reached its minimum free drive threshold. Please delete a few objects to proceed.",
  ),
} as const satisfies Record<string, Row>;

export type S3Code = keyof typeof S3_ERRORS;

export const OBJECT_ERRORS = {
  NoSuchBucket: "NoSuchBucket",
  NoSuchKey: "NoSuchKey",
  NoSuchVersion: "NoSuchVersion",
  NoSuchUpload: "NoSuchUpload",
  DeleteMarker: "NoSuchKey", // MethodNotAllowed when its version was named: pipeline.ts
  NotModified: "NotModified",
  PreconditionFailed: "PreconditionFailed",
  BucketAlreadyOwnedByYou: "BucketAlreadyOwnedByYou",
  BucketNotEmpty: "BucketNotEmpty",
  InvalidBucketName: "InvalidBucketName",
  InvalidObjectName: "XMinioInvalidObjectName",
  KeyTooLong: "KeyTooLongError",
  ReservedBucket: "AllAccessDisabled",
  InvalidPart: "InvalidPart",
  InvalidPartOrder: "InvalidPartOrder",
  InvalidPartNumber: "InvalidPartNumber",
  EntityTooSmall: "EntityTooSmall",
  EntityTooLarge: "EntityTooLarge",
  IncompleteBody: "IncompleteBody",
  InvalidRange: "InvalidRange",
  InvalidArgument: "InvalidArgument",
  InvalidRequest: "InvalidRequest",
  InvalidCopy: "InvalidRequest",
  InvalidBucketState: "InvalidBucketState",
  InvalidTag: "InvalidTag",
  BadDigest: "BadDigest",
  ChecksumMismatch: "BadDigest",
  ObjectExistsAsDirectory: "XMinioObjectExistsAsDirectory",
  ObjectLocked: "AccessDenied",
  NoSuchLock: "NoSuchObjectLockConfiguration",
  QuotaExceeded: "XMinioAdminBucketQuotaExceeded",
  MethodNotAllowed: "MethodNotAllowed",
  NotImplemented: "NotImplemented",
  WrongKey: "AccessDenied",
  ObjectTampered: "XMinioObjectTampered",
  KmsNotConfigured: "NotImplemented",
  KmsKeyNotFound: "KMS.NotFoundException",
  KmsUnavailable: "ServiceUnavailable",
} as const satisfies Record<ObjectErrorCode, S3Code>;

export const DOCUMENT_ERRORS = {
  Malformed: "MalformedXML",
  InvalidArgument: "InvalidArgument",
  InvalidRequest: "InvalidRequest",
  InvalidRetentionPeriod: "InvalidRetentionPeriod",
  IllegalVersioningConfiguration: "IllegalVersioningConfigurationException",
  InvalidStorageClass: "InvalidStorageClass",
  LifecycleWithObjectLock: "InvalidLifecycleWithObjectLock",
  UnsupportedNotification: "UnsupportedNotification",
  NoSuchRemoteTarget: "RemoteTargetNotFoundError",
} as const satisfies Record<DocumentErrorCode, S3Code>;

export const QUORUM_ERRORS = {
  ReadQuorum: "SlowDownRead",
  WriteQuorum: "SlowDownWrite",
  OutcomeUnknown: "SlowDownWrite",
  StorageFull: "XMinioStorageFull",
} as const satisfies Record<QuorumErrorCode, S3Code>;
