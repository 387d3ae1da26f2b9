/**
 * Bugs to plant in the real code, one at a time: each is an edit of a source text that the loader makes while a test process reads
 * it, so that production has no seam for them. `by`: the test file that must fail, and within it the test. The first ones are
 * rules of the commit protocol's model (engine.md §3), the others of distributed.md §10.3 and of the commit log.
 */
export interface Plant {
  readonly name: string;
  readonly file: string;
  /** Occurs once in the file. */
  readonly find: string;
  readonly replace: string;
  readonly by: string;
  /** Of the test, as `bun test -t` takes it. */
  readonly test: string;
  /** Caught within seconds: part of `make test`. */
  readonly isQuick?: boolean;
}

const CLIENTS = { by: "test/sim/clients.test.ts", test: "what clients see" };
const LOG = "src/storage/log-commit.ts";
const COMMIT = "src/erasure/commit-version.ts";

export const PLANTS: readonly Plant[] = [
  {
    name: "no-fence",
    file: LOG,
    find: "      memory.fence(name, stamp);\n",
    replace: "",
    by: "test/contract/protocol.test.ts",
    test: "",
    isQuick: true,
  },
  {
    name: "restore-unsure",
    file: COMMIT,
    find: 'const clean = verdict === "refused" && (await takeBack',
    replace: "const clean = (await takeBack",
    by: "test/sim/quorum-loss.test.ts",
    test: "",
  },
  {
    name: "settled-early",
    file: "src/storage/pending-commit.ts",
    find: `      doubt: {
        sequence: placed.sequence,
        prev: { image: prev, stamp: record.prevStamp },
        newDirs: record.newDirs,
        oldDirs: record.oldDirs,
        replaces: record.heals,
      },
      isNew:`,
    replace: "      doubt: prev === null ? null : null,\n      isNew:",
    ...CLIENTS,
    isQuick: true,
  },
  {
    name: "read-no-quorum",
    file: "src/erasure/read-version.ts",
    find: "if (merged.versions.length === 0 && silent >= smallest) {",
    replace: "if (merged.versions.length === 0 && silent > set.size) {",
    by: "test/sim/commit-crash.test.ts",
    test: "refused with a reason, not a 404",
    isQuick: true,
  },
  {
    name: "stamp-equal",
    file: LOG,
    find: 'if (stamp <= later(state.promised, state.stamp)) return "stale";',
    replace: "",
    ...CLIENTS,
  },
  {
    name: "commit-over-doubt",
    file: LOG,
    find: 'if (state.prev !== null) return "doubt";',
    replace: "",
    by: "test/contract/protocol.test.ts",
    test: "",
  },
  {
    name: "undo-any (undo not fenced)",
    file: LOG,
    find: "|| stamp < memory.of(name).fenced)",
    replace: ")",
    by: "test/contract/protocol.test.ts",
    test: "",
  },
  {
    name: "refusal-not-kept",
    file: LOG,
    find: "    memory.promise(nameOf(key), stamp);\n",
    replace: "",
    by: "test/contract/protocol.test.ts",
    test: "",
    isQuick: true,
  },
  {
    name: "prior-as-seen",
    file: COMMIT,
    find: "return state.prev !== null && reading?.rolledBack.has(state.stamp) === true ? state.prev.stamp : state.stamp;",
    replace: "return state.stamp;",
    by: "test/sim/quorum-loss.test.ts",
    test: "a key that a failed write left in doubt",
    isQuick: true,
  },
  {
    name: "no-prior (write without CAS)",
    file: LOG,
    find: 'return prior !== null && prior !== state.stamp ? "prior" : null;',
    replace: "return prior === null ? null : null;",
    by: "test/contract/protocol.test.ts",
    test: "",
  },
  {
    name: "no-dedupe",
    file: LOG,
    find: "if (memory.hasAccepted(name, terms.stamp)) return Promise.resolve(good({ accepted: true }));",
    replace: "",
    by: "test/contract/protocol.test.ts",
    test: "",
  },
  {
    name: "retry-unclean",
    file: COMMIT,
    find: "if (clean && refusedBy.length > 0 && mayRetry",
    replace: "if (refusedBy.length > 0 && mayRetry",
    by: "test/sim/commit-rules.test.ts",
    test: "is not tried again",
    isQuick: true,
  },
  {
    name: "no-help-check",
    file: LOG,
    find: "if (fenced !== fence || state.stamp > stamp",
    replace: "if (state.stamp > stamp",
    by: "test/contract/protocol.test.ts",
    test: "",
  },
  {
    name: "late-help",
    file: LOG,
    find: "|| last > fence || state.prev",
    replace: "|| state.prev",
    by: "test/contract/protocol.test.ts",
    test: "",
  },
  {
    name: "undo dropped (of a failed write)",
    file: COMMIT,
    find: 'return vote === "accepted" || vote === "unknown" ? drive.restore(key, stamp, stamp) : Promise.resolve(good(true));',
    replace: "return Promise.resolve(good(true || drive === null || vote === stamp.toString()));",
    ...CLIENTS,
  },
  {
    name: "acknowledged below the quorum",
    file: "src/erasure/quorum.ts",
    find: 'if (done >= quorum) return "committed";',
    replace: 'if (done >= quorum - 1) return "committed";',
    ...CLIENTS,
  },
  {
    name: "ack before the sync of staged files and their directories",
    file: LOG,
    find: '    const synced = await groupSync.sync();\n    return synced === 0 ? null : files.error("sync", synced);\n',
    replace: '    return groupSync === null ? files.error("sync", 0) : null;\n',
    by: "test/sim/commit-crash.test.ts",
    test: "data files",
  },
  {
    name: "ack before the sync of the log",
    file: "src/storage/commit-log.ts",
    find: "      step.pwrite(bytes, segment.fill),\n      step.fdatasync(),\n",
    replace: "      step.pwrite(bytes, segment.fill),\n",
    by: "test/sim/commit-log-crash.test.ts",
    test: "answered operations survive",
  },
  {
    name: "checkpoint before the sync of the tree",
    file: "src/storage/apply-log.ts",
    find: '    const synced = await groupSync.sync();\n    if (synced !== 0) return files.error("sync", synced);\n    const next',
    replace: '    if (groupSync === null) return files.error("sync", 0);\n    const next',
    by: "test/sim/commit-log-crash.test.ts",
    test: "answered operations survive",
  },
  {
    name: "a record lets go what it refers to",
    file: "src/storage/pending-commit.ts",
    find: "placed: needed ?? placed,",
    replace: "placed,",
    by: "test/sim/commit-log-crash.test.ts",
    test: "answered operations survive",
  },
  {
    name: "purge on read",
    file: "src/erasure/read-version.ts",
    find: "  let before = first;\n",
    replace:
      '  let before = first;\n  const purge = { stamp: set.resources.clock.nowNs(), prior: null, settles: [] };\n  for (const drive of set.drives) await drive?.commit(first.key, { kind: "delete-version", versionId: "null" }, purge);\n',
    ...CLIENTS,
  },
  {
    name: "heal without CAS",
    file: "src/erasure/heal-version.ts",
    find: "now.value.stamp !== target.stamp || (await changed(set, before))) {",
    replace: "(now.value.stamp !== target.stamp && (await changed(set, before)) && target.stamp < 0n)) {",
    by: "test/sim/commit-rules.test.ts",
    test: "overtaken by a write",
    isQuick: true,
  },
  {
    name: "a drive with a gap votes against what it lost",
    file: "src/erasure/resolve-doubt.ts",
    find: "if (state.stamp !== doubt.stamp && set.rebuilding.has(position)) lost++;",
    replace: "if (state.stamp !== doubt.stamp && state.meta === null && set.rebuilding.has(position)) lost++;",
    by: "test/sim/log-repair.test.ts",
    test: "a drive with a gap shows is no vote",
  },
  {
    name: "heal over a doubt",
    file: "src/erasure/heal-version.ts",
    find: "if (isInDoubt(set, key) || now.value",
    replace: "if (now.value",
    by: "test/sim/commit-rules.test.ts",
    test: "in doubt elsewhere",
    isQuick: true,
  },
  {
    name: "a stamp given twice",
    file: "src/erasure/stamps.ts",
    find: "    this.counter = (this.counter + 2n) & COUNTER_MASK;\n",
    replace: "",
    by: "test/unit/erasure/stamps.test.ts",
    test: "a floor above the clock",
    isQuick: true,
  },
  {
    name: "a segment written before its name is synced",
    file: "src/storage/log-segments.ts",
    find: "if (synced === 0) segment.sizeBytes = this.size.segmentBytes;",
    replace: "segment.sizeBytes = this.size.segmentBytes;",
    by: "test/unit/storage/commit-log.test.ts",
    test: "whose name could not be synced",
    isQuick: true,
  },
  {
    name: "a holder without its data",
    file: LOG,
    find: "const missing = withoutData || entry.arriving === null ? null : await this.arrived(entry);",
    replace: "if (entry.arriving !== null) await entry.arriving;\n        const missing = null;",
    by: "test/unit/storage/commit-log.test.ts",
    test: "without the data of a commit",
    isQuick: true,
  },
  {
    name: "a delete that misses a stale copy",
    file: "src/erasure/pools.ts",
    find: "if (!mayHold(pool.reading.merged, versionId)) continue;",
    replace: "if (!pool.reading.merged.versions.some((v) => v.header.versionId === versionId)) continue;",
    by: "test/sim/quorum-loss.test.ts",
    test: "a delete reaches a stale copy",
    isQuick: true,
  },
  {
    name: "a stale drive counts as one that took a delete",
    file: "src/erasure/quorum.ts",
    find: "removed.every((id) => !own.some(({ versionId }) => versionId === id));",
    replace: "[...before.keys()].every((n) => after.has(n) || !own.some((header) => versionName(header) === n));",
    by: "test/unit/erasure/quorum.test.ts",
    test: "an older version of the id",
    isQuick: true,
  },
  {
    name: "an upload removed while its data may come back into it",
    file: "src/storage/local-drive.ts",
    find: `    const synced = await this.groupSync.sync();
    if (synced !== 0) return this.outcome("sync", synced);
    const system`,
    replace: "    const system",
    by: "test/sim/upload-power-cut.test.ts",
    test: "",
    isQuick: true,
  },
  {
    name: "a read in one turn of what is in doubt",
    file: LOG,
    find: "if (entry.image === null || entry.doubt !== null || entry.arriving !== null) return -1;",
    replace: "if (entry.image === null) return -1;",
    by: "test/contract/protocol.test.ts",
    test: "copied at once",
    isQuick: true,
  },
];
