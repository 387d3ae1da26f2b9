/** Group commit as the metrics of a real server tell it: how many syncs of its log a drive pays for a PUT. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "bun:test";
import { ServerProcess } from "./server-process.ts";

const cwd = mkdtempSync(join(tmpdir(), "sherd-syncs-"));
afterAll(() => rmSync(cwd, { recursive: true, force: true }));
const CLIENTS = 64;
const PUTS_EACH = 40;

/** By drive. */
async function logMetric(url: string, name: string): Promise<Map<string, number>> {
  const text = await (await fetch(`${url}/minio/v2/metrics/node`)).text();
  const rows = text.matchAll(new RegExp(`^sherd_commit_log_${name}\\{.*?drive="([^"]+)".*?\\} ([0-9.e+]+)$`, "gm"));
  return new Map([...rows].map((row) => [row[1] as string, Number(row[2])]));
}

test("sixty-four clients share the syncs of a drive's log: at most one for eight PUTs", async () => {
  await using server = await ServerProcess.start({ cwd, env: { SHERD_PROMETHEUS_AUTH_TYPE: "public" } });
  const { client } = server;
  await client.put("/syncs", "");
  const body = Buffer.alloc(4096, "x");
  const before = await logMetric(server.url, "syncs_total");
  await Promise.all(
    Array.from({ length: CLIENTS }, async (_, at) => {
      for (let n = 0; n < PUTS_EACH; n++) expect((await client.put(`/syncs/k${at}-${n % 5}`, body)).status).toBe(200);
    }),
  );
  const after = await logMetric(server.url, "syncs_total");
  const records = await logMetric(server.url, "records_total");
  expect(after.size).toBe(4);
  for (const [drive, syncs] of after) {
    expect(records.get(drive)).toBeGreaterThanOrEqual(CLIENTS * PUTS_EACH);
    const perPut = (syncs - (before.get(drive) ?? 0)) / (CLIENTS * PUTS_EACH);
    expect([drive, perPut > 0, perPut <= 1 / 8 || perPut]).toEqual([drive, true, true]);
  }
  const unapplied = await logMetric(server.url, "unapplied_keys");
  expect([...unapplied.values()].every((keys) => keys <= CLIENTS * PUTS_EACH + 10)).toBe(true);
  expect(await server.stop()).toBe(0);
}, 60_000);

test("a lone client pays one sync a PUT", async () => {
  await using server = await ServerProcess.start({ cwd, env: { SHERD_PROMETHEUS_AUTH_TYPE: "public" } });
  const before = await logMetric(server.url, "syncs_total");
  for (let n = 0; n < 50; n++) await server.client.put(`/syncs/lone${n}`, "x");
  const after = await logMetric(server.url, "syncs_total");
  // Settles ride along with the next record; what is left over may take a sync of its own when the drive is idle.
  for (const [drive, syncs] of after) expect(syncs - (before.get(drive) ?? 0)).toBeLessThanOrEqual(50 + 5);
  expect(await server.stop()).toBe(0);
}, 60_000);
