/**
 * Holds pytest's results against the list of expected failures: `bun compare.ts LIST.tsv ARGUMENTS RESULTS.xml…`. Prints what
 * differs, the score of each file of tests outside ceph's own inventions, and the counts as the last line; expected failures
 * count as skipped. With ARGUMENTS other than 0 (a part of the suite was run) entries that did not run are not missed.
 *
 * A line of the list: test, kind and reason, with tabs between. Kinds: `ceph` = the suite's own extension or server, not part
 * of S3, and not in the score; `differs` = AWS or MinIO answers otherwise and sherd follows them; `missing` = to do.
 */
import { XMLParser } from "fast-xml-parser";

type Outcome = "passed" | "failed" | "skipped";
interface Case {
  readonly "@_name": string;
  /** Ends in the name of its file. */
  readonly "@_classname": string;
  readonly failure?: unknown;
  readonly error?: unknown;
  readonly skipped?: unknown;
}
interface Score {
  passed: number;
  judged: number;
}
const KINDS: readonly string[] = ["ceph", "differs", "missing"];

const parser = new XMLParser({
  ignoreAttributes: false,
  isArray: (name) => name === "testcase" || name === "testsuite",
});

async function casesOf(file: string): Promise<Case[]> {
  const results = parser.parse(await Bun.file(file).text()) as {
    testsuites: { testsuite: ({ testcase?: Case[] } | "")[] };
  };
  return results.testsuites.testsuite.flatMap((suite) => (suite === "" ? [] : (suite.testcase ?? [])));
}

async function expectedOf(file: string): Promise<Map<string, string>> {
  const expected = new Map<string, string>();
  for (const line of (await Bun.file(file).text()).split("\n")) {
    if (line === "" || line.startsWith("#")) continue;
    const [test = "", kind = "", reason = ""] = line.split("\t");
    if (!KINDS.includes(kind) || reason === "" || expected.has(test)) throw new Error(`not an entry: ${line}`);
    expected.set(test, kind);
  }
  return expected;
}

const [listFile, argumentCount, ...resultFiles] = Bun.argv.slice(2) as [string, string, ...string[]];
const outcomes = new Map<string, { outcome: Outcome; suite: string }>();
for (const one of (await Promise.all(resultFiles.map(casesOf))).flat()) {
  const isFailed = one.failure !== undefined || one.error !== undefined;
  const outcome = isFailed ? "failed" : one.skipped !== undefined ? "skipped" : "passed";
  // A test that passes and then cannot clean up is reported twice.
  if (outcomes.get(one["@_name"])?.outcome === "failed") continue;
  outcomes.set(one["@_name"], { outcome, suite: one["@_classname"].split(".").at(-1) ?? "" });
}

const expected = await expectedOf(listFile);
const wrong: string[] = [];
const scores = new Map<string, Score>();
const counts = { passed: 0, skipped: 0, ceph: 0, known: 0 };
for (const [name, { outcome, suite }] of outcomes) {
  const kind = expected.get(name);
  const score = scores.get(suite) ?? { passed: 0, judged: 0 };
  scores.set(suite, score);
  if (outcome === "skipped") counts.skipped++;
  else if (outcome === "failed" && kind === "ceph") counts.ceph++;
  else score.judged++;
  if (outcome === "failed" && kind === undefined) wrong.push(`FAIL ${name}`);
  if (outcome === "failed" && kind !== undefined && kind !== "ceph") counts.known++;
  if (outcome !== "passed") continue;
  counts.passed++;
  score.passed++;
  if (kind !== undefined) wrong.push(`FAIL ${name} passes: take it off the list`);
}
for (const name of expected.keys()) {
  const outcome = outcomes.get(name)?.outcome;
  const isMissed = outcome === undefined && argumentCount === "0";
  if (isMissed || outcome === "skipped") wrong.push(`FAIL ${name} is on the list and did not run`);
}

for (const line of wrong) console.log(line);
for (const [suite, { passed, judged }] of scores) {
  const percent = ((100 * passed) / Math.max(1, judged)).toFixed(1);
  console.log(`${suite}: ${passed} of ${judged} outside ceph's own inventions pass (${percent} %)`);
}
console.log(
  `${counts.known} fail as AWS and MinIO differ, ${counts.ceph} are ceph's own, ${counts.skipped} the suite skips`,
);
console.log(`${counts.passed} passed, ${wrong.length} failed, ${counts.skipped + counts.ceph + counts.known} skipped`);
process.exit(wrong.length > 0 ? 1 : 0);
