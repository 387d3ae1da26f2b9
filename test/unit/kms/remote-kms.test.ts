/** KES and Vault Transit against small servers on loopback that keep their rules: keys, contexts, refusals, being away. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { createHmac, timingSafeEqual } from "node:crypto";
import { loadCodec } from "../../../src/codec/native.ts";
import { KesKms } from "../../../src/kms/kes-kms.ts";
import { type Kms, KmsError } from "../../../src/kms/kms.ts";
import { type KmsOptions, openKms } from "../../../src/kms/open-kms.ts";
import { VaultKms } from "../../../src/kms/vault-kms.ts";
import { openHttpClient } from "../../../src/sys/http-client.ts";
import { realRng } from "../../../src/sys/rng.ts";

const context = new Map([["bucket", "bucket/key"]]);
const OTHER = new Map([["bucket", "bucket/other"]]);
const TOKEN = "s.token";

/** Seals by appending a MAC over key name, plaintext and context: enough to notice what does not belong together. */
class Keys {
  readonly names = new Set(["first", "second"]);
  seal(name: string, plaintext: string, bound: string): string {
    return `${plaintext}.${createHmac("sha256", name).update(plaintext).update(bound).digest("hex")}`;
  }
  open(name: string, sealed: string, bound: string): string | null {
    const [plaintext = "", mac = ""] = sealed.split(".");
    const right = createHmac("sha256", name).update(plaintext).update(bound).digest("hex");
    return mac.length === right.length && timingSafeEqual(Buffer.from(mac), Buffer.from(right)) ? plaintext : null;
  }
}

type Json = Record<string, string>;
const answer = (status: number, body: unknown = ""): Response =>
  new Response(body === "" ? "" : JSON.stringify(body), { status });

async function kes(keys: Keys, request: Request): Promise<Response> {
  const [, , , verb, name = ""] = decodeURIComponent(new URL(request.url).pathname).split("/");
  if (new URL(request.url).pathname === "/v1/status") return answer(200, { version: "test" });
  if (verb === "list") return answer(200, { names: [...keys.names].filter((n) => n.startsWith(name.slice(0, -1))) });
  if (verb === "create") {
    if (keys.names.has(name)) return answer(400, { message: "key already exists" });
    keys.names.add(name);
    return answer(200);
  }
  if (!keys.names.has(name)) return answer(404, { message: "key does not exist" });
  const body = (await request.json()) as Json;
  if (verb === "generate") {
    const plaintext = Buffer.from(crypto.getRandomValues(new Uint8Array(32))).toString("base64");
    const sealed = Buffer.from(keys.seal(name, plaintext, body["context"] ?? "")).toString("base64");
    return answer(200, { plaintext, ciphertext: sealed });
  }
  const plaintext = keys.open(name, Buffer.from(body["ciphertext"] ?? "", "base64").toString(), body["context"] ?? "");
  return plaintext === null ? answer(400, { message: "decryption failed" }) : answer(200, { plaintext });
}

async function vault(keys: Keys, request: Request): Promise<Response> {
  if (request.headers.get("x-vault-token") !== TOKEN) return answer(403, { errors: ["permission denied"] });
  const [, , mount, verb, name = ""] = decodeURIComponent(new URL(request.url).pathname).split("/");
  if (mount !== "transit") return answer(404, { errors: [] });
  if (verb === "keys" && name === "") return answer(200, { data: { keys: [...keys.names] } });
  if (verb === "keys" && request.method === "GET")
    return keys.names.has(name) ? answer(200, { data: { name } }) : answer(404, { errors: [] });
  if (verb === "keys") {
    keys.names.add(name);
    return answer(204);
  }
  const body = (await request.json()) as Json;
  const bound = body["associated_data"] ?? "";
  if (verb === "encrypt")
    return answer(200, { data: { ciphertext: `vault:v1:${keys.seal(name, body["plaintext"] ?? "", bound)}` } });
  const plaintext = keys.open(name, (body["ciphertext"] ?? "").replace("vault:v1:", ""), bound);
  return plaintext === null
    ? answer(400, { errors: ["cipher: message authentication failed"] })
    : answer(200, { data: { plaintext } });
}

const code = (error: unknown): string => (error instanceof KmsError ? error.code : String(error));
const noFiles = { certFile: null, keyFile: null, caFile: null };

