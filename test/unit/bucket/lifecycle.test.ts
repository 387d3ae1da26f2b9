import { expect, test } from "bun:test";
import { parseStoredLifecycle, storedLifecycle } from "../../../src/bucket/lifecycle-document.ts";
import { abortOf, dueAfter, expiryOf, type LifecycleRule } from "../../../src/bucket/lifecycle.ts";
import { parseXmlDocument } from "../../../src/core/xml.ts";

const DAY = 86_400_000;
const NOON = Date.UTC(2026, 0, 10, 12);
const rulesOf = (...rules: string[]): readonly LifecycleRule[] =>
  parseStoredLifecycle(Buffer.from(`<LifecycleConfiguration>${rules.join("")}</LifecycleConfiguration>`));
const rule = (filter: string, action: string, id = "r", status = "Enabled"): string =>
  `<Rule><ID>${id}</ID><Status>${status}</Status>${filter}${action}</Rule>`;
const after = (days: number): string => `<Expiration><Days>${days}</Days></Expiration>`;
const subject = { key: "a/b", sizeBytes: 100, tags: new Map([["k", "v"]]), modTimeMs: NOON };
const ALL = "<Filter/>";

test("days end at the first midnight after them", () => {
  expect(dueAfter(NOON, 1)).toBe(Date.UTC(2026, 0, 12));
  expect(dueAfter(Date.UTC(2026, 0, 10), 1)).toBe(Date.UTC(2026, 0, 12));
});

test.each([
  [ALL, true],
  ["<Prefix>a/</Prefix>", true],
  ["<Prefix>b</Prefix>", false],
  ["<Filter><Prefix>a</Prefix></Filter>", true],
  ["<Filter><Tag><Key>k</Key><Value>v</Value></Tag></Filter>", true],
  ["<Filter><Tag><Key>k</Key><Value>w</Value></Tag></Filter>", false],
  ["<Filter><ObjectSizeGreaterThan>99</ObjectSizeGreaterThan></Filter>", true],
  ["<Filter><ObjectSizeGreaterThan>100</ObjectSizeGreaterThan></Filter>", false],
  ["<Filter><ObjectSizeLessThan>101</ObjectSizeLessThan></Filter>", true],
  ["<Filter><ObjectSizeLessThan>100</ObjectSizeLessThan></Filter>", false],
  ["<Filter><And><Prefix>a</Prefix><Tag><Key>k</Key><Value>v</Value></Tag></And></Filter>", true],
  ["<Filter><And><Prefix>a</Prefix><Tag><Key>l</Key><Value>v</Value></Tag></And></Filter>", false],
])("the filter %s applies: %p", (filter, applies) => {
  expect(expiryOf(rulesOf(rule(filter, after(1))), subject) !== null).toBe(applies);
});

test("the rule that is due first decides; disabled ones and other actions do not; without tags no rule of tags", () => {
  const date = "<Expiration><Date>2026-01-11T00:00:00Z</Date></Expiration>";
  const rules = rulesOf(rule(ALL, after(5), "five"), rule(ALL, date, "date"), rule(ALL, after(0), "never", "Disabled"));
  expect(expiryOf(rules, subject)).toEqual({ atMs: Date.UTC(2026, 0, 11), ruleId: "date" });
  const others = "<NoncurrentVersionExpiration><NoncurrentDays>1</NoncurrentDays></NoncurrentVersionExpiration>";
  expect(expiryOf(rulesOf(rule(ALL, others)), subject)).toBeNull();
  expect(
    expiryOf(
      rulesOf(rule(ALL, "<Expiration><ExpiredObjectDeleteMarker>true</ExpiredObjectDeleteMarker></Expiration>")),
      subject,
    ),
  ).toBeNull();
  const tagged = rulesOf(rule("<Filter><Tag><Key>k</Key><Value>v</Value></Tag></Filter>", after(1)));
  expect(expiryOf(tagged, { ...subject, tags: null })).toBeNull();
});

test("an upload is given up by the rules of its prefix", () => {
  const abort =
    "<AbortIncompleteMultipartUpload><DaysAfterInitiation>2</DaysAfterInitiation></AbortIncompleteMultipartUpload>";
  const rules = rulesOf(rule("<Prefix>a/</Prefix>", abort, "up"));
  expect(abortOf(rules, "a/x", NOON)).toEqual({ atMs: Date.UTC(2026, 0, 13), ruleId: "up" });
  expect(abortOf(rules, "b", NOON)).toBeNull();
});

const judged = (rules: string, hasObjectLock = false): string => {
  const text = `<LifecycleConfiguration>${rules}</LifecycleConfiguration>`;
  let made = 0;
  const id = (): string => `made-${++made}`;
  return Buffer.from(
    storedLifecycle(parseXmlDocument(Buffer.from(text), "LifecycleConfiguration"), id, hasObjectLock),
  ).toString();
};

