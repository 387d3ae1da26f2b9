/**
 * VaultKms: master keys in the Transit engine of HashiCorp Vault. Data keys are made here and encrypted there, with the context
 * as associated data; the ciphertext is Vault's text (`vault:v1:…`). Source: Vault's Transit HTTP API.
 */
import type { Rng } from "../sys/rng.ts";
import type { HttpCall } from "../sys/http-client.ts";
import { contextText, type DataKey, type Kms, type KmsContext, KmsError, type KmsStatus } from "./kms.ts";
import { base64Of, fromFirst, isOnline, type JsonObject, jsonOf } from "./remote-answer.ts";

const KEY_BYTES = 32;

export interface VaultOptions {
  readonly endpoint: string;
  readonly token: string;
  readonly mount: string;
  readonly defaultKeyId: string;
}

export class VaultKms implements Kms {
  readonly kind = "vault";
  readonly defaultKeyId: string;

  constructor(
    private readonly options: VaultOptions,
    private readonly call: HttpCall,
    private readonly rng: Pick<Rng, "fill">,
  ) {
    this.defaultKeyId = options.defaultKeyId;
  }

  async generateKey(keyId: string | null, context: KmsContext): Promise<DataKey> {
    const name = keyId ?? this.defaultKeyId;
    if (!(await this.exists(name))) throw new KmsError("KeyNotFound", `The key ${name} does not exist.`); // encrypting would make it
    const plaintext = this.rng.fill(new Uint8Array(KEY_BYTES));
    const data = await this.ask("POST", `encrypt/${encodeURIComponent(name)}`, {
      plaintext: Buffer.from(plaintext).toString("base64"),
      associated_data: encoded(context),
    });
    const { ciphertext } = data;
    if (typeof ciphertext !== "string" || ciphertext === "")
      throw new KmsError("Unavailable", "Vault answers without a ciphertext.");
    return { keyId: name, plaintext, ciphertext: Buffer.from(ciphertext) };
  }

  async decryptKey(keyId: string, ciphertext: Uint8Array, context: KmsContext): Promise<Uint8Array> {
    const body = { ciphertext: Buffer.from(ciphertext).toString("utf8"), associated_data: encoded(context) };
    const data = await this.ask("POST", `decrypt/${encodeURIComponent(keyId)}`, body, {
      400: "CannotDecrypt",
      404: "KeyNotFound",
    });
    return base64Of(data["plaintext"], KEY_BYTES);
  }

  async createKey(keyId: string): Promise<void> {
    if (await this.exists(keyId)) throw new KmsError("KeyExists", `The key ${keyId} exists.`);
    await this.ask("POST", `keys/${encodeURIComponent(keyId)}`, { type: "aes256-gcm96" });
  }

  async listKeys(prefix: string): Promise<readonly string[]> {
    const { status, body } = await this.send("GET", "keys?list=true");
    if (status === 404) return []; // none yet
    const data = (jsonOf({ status, body }, {})["data"] ?? {}) as JsonObject;
    const names = Array.isArray(data["keys"]) ? (data["keys"] as unknown[]) : [];
    return names.filter((n): n is string => typeof n === "string" && n.startsWith(prefix)).sort();
  }

  async status(): Promise<KmsStatus> {
    const { endpoint } = this.options;
    const url = `${endpoint}/v1/${this.options.mount}/keys?list=true`;
    return { kind: this.kind, endpoints: [{ endpoint, ...(await isOnline(this.call, url, this.headers)) }] };
  }

  private async exists(keyId: string): Promise<boolean> {
    const answer = await this.send("GET", `keys/${encodeURIComponent(keyId)}`);
    if (answer.status === 404) return false;
    jsonOf(answer, {});
    return true;
  }

  private async ask(
    method: string,
    path: string,
    body: JsonObject,
    codes: Parameters<typeof jsonOf>[1] = { 404: "KeyNotFound" },
  ): Promise<JsonObject> {
    return (jsonOf(await this.send(method, path, body), codes)["data"] ?? {}) as JsonObject;
  }

  private async send(method: string, path: string, body?: JsonObject): ReturnType<HttpCall> {
    const { endpoint, mount } = this.options;
    const options = { headers: this.headers, ...(body === undefined ? {} : { body: JSON.stringify(body) }) };
    return await fromFirst([endpoint], (e) => this.call(method, `${e}/v1/${mount}/${path}`, options));
  }

  private get headers(): Record<string, string> {
    return { "X-Vault-Token": this.options.token };
  }
}

function encoded(context: KmsContext): string {
  return Buffer.from(contextText(context)).toString("base64");
}
