/**
 * A real server killed before each step of an operation, restarted, and looked at: the key is old or new and whole, what was
 * acknowledged is there, and what the crash left is gone after the next clean stop.
 */
import { afterAll, expect, test } from "bun:test";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { XlMeta } from "../../src/storage/xl-meta.ts";
import type { S3Client } from "./s3-client.ts";
import { ServerProcess } from "./server-process.ts";

const root = mkdtempSync(join(tmpdir(), "sherd-crash-"));
const ENTRY = join(import.meta.dir, "crashing-server.ts");
const STEPS_MAX = 400;
/** Steps left out between two that are tried; 1 = every step is tried. */
const STRIDE = Number(process.env["CRASH_STRIDE"] ?? "9");
afterAll(() => rmSync(root, { recursive: true, force: true }));

const SMALL = { old: Buffer.alloc(3000, "old"), next: Buffer.alloc(3500, "new") };
const LARGE = { old: Buffer.alloc(700_000, "OLD!"), next: Buffer.alloc(2_300_000, "NEW!") };
const PATH = "/crash/dir/key";

interface Case {
  /** Makes the state before, without faults. Returns what `work` needs. */
  readonly prepare: (client: S3Client) => Promise<string>;
  /** The operation; true = acknowledged. */
  readonly work: (client: S3Client, prepared: string) => Promise<boolean>;
  /** What is seen now: "old", "new", or what is wrong. */
  readonly look: (client: S3Client, prepared: string) => Promise<"old" | "new" | string>;
}

async function put(client: S3Client, bytes: Uint8Array, path = PATH): Promise<boolean> {
  return (await client.put(path, bytes)).status === 200;
}

function lookAtBytes({ old, next }: { old: Buffer | null; next: Buffer | null }): Case["look"] {
  return async (client) => {
    const { status, bytes, text } = await client.get(PATH);
    if (status !== 200 && status !== 404) return `status ${status} ${text}`;
    const found = status === 404 ? null : bytes;
    const is = (other: Buffer | null): boolean =>
      found === null || other === null ? found === other : found.equals(other);
    return is(next) ? "new" : is(old) ? "old" : `${found?.length} bytes that nobody wrote`;
  };
}

function overwrite(old: Buffer | null, next: Buffer | null): Case {
  return {
    async prepare(client) {
      if (old === null) await client.delete(PATH);
      else expect(await put(client, old)).toBe(true);
      return "";
    },
    work: async (client) => (next === null ? (await client.delete(PATH)).status === 204 : await put(client, next)),
    look: lookAtBytes({ old, next }),
  };
}

const VERSIONED = "/versioned/key";
async function versionsOf(client: S3Client): Promise<{ versions: number; markers: number; text: string }> {
  const { text, status } = await client.get("/versioned", "versions&prefix=key");
  expect(status).toBe(200);
  return { versions: text.match(/<Version>/g)?.length ?? 0, markers: text.match(/<DeleteMarker>/g)?.length ?? 0, text };
}
/** One more version, or a delete marker; the ones before stay. */
function versioned(next: Buffer | null): Case {
  const counts = async (client: S3Client): Promise<string> => {
    const { versions, markers } = await versionsOf(client);
    return `${versions} ${markers}`;
  };
  return {
    prepare: async (client) => {
      expect(await put(client, SMALL.old, VERSIONED)).toBe(true);
      return await counts(client);
    },
    work: async (client) =>
      next === null ? (await client.delete(VERSIONED)).status === 204 : await put(client, next, VERSIONED),
    async look(client, before) {
      const [versions = 0, markers = 0] = before.split(" ").map(Number);
      const { status, bytes } = await client.get(VERSIONED);
      const now = await counts(client);
      if (now === before) return status === 200 && bytes.equals(SMALL.old) ? "old" : `old listing, status ${status}`;
      const wanted = next === null ? `${versions} ${markers + 1}` : `${versions + 1} ${markers}`;
      const whole = next === null ? status === 404 : status === 200 && bytes.equals(next);
      return now === wanted && whole ? "new" : `${before} became ${now}, status ${status}`;
    },
  };
}