test("a document is stored as it came, with names for rules that have none", () => {
  const rules = `<Rule><Status>Enabled</Status><Filter><Prefix> a&amp;b </Prefix></Filter>${after(1)}</Rule>`;
  const stored = judged(rules);
  expect(stored).toContain("<ID>made-1</ID>");
  expect(stored).toContain(after(1));
  expect(parseStoredLifecycle(Buffer.from(stored))[0]?.filter.prefix).toBe(" a&b ");
  expect(parseStoredLifecycle(Buffer.from(stored))[0]?.isEnabled).toBe(true);
});

const EXPIRE = after(1);
test.each([
  ["no rule", "", "Malformed"],
  ["a status that is none", rule(ALL, EXPIRE, "r", "enabled"), "Malformed"],
  ["no filter", rule("", EXPIRE), "Malformed"],
  ["filter and prefix", rule(`${ALL}<Prefix/>`, EXPIRE), "Malformed"],
  ["no action", rule(ALL, ""), "InvalidRequest"],
  ["an ID twice", rule(ALL, EXPIRE) + rule(ALL, EXPIRE), "InvalidArgument"],
  ["a long ID", rule(ALL, EXPIRE, "x".repeat(256)), "InvalidArgument"],
  ["zero days", rule(ALL, after(0)), "InvalidArgument"],
  ["negative days", rule(ALL, after(-1)), "InvalidArgument"],
  ["days that are no number", rule(ALL, "<Expiration><Days>x</Days></Expiration>"), "Malformed"],
  ["an empty expiration", rule(ALL, "<Expiration/>"), "Malformed"],
  [
    "days and a date",
    rule(ALL, "<Expiration><Days>1</Days><Date>2030-01-01T00:00:00Z</Date></Expiration>"),
    "Malformed",
  ],
  ["a time of day", rule(ALL, "<Expiration><Date>2030-01-01T10:00:00Z</Date></Expiration>"), "InvalidArgument"],
  ["a date that is none", rule(ALL, "<Expiration><Date>20300101</Date></Expiration>"), "Malformed"],
  ["a date of no calendar", rule(ALL, "<Expiration><Date>2030-13-01</Date></Expiration>"), "Malformed"],
  [
    "markers by tag",
    rule(
      "<Filter><Tag><Key>k</Key></Tag></Filter>",
      "<Expiration><ExpiredObjectDeleteMarker>true</ExpiredObjectDeleteMarker></Expiration>",
    ),
    "InvalidRequest",
  ],
  [
    "markers after days",
    rule(ALL, "<Expiration><Days>1</Days><ExpiredObjectDeleteMarker>true</ExpiredObjectDeleteMarker></Expiration>"),
    "Malformed",
  ],
  [
    "two conditions without And",
    rule("<Filter><Prefix>a</Prefix><ObjectSizeLessThan>1</ObjectSizeLessThan></Filter>", EXPIRE),
    "Malformed",
  ],
  [
    "the same tag twice",
    rule("<Filter><And><Tag><Key>k</Key></Tag><Tag><Key>k</Key></Tag></And></Filter>", EXPIRE),
    "InvalidRequest",
  ],
  [
    "sizes that exclude each other",
    rule(
      "<Filter><And><ObjectSizeGreaterThan>5</ObjectSizeGreaterThan><ObjectSizeLessThan>5</ObjectSizeLessThan></And></Filter>",
      EXPIRE,
    ),
    "InvalidRequest",
  ],
  [
    "uploads by tag",
    rule(
      "<Filter><Tag><Key>k</Key></Tag></Filter>",
      "<AbortIncompleteMultipartUpload><DaysAfterInitiation>1</DaysAfterInitiation></AbortIncompleteMultipartUpload>",
    ),
    "InvalidRequest",
  ],
  ["noncurrent without days", rule(ALL, "<NoncurrentVersionExpiration/>"), "Malformed"],
  [
    "a tier that is not there",
    rule(ALL, "<Transition><Days>1</Days><StorageClass>COLD</StorageClass></Transition>"),
    "InvalidStorageClass",
  ],
  [
    "a transition at a bad date",
    rule(ALL, "<Transition><Date>20220927</Date><StorageClass>COLD</StorageClass></Transition>"),
    "Malformed",
  ],
] as const)("a document with %s is refused with %p", (_, rules, code) => {
  expect(() => judged(rules)).toThrow(expect.objectContaining({ code }));
});

test("with object lock no rule removes all versions", () => {
  const rules = rule(
    ALL,
    "<Expiration><Days>1</Days><ExpiredObjectAllVersions>true</ExpiredObjectAllVersions></Expiration>",
  );
  expect(judged(rules)).toContain("ExpiredObjectAllVersions");
  expect(() => judged(rules, true)).toThrow(expect.objectContaining({ code: "LifecycleWithObjectLock" }));
});

test("of what lies on a drive, a rule that is not understood does nothing", () => {
  const rules = rulesOf(rule(ALL, "<Expiration><Days>never</Days></Expiration>"), rule(ALL, after(3), "good"));
  expect(rules.map((r) => r.id)).toEqual(["good"]);
  expect(expiryOf(rules, subject)?.atMs).toBe(Math.floor(NOON / DAY) * DAY + 4 * DAY);
});
