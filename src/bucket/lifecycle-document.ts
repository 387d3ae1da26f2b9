/**
 * The lifecycle document: what a client may ask for, as AWS judges it, with MinIO's extensions; read from drives without
 * judging it again. What has transitions needs tiers, and there are none yet. Source: s3-api.md §4.13.1.
 */
import {
  contentOf,
  allChildren,
  firstChild,
  parseXmlDocument,
  storedDocument,
  textOf,
  type XmlContent,
  type XmlElement,
} from "../core/xml.ts";
import { DocumentError, malformed } from "./document-error.ts";
import type { Expiration, LifecycleFilter, LifecycleRule } from "./lifecycle.ts";

const RULES_MAX = 1000;
const ID_MAX = 255;
const DAYS_MAX = 2_147_483_647;
const NEWER_MAX = 100_000;
const DAY_MS = 86_400_000;

/** The document of a client; `newId` names rules that have no ID. Returns it as it is stored. */
export function storedLifecycle(root: XmlElement, newId: () => string, hasObjectLock: boolean): Uint8Array {
  const rules = allChildren(root, "Rule");
  if (rules.length === 0 || rules.length > RULES_MAX) throw malformed(`Between 1 and ${RULES_MAX} rules are needed.`);
  const ids = new Set<string>();
  const nodes = rules.map((element): XmlContent => {
    const id = textOf(element, "ID") || newId();
    if (id.length > ID_MAX) throw invalid(`ID length should not exceed allowed limit of ${ID_MAX}`);
    if (ids.has(id)) throw invalid("Rule ID must be unique. Found same ID for more than one rule");
    ids.add(id);
    const rule = checked(element, id);
    if (hasObjectLock && (rule.expiration?.allVersions === true || rule.markerDays !== null))
      throw new DocumentError("LifecycleWithObjectLock", "Object lock forbids rules that remove all versions.");
    return ["Rule", [["ID", id], ...element.children.filter((c) => c.name !== "ID").map(contentOf)]];
  });
  return storedDocument("LifecycleConfiguration", nodes);
}

/** Rules of what lies on the drives; a rule that cannot be understood does nothing. */
export function parseStoredLifecycle(document: Uint8Array): readonly LifecycleRule[] {
  if (document.length === 0) return [];
  return allChildren(parseXmlDocument(document, "LifecycleConfiguration"), "Rule").flatMap((element) => {
    try {
      return [ruleOf(element, textOf(element, "ID") ?? "")];
    } catch (error) {
      if (error instanceof DocumentError) return [];
      throw error;
    }
  });
}

/** As AWS judges a rule. */
function checked(element: XmlElement, id: string): LifecycleRule {
  const status = textOf(element, "Status");
  if (status !== "Enabled" && status !== "Disabled") throw malformed("The status must be Enabled or Disabled.");
  const hasFilter = firstChild(element, "Filter") !== undefined;
  if (hasFilter === (firstChild(element, "Prefix") !== undefined))
    throw malformed("A rule needs a Filter, or the Prefix of older clients, and not both.");
  for (const action of ["Transition", "NoncurrentVersionTransition"]) {
    for (const transition of allChildren(element, action)) transitionOf(transition, action);
  }
  const rule = ruleOf(element, id);
  const { expiration, markerDays, noncurrent, abortDays, filter } = rule;
  if (expiration === null && markerDays === null && noncurrent === null && abortDays === null)
    throw new DocumentError("InvalidRequest", "At least one action needs to be specified in a rule.");
  if ((expiration?.loneMarker === true || markerDays !== null) && filter.tags.length > 0)
    throw new DocumentError("InvalidRequest", "Delete markers have no tags that a rule could ask for.");
  if (abortDays !== null && (filter.tags.length > 0 || filter.largerThan !== null || filter.smallerThan !== null))
    throw new DocumentError("InvalidRequest", "AbortIncompleteMultipartUpload cannot be specified with tags or sizes.");
  return rule;
}

/** Dates and days are judged before the tier, of which there is none. */
function transitionOf(element: XmlElement, action: string): never {
  if (action === "Transition") dateOrDays(element, action, 0);
  else numberIn(element, "NoncurrentDays", 0, DAYS_MAX);
  throw new DocumentError("InvalidStorageClass", "There is no tier of this name.");
}

