/** IamError: what identities, groups and policies refuse. Each code has a row in the admin API's error table. */
import { OperatingError } from "../core/errors.ts";

export type IamErrorCode =
  | "NoSuchUser"
  | "NoSuchGroup"
  | "NoSuchPolicy"
  | "NoSuchAccessKey"
  | "GroupNotEmpty"
  | "InvalidGroupName"
  | "InvalidAccessKey"
  | "InvalidSecretKey"
  | "InvalidArgument"
  | "NameInUse"
  | "ActionNotAllowed"
  | "PolicyInUse"
  | "MalformedPolicy"
  | "PolicyTooLarge"
  | "InvalidPolicyName"
  | "NoChange"
  | "TooMany"
  /** The documents could not be read (yet). */
  | "NotLoaded";

export class IamError extends OperatingError<IamErrorCode> {}