describe.each(["kes", "vault"] as const)("%s", (kind) => {
  const keys = new Keys();
  let server: ReturnType<typeof Bun.serve>;
  let kms: Kms;
  beforeAll(async () => {
    server = Bun.serve({
      port: 0,
      hostname: "127.0.0.1",
      fetch: (r) => (kind === "kes" ? kes(keys, r) : vault(keys, r)),
    });
    const call = await openHttpClient(noFiles);
    const endpoint = `http://127.0.0.1:${server.port}`;
    kms =
      kind === "kes"
        ? new KesKms(["http://127.0.0.1:1", endpoint], "first", call)
        : new VaultKms({ endpoint, token: TOKEN, mount: "transit", defaultKeyId: "first" }, call, realRng());
  });
  afterAll(() => server.stop(true));

  test("a data key opens under its context and master key, and no others", async () => {
    const key = await kms.generateKey(null, context);
    expect(key.keyId).toBe("first");
    expect(key.plaintext.length).toBe(32);
    expect(await kms.decryptKey("first", key.ciphertext, context)).toEqual(new Uint8Array(key.plaintext));
    expect(await kms.decryptKey("first", key.ciphertext, OTHER).catch(code)).toBe("CannotDecrypt");
    expect(await kms.decryptKey("second", key.ciphertext, context).catch(code)).toBe("CannotDecrypt");
    expect((await kms.generateKey("second", context)).keyId).toBe("second");
    expect(await kms.generateKey("third", context).catch(code)).toBe("KeyNotFound");
  });

  test("keys are listed, made once, and then used", async () => {
    expect(await kms.listKeys("")).toEqual(["first", "second"]);
    expect(await kms.listKeys("s")).toEqual(["second"]);
    await kms.createKey("made");
    expect(await kms.createKey("made").catch(code)).toBe("KeyExists");
    expect((await kms.generateKey("made", context)).keyId).toBe("made");
  });

  test("its status says who is reached", async () => {
    const status = await kms.status();
    expect(status.endpoints.map((e) => e.online)).toEqual(kind === "kes" ? [false, true] : [true]);
  });
});

test("a server that is away, refuses or talks nonsense is an error with its reason", async () => {
  const call = await openHttpClient(noFiles);
  expect(await new KesKms(["http://127.0.0.1:1"], "k", call).generateKey(null, context).catch(code)).toBe(
    "Unavailable",
  );
  const replies = [answer(403, { message: "not allowed" }), answer(200, "text"), new Response("<html>"), answer(500)];
  using server = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: () => replies.shift() as Response });
  const kms = new KesKms([`http://127.0.0.1:${server.port}`], "k", call);
  for (const expected of ["AccessDenied", "Unavailable", "Unavailable", "Unavailable"])
    expect(await kms.generateKey(null, context).catch(code)).toBe(expected);
});

test("options that contradict or lack something are refused in words", async () => {
  const none: KmsOptions = {
    kmsSecretKey: null,
    kesEndpoint: null,
    kesKeyName: null,
    kesCertFile: null,
    kesKeyFile: null,
    kesCaPath: null,
    vaultEndpoint: null,
    vaultToken: null,
    vaultKeyName: null,
    vaultMount: "transit",
    vaultCaPath: null,
  };
  const means = { codec: loadCodec(), rng: realRng() };
  expect(await openKms(none, means)).toBeNull();
  for (const wrong of [
    { kmsSecretKey: "x" },
    { kesEndpoint: "https://k:7373" },
    { kesEndpoint: "no url", kesKeyName: "k" },
    { kesEndpoint: "https://k:7373", kesKeyName: "k", kesCertFile: "/none" },
    { kesEndpoint: "https://k:7373", kesKeyName: "k", kesCertFile: "/none", kesKeyFile: "/none" },
    { vaultEndpoint: "https://v:8200" },
    { vaultEndpoint: "https://v:8200", kesEndpoint: "https://k:7373", kesKeyName: "k" },
  ])
    expect(await openKms({ ...none, ...wrong }, means).catch(code)).toBe("NotSupported");
  expect((await openKms({ ...none, kesEndpoint: "https://a:1,https://b:2/", kesKeyName: "k" }, means))?.kind).toBe(
    "kes",
  );
});
