/**
 * Memory of a real server under its heaviest promise: 64 uploads of (by their headers) 5 GiB each and 64 downloads, all slow, at the
 * same time; then a single PUT of 5 GiB; then 10,000 parts. Bounded in time; prints the peaks and the usual last line.
 * `make memory`; needs 12 GB of disk below TMPDIR. Exit status 1 when a bound is broken.
 */
import { createHash } from "node:crypto";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { S3Client } from "../cluster/s3-client.ts";
import { ServerProcess } from "../cluster/server-process.ts";

const MIB = 1024 * 1024;
const BOUND_BYTES = 600 * MIB;
const CLIENTS = 64;
const SECONDS = 30;
const BYTES_PER_SECOND = 1.5 * MIB;
const TICK_MS = 50;
const FIVE_GIB = 5 * 1024 * MIB;
const PARTS = 10_000;
const PART_CLIENTS = 128;

const counts = { passed: 0, failed: 0 };
function check(sentence: string, holds: boolean, detail = ""): void {
  counts[holds ? "passed" : "failed"]++;
  process.stdout.write(`${holds ? "ok  " : "FAIL"} ${sentence}${detail === "" ? "" : `: ${detail}`}\n`);
}
const mib = (bytes: number): string => `${Math.round(bytes / MIB)} MiB`;

function open(client: S3Client, method: string, path: string, length: number): Promise<Socket> {
  const { promise, resolve, reject } = Promise.withResolvers<Socket>();
  const socket = connect(Number(new URL(client.endpoint).port), "127.0.0.1", () => {
    const headers = client.sign(method, path, { headers: { "content-length": String(length) } });
    const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
    socket.write(`${method} ${path} HTTP/1.1\r\n${lines.join("")}\r\n`);
    resolve(socket);
  });
  socket.on("error", reject);
  return promise;
}

/** All at once for SECONDS, then every client goes away. */
async function slowClients(server: ServerProcess): Promise<void> {
  const { client } = server;
  await client.put("/memory/download", Buffer.alloc(256 * MIB, "d"));
  const before = server.memory();
  const piece = Buffer.alloc((BYTES_PER_SECOND * TICK_MS) / 1000, "u");
  const uploads = await Promise.all(
    Array.from({ length: CLIENTS }, (_, i) => open(client, "PUT", `/memory/up-${i}`, FIVE_GIB)),
  );
  const downloads = await Promise.all(
    Array.from({ length: CLIENTS }, () => open(client, "GET", "/memory/download", 0)),
  );
  let received = 0;
  let sent = 0;
  const quota = (): number => (BYTES_PER_SECOND * (performance.now() - started)) / 1000;
  const started = performance.now();
  const owns = downloads.map((socket) => {
    const own = { bytes: 0 };
    socket.on("data", (bytes) => {
      own.bytes += bytes.length;
      received += bytes.length;
      if (own.bytes > quota()) socket.pause();
    });
    return own;
  });
  let peak = 0;
  while (performance.now() - started < SECONDS * 1000) {
    for (const socket of uploads)
      if (socket.writableLength < 2 * piece.length) {
        socket.write(piece);
        sent += piece.length;
      }
    for (const [i, socket] of downloads.entries()) if ((owns[i]?.bytes ?? 0) < quota()) socket.resume();
    peak = Math.max(peak, server.memory().resident);
    await Bun.sleep(TICK_MS);
  }
  process.stdout.write(`     ${mib(sent)} sent, ${mib(received)} received, before ${mib(before.resident)}\n`);
  for (const socket of [...uploads, ...downloads]) socket.destroy();
  check(
    `${CLIENTS} slow uploads of 5 GiB and ${CLIENTS} slow downloads stay under ${mib(BOUND_BYTES)}`,
    peak < BOUND_BYTES,
    `peak ${mib(peak)}`,
  );
  // On a busy disk they are slower than they want to be; each must be well into its body.
  check("all of them moved", Math.min(sent, received) > CLIENTS * 8 * MIB);
}

async function singlePut(server: ServerProcess): Promise<void> {
  const { client } = server;
  const socket = await open(client, "PUT", "/memory/five", FIVE_GIB);
  const piece = Buffer.alloc(4 * MIB);
  for (let i = 0; i < piece.length; i++) piece[i] = (i * 31 + (i >> 8)) & 255;
  const hash = createHash("md5");
  let answer = "";
  const { promise: answered, resolve } = Promise.withResolvers<void>();
  socket.on("data", (bytes) => {
    answer += bytes.toString();
    resolve();
  });
  let peak = 0;
  for (let left = FIVE_GIB; left > 0; left -= piece.length) {
    hash.update(piece);
    if (!socket.write(piece)) await new Promise<void>((drained) => socket.once("drain", drained));
    peak = Math.max(peak, server.memory().resident);
  }
  await answered;
  socket.destroy();
  check("a single PUT of 5 GiB is stored with its ETag", answer.includes(hash.digest("hex")), `peak ${mib(peak)}`);
  const head = await client.call("HEAD", "/memory/five");
  check("it has its length", head.headers.get("content-length") === String(FIVE_GIB));
  const tail = await client.call("GET", "/memory/five", { headers: { range: "bytes=-1000" } });
  check("its end is readable", tail.bytes.equals(piece.subarray(-1000)));
  await client.delete("/memory/five");
}

