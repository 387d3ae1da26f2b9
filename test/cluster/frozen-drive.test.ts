/**
 * A drive that hangs, for real: its file system is frozen under a running server. No client waits for it for long, nor for what one process
 * does for all drives, its threads and its memory, and it has everything in the end.
 */
import { afterAll, expect, test } from "bun:test";
import { existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { FreezableDrive } from "./mounted-drive.ts";
import { ServerProcess } from "./server-process.ts";

const IMAGE_BYTES = 256 * 1024 * 1024;
const OBJECTS = 30;
const CLIENTS = 16;
/** More than the rows of its key index that a drive keeps in memory. */
const MANY = 17_000;
/** Of which the rows take more than a connection's cache of a key index. */
const LONG_KEYS = 6_000;
/** Reads of the drive, or writes, at the same time: more than the process has threads. */
const AT_ONCE = 280;
const FOLDERS = ["a", "b", "c"].map((letter) => letter.repeat(250)).join("/");
/** Without a quorum's answer being enough it is the drive's deadline, 30 s. */
const MOST_MS = 5_000;
/** So long a write waits for it whose data it was to take before anybody knew. */
const MOST_OF_DATA_MS = 10_000;
const ENV = { MINIO_PROMETHEUS_AUTH_TYPE: "public" };

async function timed<T>(into: number[], work: Promise<T>): Promise<T> {
  const began = performance.now();
  const value = await work;
  into.push(performance.now() - began);
  return value;
}

/** Of the drive, by the server's metrics. */
async function lateBytes(url: string): Promise<number> {
  const text = await (await fetch(`${url}/minio/v2/metrics/node`)).text();
  return Number(/^sherd_drive_late_bytes\{[^}]*d2\/drive[^}]*\} (\d+)$/m.exec(text)?.[1] ?? Number.NaN);
}

const ENDPOINTS = ["./d1", "./d2/drive", "./d3", "./d4"];
const root = mkdtempSync(join(tmpdir(), "sherd-frozen-"));
const drive = new FreezableDrive(join(root, "d2"), join(root, "image"), IMAGE_BYTES);
const why = drive.refusal === null ? "" : ` (skipped: ${drive.refusal})`;
afterAll(() => {
  drive[Symbol.dispose]();
  rmSync(root, { recursive: true, force: true });
});

function start(): Promise<ServerProcess> {
  return ServerProcess.start({ cwd: root, endpoints: ENDPOINTS, flags: ["--allow-root-drive"], env: ENV });
}

test.skipIf(drive.refusal !== null)(
  `no write and no read waits for a drive that is frozen${why}`,
  async () => {
    await using server = await start();
    const { client } = server;
    const body = (name: string): Buffer => Buffer.alloc(4_000, name);
    expect((await client.put("/bucket", "")).status).toBe(200);
    for (let i = 0; i < OBJECTS; i++) expect((await client.put(`/bucket/old-${i}`, body("old"))).status).toBe(200);

    expect(drive.freeze()).toBeNull();
    const times: number[] = [];
    for (let i = 0; i < OBJECTS; i++) {
      expect((await timed(times, client.put(`/bucket/new-${i}`, body("new")))).status).toBe(200);
      expect((await timed(times, client.get(`/bucket/new-${i}`))).bytes.equals(body("new"))).toBe(true);
      expect((await timed(times, client.get(`/bucket/old-${i}`))).bytes.equals(body("old"))).toBe(true);
      expect((await timed(times, client.delete(`/bucket/old-${i}`))).status).toBe(204);
      expect((await timed(times, client.get(`/bucket/old-${i}`))).status).toBe(404);
    }
    expect(Math.max(...times)).toBeLessThan(MOST_MS);
    expect(await lateBytes(server.url)).toBeGreaterThan(OBJECTS * 1024);

    expect(drive.thaw()).toBeNull();
    expect(await server.stop()).toBe(0); // what is late comes before it ends, and all of it goes into the tree
    for (let i = 0; i < OBJECTS; i++) {
      const there = ["new", "old"].map((name) => existsSync(join(root, `d2/drive/bucket/${name}-${i}/xl.meta`)));
      expect([i, there]).toEqual([i, [true, false]]);
    }
  },
  120_000,
);

test.skipIf(drive.refusal !== null)(
  `nor do more writes than the drive has memory for${why}`,
  async () => {
    await using server = await start();
    const { client } = server;
    await client.put("/bucket", "");
    await client.put("/bucket/before", "small"); // its row is to be written when the drive is frozen
    expect(drive.freeze()).toBeNull();
    const times: number[] = [];
    let next = 0;
    const writer = async (): Promise<void> => {
      while (next < MANY) expect((await timed(times, client.put(`/bucket/many-${next++}`, "small"))).status).toBe(200);
    };
    try {
      await Promise.all(Array.from({ length: CLIENTS }, writer));
    } finally {
      expect(drive.thaw()).toBeNull();
    }
    expect(Math.max(...times)).toBeLessThan(MOST_MS);
  },
  120_000,
);

/** Files below a folder. */
function filesIn(folder: string): string[] {
  const entries = readdirSync(folder, { recursive: true, withFileTypes: true });
  return entries.flatMap((entry) => (entry.isFile() ? [join(entry.parentPath, entry.name)] : []));
}

