/** Options of the care of the drives: scanner, scrub, uploads that nobody continues. Rows of the table in options.ts. */
import { row } from "./option-row.ts";
import { durationMs, integerBetween, oneOf, optionalSizeBytes } from "./option-values.ts";

export const UPKEEP_OPTIONS = {
  scanSpeed: row({
    flag: "scanner-speed",
    env: "SCANNER_SPEED",
    schema: oneOf(["fastest", "fast", "default", "slow", "slowest"]),
    fallback: "default",
    value: "SPEED",
    help: "how much the scanner looks at: fastest, fast, default, slow, slowest; a tenth beside clients",
  }),
  scanIntervalMs: row({
    flag: "scanner-interval",
    env: "SCANNER_INTERVAL",
    schema: durationMs,
    fallback: "1h",
    value: "DURATION",
    help: "between the end of a round of the scanner and the next",
  }),
  scanGraceMs: row({
    flag: "scanner-grace",
    env: "SCANNER_GRACE",
    schema: durationMs,
    fallback: "24h",
    value: "DURATION",
    help: "how old what nothing refers to must be to be removed, and how long a version too few drives have is watched",
  }),
  scrubDays: row({
    flag: "scrub-days",
    env: "SCRUB_DAYS",
    schema: integerBetween(0, 3650),
    fallback: "30",
    value: "N",
    help: "every shard is read and its hash verified within so many days; 0 is never",
  }),
  scrubBytesPerSecond: row({
    flag: "scrub-bandwidth",
    env: "SCRUB_BANDWIDTH",
    schema: optionalSizeBytes,
    fallback: "",
    value: "SIZE",
    help: "bytes a second that the scrub of a set reads at most; default: what a round within --scrub-days needs",
  }),
  staleUploadMs: row({
    flag: null,
    env: "API_STALE_UPLOADS_EXPIRY",
    schema: durationMs,
    fallback: "24h",
    value: "DURATION",
    help: "multipart uploads without a new part for so long are removed",
  }),
} as const;
