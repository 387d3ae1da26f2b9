/** KES and Vault Transit against small servers on loopback that keep their rules: keys, contexts, refusals, being away. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { createPrivateKey, X509Certificate } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { loadCodec } from "../../../src/codec/native.ts";
import { identityOfApiKey } from "../../../src/kms/kes-api-key.ts";
import { KesKms } from "../../../src/kms/kes-kms.ts";
import { type Kms, KmsError } from "../../../src/kms/kms.ts";
import { type KmsOptions, openKms } from "../../../src/kms/open-kms.ts";
import { VaultKms } from "../../../src/kms/vault-kms.ts";
import { openHttpClient } from "../../../src/sys/http-client.ts";
import { realRng } from "../../../src/sys/rng.ts";
import { answer, type Json, Keys, kes, kesOverTls } from "./kes-server.ts";

const context = new Map([["bucket", "bucket/key"]]);
const OTHER = new Map([["bucket", "bucket/other"]]);
const TOKEN = "s.token";
const API_KEY = "kes:v1:ABuhW1PU/dL1VL41trsQJzYYFMV5FfAcoF7NHu1U9ckk";

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

const means = { codec: loadCodec(), rng: realRng() };
const NONE: KmsOptions = {
  kmsSecretKey: null,
  kesEndpoint: null,
  kesKeyName: null,
  kesApiKey: null,
  kesCertFile: null,
  kesKeyFile: null,
  kesCaPath: null,
  vaultEndpoint: null,
  vaultToken: null,
  vaultKeyName: null,
  vaultMount: "transit",
  vaultCaPath: null,
};

test("options that contradict or lack something are refused in words", async () => {
  expect(await openKms(NONE, means)).toBeNull();
  for (const wrong of [
    { kmsSecretKey: "x" },
    { kesEndpoint: "https://k:7373" },
    { kesEndpoint: "no url", kesKeyName: "k" },
    { kesEndpoint: "https://k:7373", kesKeyName: "k", kesCertFile: "/none" },
    { kesEndpoint: "https://k:7373", kesKeyName: "k", kesApiKey: "kes:v1:AAAA" },
    { kesEndpoint: "https://k:7373", kesKeyName: "k", kesApiKey: API_KEY, kesCertFile: "/c", kesKeyFile: "/k" },
    { kesEndpoint: "https://k:7373", kesKeyName: "k", kesCertFile: "/none", kesKeyFile: "/none" },
    { vaultEndpoint: "https://v:8200" },
    { vaultEndpoint: "https://v:8200", kesEndpoint: "https://k:7373", kesKeyName: "k" },
  ])
    expect(await openKms({ ...NONE, ...wrong }, means).catch(code)).toBe("NotSupported");
  expect((await openKms({ ...NONE, kesEndpoint: "https://a:1,https://b:2/", kesKeyName: "k" }, means))?.kind).toBe(
    "kes",
  );
});

test("an API key of KES is the certificate of the identity that KES knows, and nothing else is one", () => {
  const found = identityOfApiKey(API_KEY);
  expect(found?.identity).toBe("d6a5ca74bb1c714b8e4a85136fcc0d8ee8bb83c6cfacff9c7c2551cb5c57caf0");
  const certificate = new X509Certificate(found?.cert ?? "");
  expect(certificate.subject).toBe(`CN=${found?.identity}`);
  expect(certificate.verify(certificate.publicKey)).toBe(true);
  expect(certificate.checkPrivateKey(createPrivateKey(found?.key ?? ""))).toBe(true);
  expect(certificate.validToDate.getUTCFullYear()).toBe(9999);
  const encoded = API_KEY.slice("kes:v1:".length);
  for (const wrong of [
    "",
    "kes:v1:",
    encoded,
    `kes:v2:${encoded}`,
    `kes:v1:${encoded.slice(0, -4)}`,
    `kes:v1:${encoded}AAAA`,
    `kes:v1:B${encoded.slice(1)}`,
    `kes:v1:${encoded} `,
  ])
    expect(identityOfApiKey(wrong)).toBeNull();
});

test("a KES that knows one client takes its API key, and no other and none", async () => {
  const folder = mkdtempSync(join(tmpdir(), "sherd-kes-"));
  const server = kesOverTls(new Keys(), identityOfApiKey(API_KEY)?.cert ?? "", folder);
  const options = { ...NONE, kesEndpoint: server.endpoint, kesKeyName: "first", kesCaPath: server.caFile };
  try {
    const kms = await openKms({ ...options, kesApiKey: API_KEY }, means);
    const key = await kms?.generateKey(null, context);
    expect(key?.plaintext.length).toBe(32);
    for (const kesApiKey of [null, "kes:v1:AGtR4PvKXNjz+/MlBX2Djg0qxwS3C4OjoDzsuFSQr82e"]) {
      const stranger = await openKms({ ...options, kesApiKey }, means);
      expect(await stranger?.generateKey(null, context).catch(code)).toBe("Unavailable");
    }
  } finally {
    await server.stop();
    rmSync(folder, { recursive: true, force: true });
  }
});
