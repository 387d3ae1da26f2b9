/** NativePool: tasks from JavaScript and back. What the threads do with them is tested in C, test/codec-native/pool-test.c. */
import { afterAll, expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DIGEST, Digest } from "../../../src/codec/checksum.ts";
import { loadCodec } from "../../../src/codec/native.ts";
import { NativePool } from "../../../src/codec/pool.ts";
import { AssertionError } from "../../../src/core/assert.ts";
import { Errno, step } from "../../../src/sys/disk.ts";

const codec = loadCodec();
const pool = new NativePool(codec, { threads: 2, threadsMax: 6 });
const folder = mkdtempSync(join(tmpdir(), "sherd-pool-"));
afterAll(() => {
  expect(codec.symbols.sherd_pool_stop(5000)).toBe(0);
  rmSync(folder, { recursive: true });
});

const at = (name: string): string => join(folder, name);
const descriptors = (): number => readdirSync("/proc/self/fd").length;

test("several pools live in one process, each in a library of its own", async () => {
  const second = loadCodec({ tier: 0 });
  const other = new NativePool(second, { threads: 1, threadsMax: 1 });
  expect((await other.run([step.stat("/")])).error).toBe(0);
  expect([second.tier, codec.tier === 0]).toEqual([0, loadCodec().tier === 0]);
  expect(second.symbols.sherd_pool_stop(5000)).toBe(0);
});

test("a stream's digests are taken in the order in which they were asked for", async () => {
  const streams = Array.from({ length: 20 }, (_, i) => ({
    digest: new Digest(codec, DIGEST.md5),
    hash: createHash("md5"),
    i,
  }));
  const done: Promise<unknown>[] = [];
  for (let round = 0; round < 40; round++)
    for (const { digest, hash, i } of streams) {
      const bytes = new Uint8Array(new ArrayBuffer(1 + ((round * 977 + i * 131) % 3000))).fill(round + i);
      hash.update(bytes);
      done.push(pool.run([step.digest(digest.state, bytes)]));
    }
  await Promise.all(done);
  for (const { digest, hash } of streams)
    expect(Buffer.from(digest.final().md5).toString("hex")).toBe(hash.digest("hex"));
});

test("a thousand tasks at once all come back, each with its own results", async () => {
  for (let i = 0; i < 10; i++) writeFileSync(at(`size-${i}`), Buffer.alloc(i * 1000));
  const results = await Promise.all(
    Array.from({ length: 1000 }, (_, i) => pool.run([step.stat(at(`size-${i % 10}`))], i % 3 === 0)),
  );
  expect(results.map(({ error, results: [size] }) => [error, size])).toEqual(
    Array.from({ length: 1000 }, (_, i) => [0, (i % 10) * 1000]),
  );
  expect(pool.inFlight).toBe(0);
});

test("the first error ends a task, names its step and leaves no descriptor open", async () => {
  await pool.run([step.stat("/")]);
  const before = descriptors();
  const { error, failedStep, results } = await pool.run([
    step.openRead("/"),
    step.keep(),
    step.unlink(at("absent"), 0x10),
    step.rmdir(at("absent")),
    step.mkdir(at("never")),
  ]);
  expect([error, failedStep, results[2], existsSync(at("never"))]).toEqual([Errno.ENOENT, 3, -Errno.ENOENT, false]);
  expect(descriptors()).toBe(before);
});

test("a kept descriptor serves later tasks until one owns it", async () => {
  const opened = await pool.run([step.openCreate(at("kept")), step.keep()]);
  const fd = opened.results[1] as number;
  const bytes = new Uint8Array(new ArrayBuffer(2000)).fill(7);
  for (let i = 0; i < 3; i++)
    expect((await pool.run([step.use(fd), step.pwrite(bytes, i * bytes.length)])).error).toBe(0);
  expect((await pool.run([step.use(fd), step.keep(), step.rmdir(at("absent"))])).error).toBe(Errno.ENOENT);
  expect((await pool.run([step.use(fd, true), step.fdatasync()])).error).toBe(0);
  expect((await pool.run([step.use(fd), step.fstat()])).error).toBe(Errno.EBADF);
  expect(readFileSync(at("kept")).equals(Buffer.alloc(6000, 7))).toBe(true);
});

test("buffers given to a task live until it is done, and small ones do not move", async () => {
  const write = (i: number) => {
    const small = new Uint8Array(24).fill(i); // small arrays have no buffer of their own until it is asked for
    return pool.run([step.writeFile(at(`small-${i}`), small)]);
  };
  const writes = Array.from({ length: 200 }, (_, i) => write(i));
  Bun.gc(true);
  for (let i = 0; i < 2000; i++) new Uint8Array(24).fill(255);
  for (const { error } of await Promise.all(writes)) expect(error).toBe(0);
  for (let i = 0; i < 200; i++) expect(readFileSync(at(`small-${i}`)).equals(Buffer.alloc(24, i))).toBe(true);
});

test("paths of many bytes and tasks of many steps outgrow a slot and still arrive", async () => {
  const names = Array.from({ length: 60 }, (_, i) => `${"ü".repeat(100)}-${i}`);
  const { error } = await pool.run(names.map((name) => step.writeFile(at(name), new Uint8Array(0))));
  expect(error).toBe(0);
  for (const name of names) expect(existsSync(at(name))).toBe(true);
});

test("a process may end while tasks run and wait", async () => {
  const flood = `
    import { loadCodec } from "${import.meta.dir}/../../../src/codec/native.ts";
    import { NativePool } from "${import.meta.dir}/../../../src/codec/pool.ts";
    import { step } from "${import.meta.dir}/../../../src/sys/disk.ts";
    const pool = new NativePool(loadCodec(), { threads: 4, threadsMax: 8 });
    const again = (i) => pool.run([step.stat("/")], i % 2 === 0).then(() => again(i + 1));
    for (let i = 0; i < 500; i++) again(i);
    pool.run([step.stat("/")]).then(() => process.exit(0));`;
  for (let round = 0; round < 5; round++) {
    const child = Bun.spawn([process.execPath, "-e", flood], { stdout: "inherit", stderr: "inherit" });
    expect(await child.exited).toBe(0);
  }
});

test("buffers that are too small for what C writes are refused", () => {
  const shard = new Uint8Array(64);
  expect(() => step.readFrame(new Uint8Array(31), shard, 0)).toThrow(AssertionError);
  expect(() => step.stat("/", new Uint8Array(31))).toThrow(AssertionError);
  expect(() => step.statvfs("/", new Uint8Array(47))).toThrow(AssertionError);
  expect(() => step.append(shard, 65, { tail: new Uint8Array(4096), offset: 0 })).toThrow(AssertionError);
  expect(() => step.append(shard, 0, { tail: new Uint8Array(4095), offset: 0 })).toThrow(AssertionError);
  expect(() => step.flush(shard, 65, 0)).toThrow(AssertionError);
  const pieces = { totalBytes: 64, pieceBytes: 16, stride: 48 };
  expect(() => step.digest(shard, new Uint8Array(3 * 48 + 15), pieces)).toThrow(AssertionError);
  expect(() => step.digest(shard, new Uint8Array(4096), { ...pieces, pieceBytes: 3 })).toThrow(AssertionError);
  const layout = { stride: 96, shardBytes: 64, have: 1, want: 2 };
  expect(() => step.encode(1, new Uint8Array(95), 96, 64)).toThrow(AssertionError);
  expect(() => step.encode(1, new Uint8Array(96), 95, 64)).toThrow(AssertionError);
  expect(() => step.rebuildSlots(1, new Uint8Array(95), layout)).toThrow(AssertionError);
});
