/**
 * Holds pytest's results against the list of expected failures: `bun compare.ts RESULTS.xml LIST.tsv ARGUMENTS`. Prints what
 * differs, the score outside ceph's own inventions, and the counts as the last line; expected failures count as skipped. With
 * arguments (a part of the suite was run) entries that did not run are not missed.
 *
 * A line of the list: test (a last * stands for any end), kind and reason, with tabs between. Kinds: `ceph` = the suite's own
 * extension or server, not part of S3; `differs` = AWS or MinIO answers otherwise and sherd follows them; `missing` = to do.
 */
import { XMLParser } from "fast-xml-parser";

type Outcome = "passed" | "failed" | "skipped";
interface Case {
  readonly "@_name": string;
  readonly failure?: unknown;
  readonly error?: unknown;
  readonly skipped?: unknown;
}
const KINDS: readonly string[] = ["ceph", "differs", "missing"];

const [resultsFile, listFile, argumentCount] = Bun.argv.slice(2) as [string, string, string];
const parser = new XMLParser({
  ignoreAttributes: false,
  isArray: (name) => name === "testcase" || name === "testsuite",
});
const results = parser.parse(await Bun.file(resultsFile).text()) as {
  testsuites: { testsuite: { testcase?: Case[] }[] };
};
const outcomes = new Map<string, Outcome>();
for (const one of results.testsuites.testsuite.flatMap((suite) => suite.testcase ?? [])) {
  const isFailed = one.failure !== undefined || one.error !== undefined;
  const outcome = isFailed ? "failed" : one.skipped !== undefined ? "skipped" : "passed";
  // A test that passes and then cannot clean up is reported twice.
  if (outcomes.get(one["@_name"]) !== "failed") outcomes.set(one["@_name"], outcome);
}

const expected = (await Bun.file(listFile).text())
  .split("\n")
  .filter((line) => line !== "" && !line.startsWith("#"))
  .map((line) => {
    const [test = "", kind = "", reason = ""] = line.split("\t");
    if (!KINDS.includes(kind) || reason === "") throw new Error(`not an entry: ${line}`);
    return { test, kind };
  });
const entryOf = (name: string): (typeof expected)[number] | undefined =>
  expected.find(({ test }) => (test.endsWith("*") ? name.startsWith(test.slice(0, -1)) : name === test));

const counts = { passed: 0, failed: 0, skipped: 0, ceph: 0, known: 0 };
const used = new Set<object>();
for (const [name, outcome] of outcomes) {
  const entry = entryOf(name);
  if (outcome === "skipped") counts.skipped++;
  else if (outcome === "passed") {
    counts.passed++;
    if (entry !== undefined && !entry.test.endsWith("*")) {
      counts.failed++;
      console.log(`FAIL ${name} passes: take it off the list`);
    }
  } else if (entry === undefined) {
    counts.failed++;
    console.log(`FAIL ${name}`);
  } else {
    used.add(entry);
    counts[entry.kind === "ceph" ? "ceph" : "known"]++;
  }
}
for (const entry of expected) {
  const hasRun = entry.test.endsWith("*") || outcomes.has(entry.test);
  if (!used.has(entry) && argumentCount === "0" && (entry.test.endsWith("*") || !hasRun)) {
    counts.failed++;
    console.log(`FAIL ${entry.test} is on the list, and no such test failed`);
  }
}
const judged = outcomes.size - counts.skipped - counts.ceph;
console.log(
  `${counts.passed} of ${judged} outside ceph's own inventions pass (${((100 * counts.passed) / Math.max(1, judged)).toFixed(1)} %)`,
);
console.log(`${counts.passed} passed, ${counts.failed} failed, ${counts.skipped + counts.ceph + counts.known} skipped`);
process.exit(counts.failed > 0 ? 1 : 0);
