/**
 * Load: clients that write, overwrite, read and delete keys of their own, each one after the other, and know for each key what
 * was acknowledged. An answer that is not understood, or bytes that nobody wrote, are kept in words.
 */
import type { Answer, S3Client } from "./s3-client.ts";

const SIZES = [10, 4000, 200_000, 700_000];
const KEYS_EACH = 3;

function contentOf(text: string): Buffer {
  return Buffer.alloc(Number.parseInt(text, 10), `${text} `);
}

export class Load implements AsyncDisposable {
  /** What is acknowledged: path -> "size text"; null = deleted. */
  private readonly known = new Map<string, string | null>();
  /** A write of the key failed, so it may be old or new. */
  private readonly open = new Map<string, (string | null)[]>();
  /** Codes of failed answers -> how often, since `look`. */
  private refused = new Map<string, number>();
  private succeeded = { writes: 0, reads: 0 };
  private wrong: string[] = [];
  private running = true;
  private turn = 0;
  private readonly clients: Promise<void>[];
  private readonly watchers = new Set<() => void>();

  constructor(
    private readonly client: S3Client,
    private readonly bucket: string,
    clients: number,
  ) {
    this.clients = Array.from({ length: clients }, (_, i) => this.run(i));
  }

  /** Waits for `operations` more of each client's; what came of them. */
  async look(operations: number): Promise<{ writes: number; reads: number; refused: string[]; wrong: string[] }> {
    await this.pass(this.clients.length); // those that began before are not counted
    this.refused = new Map();
    this.succeeded = { writes: 0, reads: 0 };
    await this.pass(operations * this.clients.length);
    const result = { ...this.succeeded, refused: [...this.refused.keys()].sort(), wrong: this.wrong };
    this.wrong = [];
    return result;
  }

  private async pass(operations: number): Promise<void> {
    const until = this.turn + operations;
    const { promise, resolve } = Promise.withResolvers<void>();
    const watch = (): void => {
      if (this.turn >= until) resolve();
    };
    this.watchers.add(watch);
    await promise;
    this.watchers.delete(watch);
  }

  async stop(): Promise<void> {
    this.running = false;
    await Promise.all(this.clients);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  /**
   * In words, the keys that are not as they were acknowledged. A drive keeps what it has of a key whose delete it missed; if
   * no other is left to outvote it, the key is "deleted or in doubt", and nothing else.
   */
  async audit(client: S3Client, deleted: "deleted" | "deleted or in doubt" = "deleted"): Promise<string[]> {
    const wrong: string[] = [];
    for (const [path, content] of this.known) {
      const answer = await client.get(path);
      if (deleted !== "deleted" && content === null && answer.status === 503) continue;
      const words = this.judge(path, answer);
      if (words !== null) wrong.push(words);
    }
    return wrong;
  }

  private async run(index: number): Promise<void> {
    const paths = Array.from({ length: KEYS_EACH }, (_, i) => `/${this.bucket}/c${index}/${i}`);
    for (let n = 0; this.running; n++) {
      const path = paths[Math.floor(n / 3) % KEYS_EACH] as string;
      if (n % 3 === 0) await this.write(path, `${SIZES[n % SIZES.length]} ${path} ${n}`);
      else if (n % 3 === 1) await this.read(path);
      else if (n % 9 === 8) await this.write(path, null);
      else await this.read(paths[n % KEYS_EACH] as string);
      this.turn++;
      for (const watch of this.watchers) watch();
    }
  }

  private async write(path: string, next: string | null): Promise<void> {
    const answer = next === null ? await this.client.delete(path) : await this.client.put(path, contentOf(next));
    if (answer.status < 300 && answer.status > 0) {
      this.known.set(path, next);
      this.open.delete(path);
      this.succeeded.writes++;
      return;
    }
    this.open.set(path, [...(this.open.get(path) ?? []), next]);
    this.note(answer);
  }

  private async read(path: string): Promise<void> {
    const answer = await this.client.get(path);
    if (answer.status === 0 || answer.status >= 500) {
      this.note(answer);
      return;
    }
    const words = this.judge(path, answer);
    if (words === null) this.succeeded.reads++;
    else this.wrong.push(words);
  }

  private judge(path: string, { status, bytes, code }: Answer): string | null {
    const may = [this.known.get(path) ?? null, ...(this.open.get(path) ?? [])];
    const isOne = may.some((content) =>
      content === null ? status === 404 : status === 200 && bytes.equals(contentOf(content)),
    );
    return isOne ? null : `${path}: ${status} ${code}, ${bytes.length} bytes that were not acknowledged`;
  }

  private note({ status, code, text }: Answer): void {
    const words = `${status} ${code || text}`;
    this.refused.set(words, (this.refused.get(words) ?? 0) + 1);
  }
}
