/**
 * Drives that MinIO left: the key index that is built from them lists and counts what a walk over them shows, for every
 * fixture, prefix and delimiter. The fixtures are at SHERD_FIXTURES.
 */
import { afterAll, expect, test } from "bun:test";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { loadCodec } from "../../src/codec/native.ts";
import { NativePool } from "../../src/codec/pool.ts";
import { layoutPools } from "../../src/config/endpoints.ts";
import { BlockPool } from "../../src/core/block-pool.ts";
import { BackgroundWork } from "../../src/erasure/background-work.ts";
import { DigestLanes } from "../../src/erasure/digest-lanes.ts";
import { ErasureSet } from "../../src/erasure/erasure-set.ts";
import { Pools } from "../../src/erasure/pools.ts";
import { Stamps } from "../../src/erasure/stamps.ts";
import type { ListRequest } from "../../src/erasure/store.ts";
import { walkPage } from "../../src/erasure/walk-page.ts";
import type { LocalDrive } from "../../src/storage/local-drive.ts";
import { GroupSyncs, type OpenedPool, openPool } from "../../src/storage/open-pool.ts";
import { SummaryCache } from "../../src/storage/version-summary.ts";
import { type Clock, realClock } from "../../src/sys/clock.ts";
import { realRng } from "../../src/sys/rng.ts";
import { SqliteTables } from "../../src/sys/sqlite-tables.ts";

const FIXTURES = join(process.env["SHERD_FIXTURES"] ?? "../shared/fixtures", "takeover");
const sets = existsSync(FIXTURES)
  ? readdirSync(FIXTURES).flatMap((name) => (name.endsWith(".tar.gz") ? [name.slice(0, -7)] : []))
  : [];
const signal = new AbortController().signal;
const codec = loadCodec();
const native = new NativePool(codec, { threads: 2, threadsMax: 16 });
const tables = new SqliteTables();
const [rng, clock] = [realRng(), { ...realClock(), sleep: () => Promise.resolve() } satisfies Clock];
afterAll(() => tables.close());

interface Taken {
  readonly pools: Pools;
  readonly drives: readonly LocalDrive[];
}

/** The drives of a fixture, unpacked into `folder` and opened as the server would. */
async function takenOver(set: string, folder: string): Promise<Taken> {
  const tar = Bun.spawnSync(["tar", "-xzf", resolve(FIXTURES, `${set}.tar.gz`), "-C", folder, "--no-same-owner"]);
  expect(tar.exitCode).toBe(0);
  const { server } = JSON.parse(readFileSync(join(FIXTURES, `${set}.expected.json`), "utf8")) as {
    server: { args: string[]; env: Record<string, string> };
  };
  const count = server.env["MINIO_ERASURE_SET_DRIVE_COUNT"];
  const opened: OpenedPool[] = [];
  const pools = [];
  const resources = {
    ...{ codec, jobs: native, clock, rng, stamps: new Stamps(clock, rng), inlineBytesMax: 131_072 },
    blocks: new BlockPool(16 * 1024 * 1024),
    readBlocks: new BlockPool(16 * 1024 * 1024),
    damage: { report: () => undefined },
    digests: new DigestLanes(native, clock),
  };
  for (const [p, layout] of layoutPools(server.args, count === undefined ? 0 : Number(count)).entries()) {
    const pool = await openPool({
      endpoints: layout.endpoints,
      paths: layout.endpoints.map((path) => resolve(folder, path)),
      setSize: layout.setSize,
      deploymentId: opened[0]?.format.deploymentId ?? null,
      allowRootDrive: true,
      disk: native,
      rng,
      clock,
      syncs: new GroupSyncs(native),
      warn: () => undefined,
      index: { tables, clock, summaries: new SummaryCache(), warn: () => undefined },
    });
    opened.push(pool);
    const parity = Math.floor(layout.setSize / 2);
    const own = Array.from({ length: layout.setCount }, (_, i) => {
      const drives = pool.drives.slice(i * layout.setSize, (i + 1) * layout.setSize);
      return new ErasureSet(p, i, drives, parity, parity, resources);
    });
    for (const at of pool.replaced) own[Math.floor(at / layout.setSize)]?.rebuilding.add(at % layout.setSize);
    pools.push({ sets: own, placement: pool.format.distribution, isSuspended: false });
  }
  const deploymentId = (opened[0] as OpenedPool).format.deploymentId;
  const drives = opened.flatMap((pool) => pool.drives).filter((drive) => drive !== null);
  for (const drive of drives) await drive.indexed();
  return { pools: new Pools({ pools, deploymentId, background: new BackgroundWork(() => undefined) }), drives };
}

test.each(sets)(
  "%s: listings from the index are those of a walk",
  async (set) => {
    const folder = mkdtempSync(join(tmpdir(), "sherd-takeover-"));
    try {
      const { pools, drives } = await takenOver(set, folder);
      let keys = 0;
      for (const { name } of await pools.listBuckets()) {
        for (const delimiter of ["", "/"])
          for (const prefix of ["", "m", "dir/"])
            for (const allVersions of [false, true]) {
              const asked: ListRequest = {
                ...{ bucket: name, prefix, delimiter, after: "", inclusive: false, limit: 1000, allVersions, signal },
              };
              const walked = await walkPage(
                { ...asked, setsOf: (p) => pools.setsOf(p), allSets: pools.allSets },
                asked,
              );
              const listed = await pools.list(asked);
              expect({ name, prefix, delimiter, allVersions, ...listed }).toEqual({
                ...{ name, prefix, delimiter, allVersions },
                ...walked,
              });
              keys += listed.entries.length;
            }
        expect(await pools.usage(name)).not.toBeNull();
      }
      expect(keys).toBeGreaterThan(0);
      for (const drive of drives) await drive.close();
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  },
  60_000,
);
