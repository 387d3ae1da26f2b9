/** A small KES: keys by name in memory, data keys under them, refusals as KES words them. By TLS it takes the clients with one certificate only. */
import { createHmac, timingSafeEqual } from "node:crypto";
import { mkdirSync, readFileSync } from "node:fs";

/** Seals by appending a MAC over key name, plaintext and context: enough to notice what does not belong together. */
export class Keys {
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

export type Json = Record<string, string>;
export const answer = (status: number, body: unknown = ""): Response =>
  new Response(body === "" ? "" : JSON.stringify(body), { status });

/** KES's API v1. */
export async function kes(keys: Keys, request: Request): Promise<Response> {
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

/** Over TLS; `caFile` is whom a client must trust. Nobody without the certificate `client` (PEM) gets through the handshake. */
export function kesOverTls(keys: Keys, client: string, folder: string) {
  mkdirSync(folder, { recursive: true });
  const [certFile, keyFile] = [`${folder}/kes.crt`, `${folder}/kes.key`];
  const command = `openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost -addext subjectAltName=IP:127.0.0.1 -keyout ${keyFile} -out ${certFile}`;
  const made = Bun.spawnSync(command.split(" "));
  if (made.exitCode !== 0) throw new Error(made.stderr.toString());
  const server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    tls: {
      cert: readFileSync(certFile, "utf8"),
      key: readFileSync(keyFile, "utf8"),
      ca: client,
      requestCert: true,
      rejectUnauthorized: true,
    },
    fetch: (request) => kes(keys, request),
  });
  return { endpoint: `https://127.0.0.1:${server.port}`, caFile: certFile, stop: () => server.stop(true) };
}
