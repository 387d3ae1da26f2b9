/**
 * THE error table of the admin API: every code with its HTTP status, and the mapping of identities' errors to it, complete at
 * compile time. Clients compare the codes. Errors of authentication and of the store are mapped by whoever made the caller
 * of this API (`describe`). Source: admin API §10.
 */
import { OperatingError } from "../core/errors.ts";
import type { IamErrorCode } from "../iam/iam-error.ts";

export const ADMIN_ERRORS = {
  AccessDenied: 403,
  InvalidRequest: 400,
  InvalidArgument: 400,
  MethodNotAllowed: 405,
  NoSuchBucket: 404,
  NotImplemented: 501,
  MalformedPOSTRequest: 400,
  NoSuchAdminOperation: 404,
  XMinioAdminVersionMismatch: 426,
  XMinioServerNotInitialized: 503,
  XMinioAdminNoSuchUser: 404,
  XMinioAdminNoSuchGroup: 404,
  XMinioAdminNoSuchPolicy: 404,
  XMinioAdminNoSuchAccessKey: 404,
  XMinioAdminNoSuchQuotaConfiguration: 404,
  XMinioAdminGroupNotEmpty: 400,
  XMinioInvalidGroupName: 400,
  XMinioAdminInvalidArgument: 400,
  XMinioAdminInvalidAccessKey: 400,
  XMinioAdminInvalidSecretKey: 400,
  XMinioAdminPolicyChangeAlreadyApplied: 400,
  XMinioIAMActionNotAllowed: 403,
  XMinioInvalidIAMCredentials: 404,
  XMinioIAMServiceAccountNotAllowed: 400,
  XMinioIAMServiceAccountSessionPolicyTooLarge: 400,
  XMinioIAMPolicyInUse: 400,
  XMinioMalformedIAMPolicy: 400,
  PolicyInvalidName: 400,
  XMinioLDAPNotEnabled: 501,
  XMinioAdminConfigTooLarge: 400,
  XMinioAdminConfigBadJSON: 400,
  XMinioAdminConfigEnvOverridden: 400,
  XMinioAdminConfigInvalidIDPType: 400,
  XMinioAdminConfigIDPCfgNameDoesNotExist: 400,
  XMinioAdminNoSuchConfigTarget: 400,
  XMinioConfigError: 400,
  XMinioConfigNotFoundError: 404,
  XMinioAdminBucketQuotaExceeded: 400,
  XMinioAdminRemoteTargetNotFoundError: 404,
  XMinioAdminReplicationRemoteConnectionError: 503,
  XMinioAdminReplicationBandwidthLimitError: 400,
  XMinioAdminRemoteIdenticalToSource: 400,
  RemoteTargetNotVersionedError: 400,
  ReplicationSourceNotVersionedError: 400,
  XMinioAdminBucketRemoteAlreadyExists: 400,
  XMinioAdminRemoteArnInvalid: 400,
  XMinioAdminRemoteRemoveDisallowed: 400,
  XMinioAdminRemoteARNTypeInvalid: 400,
  TooManyRequests: 503,
} as const satisfies Record<string, number>;

export type AdminCode = keyof typeof ADMIN_ERRORS;
export class AdminError extends OperatingError<AdminCode> {}

export const IAM_ERRORS = {
  NoSuchUser: "XMinioAdminNoSuchUser",
  NoSuchGroup: "XMinioAdminNoSuchGroup",
  NoSuchPolicy: "XMinioAdminNoSuchPolicy",
  NoSuchAccessKey: "XMinioInvalidIAMCredentials",
  GroupNotEmpty: "XMinioAdminGroupNotEmpty",
  InvalidGroupName: "XMinioInvalidGroupName",
  InvalidAccessKey: "XMinioAdminInvalidAccessKey",
  InvalidSecretKey: "XMinioAdminInvalidSecretKey",
  InvalidArgument: "XMinioAdminInvalidArgument",
  NameInUse: "XMinioIAMServiceAccountNotAllowed",
  ActionNotAllowed: "XMinioIAMActionNotAllowed",
  PolicyInUse: "XMinioIAMPolicyInUse",
  MalformedPolicy: "XMinioMalformedIAMPolicy",
  PolicyTooLarge: "XMinioIAMServiceAccountSessionPolicyTooLarge",
  InvalidPolicyName: "PolicyInvalidName",
  NoChange: "XMinioAdminPolicyChangeAlreadyApplied",
  TooMany: "TooManyRequests",
  NotLoaded: "XMinioServerNotInitialized",
} as const satisfies Record<IamErrorCode, AdminCode>;
