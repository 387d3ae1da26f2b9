/**
 * Families about the care of the drives: debts, scanner, scrub, quarantine. MinIO's names where it has one for the same thing,
 * `sherd_*` else. Times in seconds since 1970. Source: s3-api.md §6.2.
 */
import type { Families, Row } from "./metrics.ts";

export interface RoundFacts {
  readonly pool: number;
  readonly set: number;
  readonly round: number | null;
  readonly keys: number | null;
  readonly startedMs: number | null;
  /** Of the last round that ended. */
  readonly endedMs: number | null;
  /** When the round under way will end, by what the last one found. */
  readonly doneMs: number | null;
}
export interface UpkeepFacts {
  readonly debts: readonly {
    readonly endpoint: string;
    readonly bytes: number;
    readonly keys: number;
    readonly oldestMs: number | null;
    readonly isIncomplete: boolean;
    /** Kept in memory for what it has not answered of acknowledged writes. */
    readonly lateBytes: number;
  }[];
  /** null = not known: a drive is yet to be compared. */
  readonly belowFull: number | null;
  readonly replay: { readonly settled: number; readonly failed: number; readonly comparisons: number };
  readonly scan: {
    readonly objects: number;
    readonly directories: number;
    readonly versions: number;
    readonly damaged: number;
    readonly orphans: number;
    readonly uploads: number;
    readonly staged: number;
    readonly quarantined: number;
    readonly indexRows: number;
    readonly rounds: number;
    readonly sets: readonly RoundFacts[];
  };
  readonly scrub: {
    readonly objects: number;
    readonly bytes: number;
    readonly damaged: number;
    readonly rounds: number;
    readonly sets: readonly RoundFacts[];
  } | null;
  /** Versions in quarantine. */
  readonly quarantined: number;
}

export function upkeepFamilies({ gauge, counter }: Families, facts: UpkeepFacts, nowMs: number): void {
  const debts = (of: (debt: UpkeepFacts["debts"][number]) => number | null): Row[] =>
    facts.debts.map((debt) => [{ drive: debt.endpoint }, of(debt)]);
  gauge(
    "sherd_drive_debt_bytes",
    "Bytes of notes about writes that the drive missed",
    debts((d) => d.bytes),
  );
  gauge(
    "sherd_drive_debt_keys",
    "Keys with writes that the drive missed",
    debts((d) => d.keys),
  );
  gauge(
    "sherd_drive_debt_oldest_seconds",
    "Age of the oldest write that the drive missed",
    debts((d) => (d.oldestMs === null ? 0 : Math.max(0, nowMs - d.oldestMs) / 1000)),
  );
  gauge(
    "sherd_drive_debt_unknown",
    "1 = what the drive missed is to be found by comparison",
    debts((d) => (d.isIncomplete ? 1 : 0)),
  );
  gauge(
    "sherd_drive_late_bytes",
    "Kept in memory for acknowledged writes that the drive has not answered yet",
    debts((d) => d.lateBytes),
  );
  gauge(
    "sherd_objects_below_full_redundancy",
    "Keys that a drive lacks, all of a set while a drive is away; absent while a drive is yet to be compared",
    [[{}, facts.belowFull]],
  );
  counter("sherd_debt_settled_total", "Keys that drives were given after they missed a write", [
    [{}, facts.replay.settled],
  ]);
  counter("sherd_debt_failed_total", "Attempts to give a drive what it missed that failed", [
    [{}, facts.replay.failed],
  ]);
  counter("sherd_debt_comparisons_total", "Comparisons of all drives of a set by their indexes", [
    [{}, facts.replay.comparisons],
  ]);
  gauge("sherd_quarantine_versions", "Versions that too few drives have, set aside", [[{}, facts.quarantined]]);
  scanFamilies({ gauge, counter }, facts.scan);
  if (facts.scrub !== null) scrubFamilies({ gauge, counter }, facts.scrub);
}

function scanFamilies({ gauge, counter }: Families, scan: UpkeepFacts["scan"]): void {
  counter("minio_node_scanner_objects_scanned", "Objects that the scanner looked at", [[{}, scan.objects]]);
  counter("minio_node_scanner_versions_scanned", "Versions that the scanner looked at", [[{}, scan.versions]]);
  counter("minio_node_scanner_directories_scanned", "Directories that the scanner looked at", [[{}, scan.directories]]);
  counter("sherd_scanner_rounds_total", "Rounds of the scanner that ended", [[{}, scan.rounds]]);
  counter("sherd_scanner_damaged_total", "Objects that the scanner gave to repair", [[{}, scan.damaged]]);
  counter("sherd_scanner_index_rows_corrected_total", "Rows of key indexes that were wrong", [[{}, scan.indexRows]]);
  counter("sherd_scanner_removed_total", "What nothing referred to, removed", [
    [{ what: "data" }, scan.orphans],
    [{ what: "upload" }, scan.uploads],
    [{ what: "staging" }, scan.staged],
  ]);
  counter("sherd_scanner_quarantined_total", "Parts of versions moved to quarantine", [[{}, scan.quarantined]]);
  roundFamilies(gauge, "sherd_scanner", scan.sets);
}

function scrubFamilies(
  { gauge, counter }: Families,
  scrub: { objects: number; bytes: number; damaged: number; rounds: number; sets: readonly RoundFacts[] },
): void {
  counter("sherd_scrub_objects_total", "Objects whose shards were read and verified", [[{}, scrub.objects]]);
  counter("sherd_scrub_bytes_total", "Bytes of shards read and verified", [[{}, scrub.bytes]]);
  counter("sherd_scrub_damaged_total", "Objects with shards that were not as written", [[{}, scrub.damaged]]);
  counter("sherd_scrub_rounds_total", "Rounds of the scrub that ended", [[{}, scrub.rounds]]);
  roundFamilies(gauge, "sherd_scrub", scrub.sets);
}

function roundFamilies(gauge: Families["gauge"], name: string, sets: readonly RoundFacts[]): void {
  const each = (of: (set: RoundFacts) => number | null): Row[] =>
    sets.map((set) => [{ pool: String(set.pool), set: String(set.set) }, of(set)]);
  const seconds = (ms: number | null): number | null => (ms === null ? null : ms / 1000);
  gauge(
    `${name}_round`,
    "Number of the round under way",
    each((s) => s.round),
  );
  gauge(
    `${name}_round_objects`,
    "Objects seen in the round under way",
    each((s) => s.keys),
  );
  gauge(
    `${name}_round_started_seconds`,
    "Start of the round under way",
    each((s) => seconds(s.startedMs)),
  );
  gauge(
    `${name}_last_round_ended_seconds`,
    "End of the last full round",
    each((s) => seconds(s.endedMs)),
  );
  gauge(
    `${name}_round_done_seconds`,
    "When the round under way will be done",
    each((s) => seconds(s.doneMs)),
  );
}