const seconds = (since: number): number => (performance.now() - since) / 1000;

/** Stores the parts 1 to PARTS; seconds that each thousand of them took. */
async function storeParts(client: S3Client, path: string, upload: string): Promise<number[]> {
  const thousands: number[] = [];
  let next = 1;
  let stored = 0;
  let started = performance.now();
  const worker = async (): Promise<void> => {
    for (let number = next++; number <= PARTS; number = next++) {
      const query = `partNumber=${number}&uploadId=${upload}`;
      if ((await client.call("PUT", path, { query, body: "abc" })).status === 200) stored++;
      if (stored < 1000 * (thousands.length + 1)) continue;
      thousands.push(seconds(started));
      started = performance.now();
    }
  };
  await Promise.all(Array.from({ length: PART_CLIENTS }, worker));
  check(`${PARTS} parts of one upload are stored`, stored === PARTS);
  return thousands;
}

/** The ETags of all parts; seconds that each page of 1000 took. */
async function listParts(client: S3Client, path: string, upload: string): Promise<{ tags: string[]; pages: number[] }> {
  const tags: string[] = [];
  const pages: number[] = [];
  for (let marker = 0; ; ) {
    const started = performance.now();
    const { text } = await client.get(path, `max-parts=1000&part-number-marker=${marker}&uploadId=${upload}`);
    pages.push(seconds(started));
    tags.push(...[...text.matchAll(/<ETag>([^<]*)/g)].map((match) => match[1] as string));
    if (!text.includes("<IsTruncated>true")) return { tags, pages };
    marker = Number(/<NextPartNumberMarker>(\d+)/.exec(text)?.[1] ?? PARTS);
  }
}

/** Neither the ten-thousandth part nor the last page may cost much more than the first; the machine has other work too. */
function checkSteady(what: string, times: readonly number[]): void {
  const words = times.map((time) => time.toFixed(2)).join(" ");
  const half = Math.floor(times.length / 2);
  const sum = (of: readonly number[]): number => of.reduce((a, b) => a + b, 0);
  check(
    `${what} do not slow down with their number`,
    sum(times.slice(-half)) < 3 * sum(times.slice(0, half)),
    `${words} s`,
  );
}

/** Parts of 3 bytes: Complete must refuse them (all but the last are 5 MiB at least), so the object is made of the last alone. */
async function manyParts(server: ServerProcess): Promise<void> {
  const { client } = server;
  const path = "/memory/parts";
  const upload = /<UploadId>([^<]*)/.exec((await client.call("POST", path, { query: "uploads" })).text)?.[1] ?? "";
  checkSteady("thousands of parts", await storeParts(client, path, upload));
  const { tags, pages } = await listParts(client, path, upload);
  check("ListParts pages through all of them", tags.length === PARTS, String(tags.length));
  checkSteady("pages of ListParts", pages);
  const listed = (parts: readonly number[]): string =>
    `<CompleteMultipartUpload>${parts.map((n) => `<Part><PartNumber>${n}</PartNumber><ETag>${tags[n - 1]}</ETag></Part>`).join("")}</CompleteMultipartUpload>`;
  let started = performance.now();
  const all = await client.call("POST", path, { query: `uploadId=${upload}`, body: listed(tags.map((_, i) => i + 1)) });
  const refused = seconds(started);
  check("Complete of all refuses them as too small", all.code === "EntityTooSmall", `${refused.toFixed(2)} s`);
  started = performance.now();
  const one = await client.call("POST", path, { query: `uploadId=${upload}`, body: listed([PARTS]) });
  const made = seconds(started);
  check(
    "Complete of part 10,000 alone makes the object",
    one.status === 200 && (await client.get(path)).bytes.toString() === "abc",
    `${made.toFixed(2)} s`,
  );
  check("each in under 10 s", Math.max(refused, made) < 10);
}

/** By the names that the command line takes. */
const WORK = { slow: slowClients, five: singlePut, parts: manyParts };

const begun = performance.now();
const root = mkdtempSync(join(tmpdir(), "sherd-memory-"));
try {
  await using server = await ServerProcess.start({ cwd: root });
  await server.client.put("/memory", "");
  const idle = server.memory().resident;
  check("idle under 100 MiB", idle < 100 * MIB, mib(idle));
  for (const [name, work] of Object.entries(WORK)) {
    if (process.argv.length > 2 && !process.argv.includes(name)) continue;
    const started = performance.now();
    await work(server);
    process.stdout.write(`     ${name}: ${seconds(started).toFixed(1)} s, RSS ${mib(server.memory().resident)}\n`);
  }
  check("in under 4 minutes", seconds(begun) < 240, `${seconds(begun).toFixed(0)} s`);
  check("stops in order", (await server.stop()) === 0);
  const staged = ["d1", "d2", "d3", "d4"].flatMap((d) =>
    readdirSync(join(root, d, ".minio.sys/tmp")).filter((n) => n !== ".trash" && n !== "sherd-index"),
  );
  check("the clients that went away left nothing", staged.length === 0, staged.join(" "));
} finally {
  rmSync(root, { recursive: true, force: true });
}
process.stdout.write(`${counts.passed} passed, ${counts.failed} failed, 0 skipped\n`);
process.exit(counts.failed > 0 ? 1 : 0);
