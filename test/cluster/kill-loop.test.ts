/**
 * kill -9 at random moments under mixed load, again and again for a bounded time; after each restart every acknowledged
 * operation is there. A key has one writer, whose last acknowledged state and whose one attempt in flight are known.
 */
import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { S3Client } from "./s3-client.ts";
import { ServerProcess } from "./server-process.ts";

const root = mkdtempSync(join(tmpdir(), "sherd-kill-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));

const SECONDS = Number(process.env["KILL_SECONDS"] ?? "10");
const WRITERS = 12;
const KEYS_EACH = 4;
const SIZES = [0, 500, 30_000, 300_000, 1_500_000];

/** What a key may be: the acknowledged content, or that of the attempt whose answer did not come. null = absent. */
interface Known {
  acknowledged: string | null;
  attempted: string | null | undefined;
}

function contentOf(text: string): Buffer {
  const [size = "0"] = text.split(" ");
  return Buffer.alloc(Number(size), `${text} `);
}

class Writer {
  readonly known = new Map<string, Known>();
  private turn = 0;
  operations = 0;
  constructor(
    private readonly name: string,
    private readonly random: () => number,
  ) {
    for (let i = 0; i < KEYS_EACH; i++)
      this.known.set(`/kill/${name}/${i}`, { acknowledged: null, attempted: undefined });
  }

  /** Until an answer is missing: the server is dead. */
  async run(client: S3Client): Promise<void> {
    for (;;) {
      const paths = [...this.known.keys()];
      const path = paths[Math.floor(this.random() * paths.length)] as string;
      const known = this.known.get(path) as Known;
      const next =
        this.random() < 0.3 ? null : `${SIZES[Math.floor(this.random() * SIZES.length)]} ${this.name} ${this.turn++}`;
      known.attempted = next;
      const answer = next === null ? await client.delete(path) : await client.put(path, contentOf(next));
      if (answer.status === 0) return;
      if (answer.status < 300) known.acknowledged = next;
      if (answer.status < 500) known.attempted = undefined; // else it may have happened, or not
      this.operations++;
    }
  }

  /** In words, what is not as it was acknowledged. */
  async audit(client: S3Client): Promise<string[]> {
    const wrong: string[] = [];
    for (const [path, known] of this.known) {
      const { status, bytes } = await client.get(path);
      const is = (text: string | null): boolean =>
        text === null ? status === 404 : status === 200 && bytes.equals(contentOf(text));
      if (is(known.acknowledged)) known.attempted = undefined;
      else if (known.attempted !== undefined && is(known.attempted)) {
        known.acknowledged = known.attempted;
        known.attempted = undefined;
      } else wrong.push(`${path}: ${status}, ${bytes.length} bytes, not ${known.acknowledged} nor ${known.attempted}`);
    }
    return wrong;
  }
}

/** A small repeatable generator: a failure names its seed. */
function randomOf(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

test(
  `kill -9 under mixed load for ${SECONDS} s loses, tears and raises nothing`,
  async () => {
    const seed = Number(process.env["KILL_SEED"] ?? String(process.pid));
    const random = randomOf(seed);
    const writers = Array.from({ length: WRITERS }, (_, i) => new Writer(`w${i}`, randomOf(seed + i + 1)));
    await using first = await ServerProcess.start({ cwd: root });
    expect((await first.client.put("/kill", "")).status).toBe(200);
    expect(await first.stop()).toBe(0);
    let rounds = 0;
    for (const until = performance.now() + SECONDS * 1000; performance.now() < until; rounds++) {
      await using server = await ServerProcess.start({ cwd: root });
      for (const writer of writers)
        expect([seed, rounds, await writer.audit(server.client)]).toEqual([seed, rounds, []]);
      const work = writers.map((writer) => writer.run(server.client));
      const { promise: soon, resolve } = Promise.withResolvers<void>();
      setTimeout(resolve, 100 + random() * 900);
      await soon;
      await server.kill();
      await Promise.all(work);
    }
    await using last = await ServerProcess.start({ cwd: root });
    for (const writer of writers) expect([seed, await writer.audit(last.client)]).toEqual([seed, []]);
    expect(await last.stop()).toBe(0);
    expect(rounds).toBeGreaterThan(1);
    expect(writers.reduce((sum, writer) => sum + writer.operations, 0)).toBeGreaterThan(rounds * 10);
  },
  (SECONDS + 60) * 1000,
);
