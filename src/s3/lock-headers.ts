/** Headers of object lock: what a new version asks for. Source: s3-api.md §4.11. */
import { type LockWish, type Retention, retainUntil } from "../bucket/object-lock.ts";
import type { Call } from "./call.ts";
import { WireError } from "./wire-error.ts";

const LOCK_HEADER = "x-amz-object-lock-";

/** What the headers of a new version ask for. */
export function lockFrom(call: Call): LockWish {
  const mode = call.parameter(`${LOCK_HEADER}mode`);
  const date = call.parameter(`${LOCK_HEADER}retain-until-date`);
  const hold = call.parameter(`${LOCK_HEADER}legal-hold`)?.toUpperCase();
  if (hold !== undefined && hold !== "ON" && hold !== "OFF")
    throw new WireError("InvalidArgument", "The legal hold must be ON or OFF.");
  if (mode === undefined && date === undefined) return { retention: null, legalHold: hold ?? null };
  const retention = retentionFrom(mode?.toUpperCase(), date, "InvalidArgument");
  if (Date.parse(retention.until) <= call.objects.clock.nowMs())
    throw new WireError("InvalidArgument", "The retain until date must be in the future!");
  return { retention, legalHold: hold ?? null };
}

/** A mode and a date as a client gives them. */
export function retentionFrom(
  mode: string | undefined,
  date: string | undefined,
  code: "MalformedXML" | "InvalidArgument",
): Retention {
  if (mode === undefined || date === undefined)
    throw new WireError(code, "A retention mode and a date to retain until must both be given.");
  if (mode !== "GOVERNANCE" && mode !== "COMPLIANCE")
    throw new WireError(code, "The retention mode must be GOVERNANCE or COMPLIANCE.");
  const until = retainUntil(date.trim());
  if (until === null) throw new WireError(code, "The date to retain until is not an ISO 8601 date.");
  return { mode, until };
}

/** Complete takes what was said when the upload was made. */
export function refuseLockHeaders(call: Call): void {
  for (const name of call.request.headers.keys())
    if (name.startsWith(LOCK_HEADER))
      throw new WireError("InvalidRequest", "Object lock headers belong to the request that starts the upload.");
}
