/** KesKms: master keys at KES servers, over HTTPS with a client certificate. Several endpoints are asked in order. Source: KES's API v1. */
import type { HttpCall } from "../sys/http-client.ts";
import { contextText, type DataKey, type Kms, type KmsContext, type KmsStatus } from "./kms.ts";
import { base64Of, fromFirst, isOnline, type JsonObject, jsonOf } from "./remote-answer.ts";

const KEY_BYTES = 32;

export class KesKms implements Kms {
  readonly kind = "kes";

  constructor(
    private readonly endpoints: readonly string[],
    readonly defaultKeyId: string,
    private readonly call: HttpCall,
  ) {}

  async generateKey(keyId: string | null, context: KmsContext): Promise<DataKey> {
    const name = keyId ?? this.defaultKeyId;
    const answer = await this.ask("POST", `key/generate/${encodeURIComponent(name)}`, { context: encoded(context) });
    return {
      keyId: name,
      plaintext: base64Of(answer["plaintext"], KEY_BYTES),
      ciphertext: base64Of(answer["ciphertext"], null),
    };
  }

  async decryptKey(keyId: string, ciphertext: Uint8Array, context: KmsContext): Promise<Uint8Array> {
    const body = { ciphertext: Buffer.from(ciphertext).toString("base64"), context: encoded(context) };
    const answer = await this.ask("POST", `key/decrypt/${encodeURIComponent(keyId)}`, body, {
      400: "CannotDecrypt",
      404: "KeyNotFound",
    });
    return base64Of(answer["plaintext"], KEY_BYTES);
  }

  async createKey(keyId: string): Promise<void> {
    await this.ask("POST", `key/create/${encodeURIComponent(keyId)}`, undefined, {
      400: "KeyExists",
      409: "KeyExists",
    });
  }

  async listKeys(prefix: string): Promise<readonly string[]> {
    const answer = await this.ask("GET", `key/list/${encodeURIComponent(prefix)}*`);
    const names = Array.isArray(answer["names"]) ? (answer["names"] as unknown[]) : [];
    return names.filter((n): n is string => typeof n === "string" && n.startsWith(prefix)).sort();
  }

  async status(): Promise<KmsStatus> {
    const endpoints = await Promise.all(
      this.endpoints.map(async (endpoint) => ({
        endpoint,
        ...(await isOnline(this.call, `${endpoint}/v1/status`, {})),
      })),
    );
    return { kind: this.kind, endpoints };
  }

  private async ask(
    method: string,
    path: string,
    body?: JsonObject,
    codes: Parameters<typeof jsonOf>[1] = { 404: "KeyNotFound" },
  ): Promise<JsonObject> {
    const options = body === undefined ? {} : { body: JSON.stringify(body) };
    return jsonOf(await fromFirst(this.endpoints, (e) => this.call(method, `${e}/v1/${path}`, options)), codes);
  }
}

function encoded(context: KmsContext): string {
  return Buffer.from(contextText(context)).toString("base64");
}
