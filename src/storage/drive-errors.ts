/** errno -> DriveError, with the words that an operator needs. */
import { Errno } from "../sys/disk.ts";
import { DriveError, type DriveErrorCode } from "./drive.ts";

const CODES: Readonly<Record<number, DriveErrorCode>> = {
  [Errno.ENOENT]: "NotFound",
  [Errno.ENOTDIR]: "NotFound",
  [Errno.ENOSPC]: "NoSpace",
  [Errno.EDQUOT]: "NoSpace",
  [Errno.EROFS]: "ReadOnly",
  [Errno.EACCES]: "Denied",
  [Errno.EPERM]: "Denied",
  [Errno.EISDIR]: "Denied",
  [Errno.EEXIST]: "Exists",
  [Errno.ENOTEMPTY]: "NotEmpty",
  [Errno.EBADMSG]: "Corrupt",
};

export function driveError(endpoint: string, what: string, errno: number): DriveError {
  const code = CODES[errno] ?? "Io";
  return new DriveError(code, `${endpoint}: ${what}: errno ${errno}`, { endpoint, errno });
}