test.skipIf(drive.hangRefusal !== null)(
  `a drive of which reads hang too holds nobody up for long${drive.hangRefusal === null ? "" : ` (skipped: ${drive.hangRefusal})`}`,
  async () => {
    const names = Array.from({ length: LONG_KEYS }, (_, i) => `${FOLDERS}/${String(i).padStart(5, "0")}`);
    const some = names.slice(0, OBJECTS);
    const large = Buffer.alloc(3_000_000, "a large one ");
    await using before = await start();
    await before.client.put("/cold", "");
    let next = 0;
    const writer = async (): Promise<void> => {
      for (let name = names[next++]; name !== undefined; name = names[next++])
        expect((await before.client.put(`/cold/${name}`, name)).status).toBe(200);
    };
    await Promise.all(Array.from({ length: CLIENTS }, writer));
    expect((await before.client.put("/cold/large", large)).status).toBe(200);
    expect(await before.stop()).toBe(0); // everything is in the tree and in the index

    await using server = await start();
    const { client } = server;
    const folder = join(root, "d2/drive");
    drive.forget([
      join(folder, ".minio.sys/sherd/index.db"),
      ...some.map((name) => join(folder, "cold", name, "xl.meta")),
      ...filesIn(join(folder, "cold/large")),
    ]);
    drive.hang(server.pid);
    const times: number[] = [];
    try {
      for (let round = 0; round < 2; round++) {
        const listed = await timed(times, client.get("/cold", "list-type=2"));
        expect([...listed.bytes.toString().matchAll(/<Key>([^<]*)/g)].map(([, key]) => key)).toEqual(
          names.slice(0, 1_000),
        );
        for (const name of some) expect((await timed(times, client.get(`/cold/${name}`))).text).toBe(name);
        expect((await timed(times, client.get("/cold/large"))).bytes.equals(large)).toBe(true);
        expect((await timed(times, client.get("/"))).status).toBe(200);
        expect((await timed(times, client.put(`/cold/new-${round}`, "new"))).status).toBe(200);
        expect((await timed(times, client.delete(`/cold/new-${round}`))).status).toBe(204);
      }
    } finally {
      drive.resume();
    }
    expect(Math.max(...times)).toBeLessThan(MOST_MS);
    expect(await server.stop()).toBe(0);
  },
  120_000,
);

test.skipIf(drive.hangRefusal !== null)(
  `nor do more reads at once than there are threads${drive.hangRefusal === null ? "" : ` (skipped: ${drive.hangRefusal})`}`,
  async () => {
    const body = (i: number): Buffer => Buffer.alloc(300_000, `object ${i} `);
    const all = Array.from({ length: AT_ONCE }, (_, i) => i);
    await using before = await start();
    await before.client.put("/many", "");
    for (const i of all) expect((await before.client.put(`/many/${i}`, body(i))).status).toBe(200);
    expect(await before.stop()).toBe(0);

    await using server = await start();
    const { client } = server;
    drive.forget(filesIn(join(root, "d2/drive/many")));
    drive.hang(server.pid);
    const times: number[] = [];
    try {
      const reads = all.map(async (i) => (await timed(times, client.get(`/many/${i}`))).bytes.equals(body(i)));
      for (let i = 0; i < OBJECTS; i++)
        expect((await timed(times, client.put(`/many/new-${i}`, "new"))).status).toBe(200);
      expect(new Set(await Promise.all(reads))).toEqual(new Set([true]));
    } finally {
      drive.resume();
    }
    expect(Math.max(...times)).toBeLessThan(MOST_MS);
    expect(await server.stop()).toBe(0);
  },
  120_000,
);

test.skipIf(drive.refusal !== null)(
  `large bodies and uploads wait for a frozen drive once and not for long${why}`,
  async () => {
    await using server = await start();
    const { client } = server;
    const large = Buffer.alloc(300_000, "a large one ");
    const part = Buffer.alloc(5 * 1024 * 1024, "a part ");
    await client.put("/large", "");
    await client.put("/large/before", large);
    expect(drive.freeze()).toBeNull();
    const times: number[] = [];
    const later: number[] = [];
    try {
      const all = Array.from({ length: AT_ONCE }, (_, i) => i);
      const statuses = all.map(async (i) => (await timed(times, client.put(`/large/${i}`, large))).status);
      expect(new Set(await Promise.all(statuses))).toEqual(new Set([200]));
      for (let i = 0; i < 5; i++) expect((await timed(later, client.put(`/large/next-${i}`, large))).status).toBe(200);
      const begun = await timed(later, client.call("POST", "/large/upload", { query: "uploads" }));
      const id = /<UploadId>([^<]*)/.exec(begun.text)?.[1] ?? "";
      const sent = [1, 2].map(async (number) => {
        const { headers } = await timed(
          later,
          client.call("PUT", "/large/upload", { query: `partNumber=${number}&uploadId=${id}`, body: part }),
        );
        return `<Part><PartNumber>${number}</PartNumber><ETag>${headers.get("etag")}</ETag></Part>`;
      });
      const list = `<CompleteMultipartUpload>${(await Promise.all(sent)).join("")}</CompleteMultipartUpload>`;
      expect(
        (await timed(later, client.call("POST", "/large/upload", { query: `uploadId=${id}`, body: list }))).status,
      ).toBe(200);
      expect((await timed(later, client.get("/large/upload"))).bytes.equals(Buffer.concat([part, part]))).toBe(true);
    } finally {
      expect(drive.thaw()).toBeNull();
    }
    expect(Math.max(...times)).toBeLessThan(MOST_OF_DATA_MS);
    expect(Math.max(...later)).toBeLessThan(MOST_MS);
    for (const name of ["before", "0", "next-0"])
      expect((await client.get(`/large/${name}`)).bytes.equals(large)).toBe(true);
    expect(await server.stop()).toBe(0);
  },
  120_000,
);
