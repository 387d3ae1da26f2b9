/** A client of the admin API: signs as the SDK does (empty region), seals and opens payloads with its own secret. */
import { loadCodec } from "../../src/codec/native.ts";
import { PasswordEnvelope } from "../../src/iam/password-envelope.ts";
import { realRng } from "../../src/sys/rng.ts";
import type { Answer, Options, S3Server } from "./server.ts";
import { KEYS } from "./server.ts";
import type { Keys } from "./signer.ts";

const envelope = new PasswordEnvelope(loadCodec({ tier: -1 }), realRng());

export interface AdminAnswer extends Answer {
  /** The answer's JSON, opened if it was sealed. */
  // biome-ignore lint/suspicious/noExplicitAny: tests look into it
  readonly json: any;
}

export interface AdminOptions extends Options {
  /** Sent sealed. */
  readonly sealed?: unknown;
  /** Sent as it is. */
  readonly plain?: unknown;
}

export class AdminClient {
  readonly keys: Keys;
  constructor(
    private readonly server: S3Server,
    user: string = KEYS.user,
    secret: string = KEYS.secret,
    private readonly sessionToken: string | null = null,
  ) {
    this.keys = { user, secret, region: "" };
  }

  async call(method: string, path: string, options: AdminOptions = {}): Promise<AdminAnswer> {
    const { sealed, plain, ...rest } = options;
    const text = (value: unknown): string => (typeof value === "string" ? value : JSON.stringify(value));
    let body: Uint8Array | string | undefined = plain === undefined ? rest.body : text(plain);
    if (sealed !== undefined) body = await envelope.seal(this.keys.secret, Buffer.from(text(sealed)));
    const answer = await this.server.call(method, `/minio/admin/v3/${path}`, {
      ...this.signed(),
      ...rest,
      ...(body === undefined ? {} : { body }),
    });
    return { ...answer, json: await this.opened(answer) };
  }

  /** An S3 request with the same keys. */
  async s3(method: string, path: string, options: Options = {}): Promise<Answer> {
    return await this.server.call(method, path, {
      ...this.signed(),
      ...options,
      keys: { ...this.keys, region: "us-east-1" },
    });
  }

  private signed(): Options {
    const headers = this.sessionToken === null ? {} : { headers: { "x-amz-security-token": this.sessionToken } };
    return { keys: this.keys, ...headers };
  }

  private async opened(answer: Answer): Promise<unknown> {
    if (answer.body.length === 0) return null;
    let { body } = answer;
    if (body.length > 41 && (body[32] as number) <= 2) body = Buffer.from(await envelope.open(this.keys.secret, body));
    try {
      return JSON.parse(body.toString("utf8"));
    } catch {
      return body.toString("utf8");
    }
  }
}
