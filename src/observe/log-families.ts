/** Metrics of the drives' commit logs: how full they are, what they write, how far applying is behind, whether they can be written. */
import type { Families, Row } from "./metrics.ts";

export interface LogFacts {
  /** The drive's, as in the metrics of drives. */
  readonly endpoint: string;
  readonly usedBytes: number;
  readonly totalBytes: number;
  readonly records: number;
  readonly syncs: number;
  /** Keys brought into the tree so far, and those that are only in the log. */
  readonly applied: number;
  readonly waiting: number;
  readonly checkpointAgeSeconds: number;
  /** How often it stopped taking writes. */
  readonly failures: number;
  readonly isWritable: boolean;
}

export function logFamilies({ gauge, counter }: Families, logs: readonly LogFacts[]): void {
  const each = (of: (log: LogFacts) => number): Row[] => logs.map((log) => [{ drive: log.endpoint }, of(log)]);
  const NAME = "sherd_commit_log";
  gauge(
    `${NAME}_used_bytes`,
    "Bytes of the commit log in use",
    each((log) => log.usedBytes),
  );
  gauge(
    `${NAME}_size_bytes`,
    "Bytes that the commit log may use",
    each((log) => log.totalBytes),
  );
  counter(
    `${NAME}_records_total`,
    "Records written to the commit log",
    each((log) => log.records),
  );
  counter(
    `${NAME}_syncs_total`,
    "Syncs of the commit log",
    each((log) => log.syncs),
  );
  counter(
    `${NAME}_applied_keys_total`,
    "Keys brought from the commit log into the drive's tree",
    each((log) => log.applied),
  );
  gauge(
    `${NAME}_unapplied_keys`,
    "Keys whose last change is only in the commit log",
    each((log) => log.waiting),
  );
  gauge(
    `${NAME}_checkpoint_age_seconds`,
    "Seconds since the commit log was last checkpointed",
    each((log) => log.checkpointAgeSeconds),
  );
  counter(
    `${NAME}_failures_total`,
    "How often the commit log stopped taking writes",
    each((log) => log.failures),
  );
  gauge(
    `${NAME}_writable`,
    "1 = the commit log takes writes",
    each((log) => (log.isWritable ? 1 : 0)),
  );
}
