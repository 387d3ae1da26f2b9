/**
 * What a lone client waits for a durable PUT of 4 KiB, beside one sync of the same disk, in turns of one run: a write into a
 * preallocated file with its fdatasync, and four of them at once as four drives on one disk do. Bar: 1.2 syncs and 0.5 ms.
 * `bun bench/macro/lone-put.ts --start dist/sherd --where /mnt/disk [--rounds 40] [--each 20]`
 */
import { fdatasyncSync, mkdtempSync, openSync, rmSync, writeSync } from "node:fs";
import { fdatasync, write } from "node:fs";
import { join, resolve } from "node:path";
import { parseArgs, promisify } from "node:util";
import { Client, Payload } from "./load.ts";
import { startServer } from "./server-process.ts";

const CREDENTIALS = { user: "bench-user", password: "bench-password" };
const DRIVES = 4;
/** About what one drive's record of such a PUT takes (2+2: half of the body, and xl.meta). */
const RECORD = Buffer.alloc(2560, 7);

const { values } = parseArgs({
  options: {
    start: { type: "string", default: "dist/sherd" },
    where: { type: "string", default: "." },
    rounds: { type: "string", default: "40" },
    each: { type: "string", default: "20" },
  },
});

function preallocated(path: string): number {
  const file = openSync(path, "w+");
  writeSync(file, Buffer.alloc(16 * 1024 * 1024), 0, 16 * 1024 * 1024, 0);
  fdatasyncSync(file);
  return file;
}

async function timed(into: number[], work: () => Promise<unknown>): Promise<void> {
  const began = performance.now();
  await work();
  into.push(performance.now() - began);
}

function show(what: string, times: number[]): number {
  times.sort((a, b) => a - b);
  const at = (q: number): number => times[Math.floor(times.length * q)] ?? 0;
  process.stdout.write(`${what.padEnd(40)} p50 ${at(0.5).toFixed(2)} ms, p90 ${at(0.9).toFixed(2)} ms\n`);
  return at(0.5);
}

const folder = mkdtempSync(join(resolve(values.where), "lone-"));
const server = await startServer(values.start, folder, CREDENTIALS);
try {
  const target = { endpoint: new URL(server.endpoint), accessKey: CREDENTIALS.user, secretKey: CREDENTIALS.password };
  const client = new Client({ ...target, signsPayload: false });
  await client.send({ method: "PUT", path: "/lone" });
  const files = Array.from({ length: DRIVES }, (_, i) => preallocated(join(folder, `sync-${i}`)));
  const [writeAt, sync] = [promisify(write), promisify(fdatasync)];
  let offset = 0;
  const once = async (file: number): Promise<void> => {
    await writeAt(file, RECORD, 0, RECORD.length, offset);
    await sync(file);
  };
  const [one, four, puts]: [number[], number[], number[]] = [[], [], []];
  const body = Payload.random(4096);
  for (let n = 0; n < 200; n++) await client.send({ method: "PUT", path: `/lone/warm-${n}`, body });
  for (let round = 0; round < Number(values.rounds); round++)
    for (let n = 0; n < Number(values.each); n++) {
      offset = (offset + RECORD.length) % (15 * 1024 * 1024);
      await timed(one, () => once(files[0] as number));
      await timed(four, () => Promise.all(files.map(once)));
      await timed(puts, async () => {
        const answer = await client.send({ method: "PUT", path: `/lone/k${n}`, body });
        if (answer.status !== 200) throw new Error(`PUT answers ${answer.status}`);
      });
    }
  client.close();
  const single = show("a write and one fdatasync", one);
  const atOnce = show("four of them at once", four);
  const put = show("PUT 4 KiB of a lone client", puts);
  const bar = (sync1: number): string => `${(put / (1.2 * sync1 + 0.5)).toFixed(2)} of 1.2 x sync + 0.5 ms`;
  process.stdout.write(`${bar(single)} (one sync), ${bar(atOnce)} (four at once)\n`);
} finally {
  await server.stop();
  rmSync(folder, { recursive: true, force: true });
}
