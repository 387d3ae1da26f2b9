/** BlockPool: what is lent and what is kept for later never exceed its capacity together. */
import { expect, test } from "bun:test";
import { type Block, BlockPool } from "../../../src/core/block-pool.ts";

const MIB = 1024 * 1024;

async function lend(pool: BlockPool, count: number, bytes: number): Promise<Block[]> {
  return await Promise.all(Array.from({ length: count }, () => pool.acquire(bytes)));
}
function giveBack(blocks: readonly Block[]): void {
  for (const block of blocks) block[Symbol.dispose]();
}

test("a block that came back is lent again, the last one first", async () => {
  const pool = new BlockPool(8 * MIB);
  const blocks = await lend(pool, 2, MIB);
  const memory = blocks.map((block) => block.bytes.buffer);
  giveBack(blocks);
  const again = await lend(pool, 2, MIB);
  expect(again.map((block) => memory.indexOf(block.bytes.buffer))).toEqual([1, 0]);
});

test("kept blocks are freed when there is no room for another size beside them", async () => {
  const pool = new BlockPool(8 * MIB);
  const small = await lend(pool, 8, MIB);
  const memory = small.map((block) => block.bytes.buffer as ArrayBuffer);
  giveBack(small);
  expect(memory.filter((buffer) => buffer.detached).length).toBe(0);
  const large = await lend(pool, 2, 3 * MIB);
  expect(memory.filter((buffer) => buffer.detached).length).toBe(6); // 2 MiB of the small ones may stay
  giveBack(large);
  expect(pool.lentBytes).toBe(0);
  expect((await lend(pool, 8, MIB)).every((block) => block.bytes.length === MIB)).toBe(true);
});

test("when nothing is lent any more, no more than 64 MiB are kept", async () => {
  const pool = new BlockPool(96 * MIB);
  const blocks = await lend(pool, 3, 32 * MIB);
  const memory = blocks.map((block) => block.bytes.buffer as ArrayBuffer);
  giveBack(blocks.slice(0, 2));
  expect(memory.filter((buffer) => buffer.detached).length).toBe(0);
  giveBack(blocks.slice(2));
  expect(memory.filter((buffer) => buffer.detached).length).toBe(1);
});

test("who asks for more than is free waits; a block is free at its last release", async () => {
  const pool = new BlockPool(2 * MIB);
  const [held] = await lend(pool, 1, 2 * MIB);
  (held as Block).hold();
  let got = false;
  const waiting = pool.acquire(MIB).then((block) => {
    got = true;
    return block;
  });
  giveBack([held as Block]);
  await Promise.resolve();
  expect([got, pool.tryAcquire(MIB)]).toEqual([false, null]);
  giveBack([held as Block]);
  giveBack([await waiting]);
  expect([got, pool.lentBytes]).toEqual([true, 0]);
});

test("what only a drive that hangs holds is beside the rest, as far as half of the capacity, and comes back", async () => {
  const pool = new BlockPool(4 * MIB);
  const blocks = await lend(pool, 4, MIB);
  const { promise: until, resolve: letGo } = Promise.withResolvers<void>();
  for (const block of blocks) block.holdUntil(until);
  expect([pool.lentBytes, pool.strayBytes, pool.tryAcquire(MIB)]).toEqual([4 * MIB, 0, null]);
  giveBack(blocks);
  expect([pool.lentBytes, pool.strayBytes]).toEqual([2 * MIB, 2 * MIB]);
  const others = await lend(pool, 2, MIB);
  expect(others.some((block) => blocks.some((held) => held.bytes.buffer === block.bytes.buffer))).toBe(false);
  letGo();
  await until;
  await Promise.resolve();
  expect([pool.lentBytes, pool.strayBytes]).toEqual([2 * MIB, 0]);
  expect(blocks.filter((block) => (block.bytes.buffer as ArrayBuffer).detached).length).toBe(2); // no more is kept than may be lent
  giveBack(others);
  giveBack(await lend(pool, 4, MIB));
  expect([pool.lentBytes, pool.strayBytes]).toEqual([0, 0]);
});

test("who needs a block in the place of one that a drive holds does not wait for others, unless there are too many", async () => {
  const pool = new BlockPool(2 * MIB);
  const blocks = await lend(pool, 2, MIB);
  const { promise: until, resolve: letGo } = Promise.withResolvers<void>();
  for (const block of blocks) block.holdUntil(until);
  const fresh = await pool.replace(blocks[0] as Block);
  expect([fresh.bytes.length, pool.lentBytes, pool.strayBytes]).toEqual([MIB, 2 * MIB, MIB]);
  let second: Block | null = null;
  const waiting = pool.replace(blocks[1] as Block).then((block) => {
    second = block;
  });
  await Promise.resolve();
  expect(second).toBeNull();
  giveBack([fresh]);
  await waiting;
  giveBack([...blocks, second as unknown as Block]);
  letGo();
  await until;
  await Promise.resolve();
  expect([pool.lentBytes, pool.strayBytes]).toEqual([0, 0]);
});
