/** PolicyError: why a policy document is refused, in words for its author. */
import { OperatingError } from "../core/errors.ts";

export class PolicyError extends OperatingError<"MalformedPolicy" | "PolicyTooLarge"> {}

export function malformed(message: string): PolicyError {
  return new PolicyError("MalformedPolicy", message);
}