function ruleOf(element: XmlElement, id: string): LifecycleRule {
  const marker = firstChild(element, "DelMarkerExpiration");
  const abort = firstChild(element, "AbortIncompleteMultipartUpload");
  const noncurrent = firstChild(element, "NoncurrentVersionExpiration");
  const abortDays = abort === undefined ? null : numberIn(abort, "DaysAfterInitiation", 1, DAYS_MAX);
  if (abort !== undefined && abortDays === null) throw malformed("DaysAfterInitiation is missing.");
  const kept = noncurrent === undefined ? null : noncurrentOf(noncurrent);
  return {
    id,
    isEnabled: textOf(element, "Status") === "Enabled",
    filter: filterOf(element),
    expiration: expirationOf(firstChild(element, "Expiration")),
    markerDays: marker === undefined ? null : (numberIn(marker, "Days", 1, DAYS_MAX) ?? null),
    noncurrent: kept,
    abortDays,
  };
}

function noncurrentOf(element: XmlElement): { days: number | null; newerKept: number | null } {
  const days = numberIn(element, "NoncurrentDays", 1, DAYS_MAX);
  const newerKept = numberIn(element, "NewerNoncurrentVersions", 1, NEWER_MAX);
  if (days === null && newerKept === null) throw malformed("NoncurrentDays is missing.");
  return { days, newerKept };
}

function expirationOf(element: XmlElement | undefined): Expiration | null {
  if (element === undefined) return null;
  const loneMarker = flag(element, "ExpiredObjectDeleteMarker");
  const allVersions = flag(element, "ExpiredObjectAllVersions");
  const { days, dateMs } = dateOrDays(element, "Expiration", 1);
  if (loneMarker && (days !== null || dateMs !== null))
    throw malformed("ExpiredObjectDeleteMarker cannot be specified with Days or Date.");
  if (!loneMarker && days === null && dateMs === null) throw malformed("An expiration needs Days, Date or more.");
  return { days, dateMs, loneMarker, allVersions };
}

function flag(element: XmlElement, name: string): boolean {
  const text = textOf(element, name);
  if (text !== undefined && text !== "true" && text !== "false") throw malformed(`${name} is true or false.`);
  return text === "true";
}

function dateOrDays(
  element: XmlElement,
  action: string,
  daysMin: number,
): { days: number | null; dateMs: number | null } {
  const days = numberIn(element, "Days", daysMin, DAYS_MAX);
  const date = textOf(element, "Date");
  if (date === undefined) return { days, dateMs: null };
  if (days !== null) throw malformed(`${action} has Days or Date, not both.`);
  const dateMs = /^\d{4}-\d{2}-\d{2}(T\d{2}:\d{2}:\d{2}(\.\d{1,9})?(Z|[+-]\d{2}:\d{2}))?$/.test(date)
    ? Date.parse(date)
    : Number.NaN;
  if (Number.isNaN(dateMs)) throw malformed(`The date of ${action} is not an ISO 8601 date.`);
  if (dateMs % DAY_MS !== 0) throw invalid("'Date' must be at midnight GMT");
  return { days: null, dateMs };
}

function numberIn(element: XmlElement, name: string, min: number, max: number): number | null {
  const text = textOf(element, name);
  if (text === undefined) return null;
  if (!/^[+-]?\d{1,15}$/.test(text)) throw malformed(`${name} is not a number.`);
  const number = Number(text);
  if (number < min || number > max) throw invalid(`'${name}' must be at least ${min}`);
  return number;
}

function filterOf(rule: XmlElement): LifecycleFilter {
  const filter = firstChild(rule, "Filter");
  if (filter === undefined)
    return { prefix: firstChild(rule, "Prefix")?.text ?? "", tags: [], largerThan: null, smallerThan: null };
  const all = firstChild(filter, "And");
  if (all === undefined && filter.children.length > 1)
    throw malformed("A filter with several conditions needs an And.");
  if (all !== undefined && filter.children.length > 1) throw malformed("Conditions beside And belong into it.");
  const from = all ?? filter;
  const tags = allChildren(from, "Tag").map((tag) => {
    const key = firstChild(tag, "Key")?.text ?? "";
    if (key === "" || key.length > 128) throw malformed("A tag of a filter has no key, or too long a one.");
    return [key, firstChild(tag, "Value")?.text ?? ""] as const;
  });
  if (new Set(tags.map(([key]) => key)).size < tags.length)
    throw new DocumentError("InvalidRequest", "Duplicate Tag Keys are not allowed.");
  const largerThan = numberIn(from, "ObjectSizeGreaterThan", 0, Number.MAX_SAFE_INTEGER);
  const smallerThan = numberIn(from, "ObjectSizeLessThan", 1, Number.MAX_SAFE_INTEGER);
  if (largerThan !== null && smallerThan !== null && largerThan >= smallerThan)
    throw new DocumentError("InvalidRequest", "'ObjectSizeLessThan' has to be larger than 'ObjectSizeGreaterThan'.");
  return { prefix: firstChild(from, "Prefix")?.text ?? "", tags, largerThan, smallerThan };
}

function invalid(message: string): DocumentError {
  return new DocumentError("InvalidArgument", message);
}
