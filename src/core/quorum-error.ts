/** QuorumError: what a set of drives could not do; each becomes a 503 with its reason, never a 404. */
import { OperatingError } from "./errors.ts";

export type QuorumErrorCode =
  /** Too few drives answered to know, or too few shards to rebuild. */
  | "ReadQuorum"
  /** Too few drives accepted; nothing changed. */
  | "WriteQuorum"
  /** Some drives accepted and it could not be undone or finished: the outcome is unknown. */
  | "OutcomeUnknown"
  /** No space on the drives. */
  | "StorageFull";

export class QuorumError extends OperatingError<QuorumErrorCode> {}
