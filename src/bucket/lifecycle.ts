/**
 * Lifecycle rules of a bucket: when what they speak of is due. Pure; ms since 1970. "After n days" is the first midnight UTC
 * after n days. A rule that is disabled is kept and does nothing. Source: s3-api.md §4.13; the document: lifecycle-document.ts.
 */
export interface LifecycleFilter {
  readonly prefix: string;
  readonly tags: readonly (readonly [key: string, value: string])[];
  /** Bytes; null = no limit. */
  readonly largerThan: number | null;
  readonly smallerThan: number | null;
}

export interface LifecycleRule {
  readonly id: string;
  readonly isEnabled: boolean;
  readonly filter: LifecycleFilter;
  readonly expiration: Expiration | null;
  /** Days after which a lone delete marker goes (MinIO's extension). */
  readonly markerDays: number | null;
  readonly noncurrent: { readonly days: number | null; readonly newerKept: number | null } | null;
  /** Days after which an upload that was not completed goes. */
  readonly abortDays: number | null;
}

export interface Expiration {
  readonly days: number | null;
  readonly dateMs: number | null;
  /** A delete marker that has no versions below it goes. */
  readonly loneMarker: boolean;
  /** MinIO's extension: all versions go, not only the current one. */
  readonly allVersions: boolean;
}

/** What rules are asked about. */
export interface LifecycleSubject {
  readonly key: string;
  readonly sizeBytes: number;
  /** null = not known: rules that ask for tags do not match. */
  readonly tags: ReadonlyMap<string, string> | null;
  readonly modTimeMs: number;
}
export interface Due {
  readonly atMs: number;
  readonly ruleId: string;
}

const DAY_MS = 86_400_000;

export function dueAfter(fromMs: number, days: number): number {
  return Math.floor((fromMs + (days + 1) * DAY_MS) / DAY_MS) * DAY_MS;
}

/** When the current version expires by the first of its rules to come due; null = never. */
export function expiryOf(rules: readonly LifecycleRule[], subject: LifecycleSubject): Due | null {
  let first: Due | null = null;
  for (const { id, isEnabled, filter, expiration } of rules) {
    if (!isEnabled || expiration === null || !applies(filter, subject)) continue;
    const { days, dateMs } = expiration;
    const atMs = days === null ? dateMs : dueAfter(subject.modTimeMs, days);
    if (atMs !== null && (first === null || atMs < first.atMs)) first = { atMs, ruleId: id };
  }
  return first;
}

/** When an upload of this key is given up; null = never. */
export function abortOf(rules: readonly LifecycleRule[], key: string, initiatedMs: number): Due | null {
  let first: Due | null = null;
  for (const { id, isEnabled, filter, abortDays } of rules) {
    if (!isEnabled || abortDays === null || !key.startsWith(filter.prefix)) continue;
    const atMs = dueAfter(initiatedMs, abortDays);
    if (first === null || atMs < first.atMs) first = { atMs, ruleId: id };
  }
  return first;
}

export function applies(filter: LifecycleFilter, subject: LifecycleSubject): boolean {
  if (!subject.key.startsWith(filter.prefix)) return false;
  if (filter.largerThan !== null && subject.sizeBytes <= filter.largerThan) return false;
  if (filter.smallerThan !== null && subject.sizeBytes >= filter.smallerThan) return false;
  return filter.tags.every(([key, value]) => subject.tags?.get(key) === value);
}

/** Can rules make current versions of such keys expire? */
export function hasExpiration(rules: readonly LifecycleRule[]): boolean {
  return rules.some(
    (r) => r.isEnabled && r.expiration !== null && (r.expiration.days !== null || r.expiration.dateMs !== null),
  );
}