/** Complete of two parts over an object; a Complete that failed can be repeated. */
const completed: Case = {
  async prepare(client) {
    expect(await put(client, LARGE.old)).toBe(true);
    const started = await client.call("POST", PATH, { query: "uploads" });
    const upload = /<UploadId>([^<]*)/.exec(started.text)?.[1] ?? "";
    const part = Buffer.alloc(5 * 1024 * 1024, "part");
    for (const [number, body] of [
      [1, part],
      [2, SMALL.next],
    ] as const)
      expect((await client.call("PUT", PATH, { query: `partNumber=${number}&uploadId=${upload}`, body })).status).toBe(
        200,
      );
    return upload;
  },
  async work(client, upload) {
    const listed = (await client.get(PATH, `uploadId=${upload}`)).text;
    const tags = [...listed.matchAll(/<ETag>([^<]*)/g)].map((match) => match[1]);
    const parts = tags.map((tag, i) => `<Part><PartNumber>${i + 1}</PartNumber><ETag>${tag}</ETag></Part>`).join("");
    const body = `<CompleteMultipartUpload>${parts}</CompleteMultipartUpload>`;
    const answer = await client.call("POST", PATH, { query: `uploadId=${upload}`, body });
    return answer.status === 200 && !answer.text.includes("<Error>");
  },
  async look(client, upload) {
    const next = Buffer.concat([Buffer.alloc(5 * 1024 * 1024, "part"), SMALL.next]);
    const seen = await lookAtBytes({ old: LARGE.old, next })(client, upload);
    if (seen !== "old") return seen;
    return (await completed.work(client, upload)) && (await lookAtBytes({ old: null, next })(client, "")) === "new"
      ? "old"
      : "the upload cannot be completed any more";
  },
};

const CASES: Readonly<Record<string, Case>> = {
  "a first small write": overwrite(null, SMALL.next),
  "a small overwrite": overwrite(SMALL.old, SMALL.next),
  "a large overwrite": overwrite(LARGE.old, LARGE.next),
  "small over large": overwrite(LARGE.old, SMALL.next),
  "a delete": overwrite(LARGE.old, null),
  "a new version": versioned(LARGE.next),
  "a delete marker": versioned(null),
  "a completed upload": completed,
};

for (const [index, [what, tried]] of Object.entries(CASES).entries()) {
  test(`${what}: killed at any step, it is old or new, whole, and acknowledged ones are there`, async () => {
    const cwd = join(root, String(index));
    mkdirSync(cwd);
    await using first = await ServerProcess.start({ cwd });
    for (const bucket of ["/crash", "/versioned"]) expect((await first.client.put(bucket, "")).status).toBe(200);
    const enabled = "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>";
    await first.client.call("PUT", "/versioned", { query: "versioning", body: enabled });
    expect(await first.stop()).toBe(0);
    const steps = await killEverywhere(cwd, tried, index % STRIDE);
    expect(steps).toBeGreaterThan(10);
    expect(steps).toBeLessThan(STEPS_MAX);
    await using last = await ServerProcess.start({ cwd });
    await tried.look(last.client, await tried.prepare(last.client)); // the key is written once more: what it left is tidied up
    expect(await last.stop()).toBe(0);
    expect(leftovers(cwd)).toEqual([]);
  }, 240_000);
}

/** The number of the first step that the operation does not have. */
async function killEverywhere(cwd: string, tried: Case, from: number): Promise<number> {
  for (let n = from; n < STEPS_MAX; n += STRIDE) {
    await using server = await ServerProcess.start({ cwd, entry: ENTRY, env: { CRASH_BEFORE: String(n) } });
    const prepared = await tried.prepare(server.client);
    server.signal("SIGUSR2");
    await server.until((line) => line.event === "armed");
    const acknowledged = await tried.work(server.client, prepared);
    if (acknowledged) await server.stop(); // what follows the answer may have the step
    const code = acknowledged ? server.exitCode : await server.exited();
    await using again = await ServerProcess.start({ cwd });
    const seen = await tried.look(again.client, prepared);
    expect([n, seen]).toEqual([n, acknowledged ? "new" : expect.stringMatching(/^(old|new)$/)]);
    expect(await tried.look(again.client, prepared)).toBeOneOf(["old", "new"]);
    expect(await again.stop()).toBe(0);
    if (acknowledged && code === 0) return n;
  }
  return STEPS_MAX;
}

/** Staged files, and data directories that no xl.meta names. */
function leftovers(cwd: string): string[] {
  const found: string[] = [];
  for (const drive of ["d1", "d2", "d3", "d4"].map((name) => join(cwd, name))) {
    const kept = [".trash", "sherd-index"]; // the key index's mark
    for (const name of readdirSync(join(drive, ".minio.sys/tmp"))) if (!kept.includes(name)) found.push(`tmp/${name}`);
    found.push(...readdirSync(join(drive, ".minio.sys/tmp/.trash")).map((name) => `trash/${name}`));
    for (const bucket of ["crash/dir", "versioned"]) {
      const folder = join(drive, bucket, "key");
      if (!existsSync(folder)) continue;
      const named = existsSync(join(folder, "xl.meta"))
        ? new Set(XlMeta.decode(new Uint8Array(readFileSync(join(folder, "xl.meta")))).dataDirs())
        : new Set<string>();
      for (const name of readdirSync(folder))
        if (name !== "xl.meta" && !named.has(name)) found.push(`${folder}/${name}`);
    }
  }
  return found;
}
