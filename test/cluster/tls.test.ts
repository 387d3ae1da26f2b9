/** TLS of the running server: the certificate of each name, renewal without restart, and connections that live through it. */
import { afterAll, expect, test } from "bun:test";
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect } from "node:tls";
import { ServerProcess } from "./server-process.ts";

const root = mkdtempSync(join(tmpdir(), "sherd-tls-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));

/** A self-signed pair made now; `names` as openssl writes subjectAltName. */
function makePair(folder: string, commonName: string, names: string): void {
  mkdirSync(folder, { recursive: true });
  const made = Bun.spawnSync([
    "openssl",
    "req",
    "-x509",
    "-newkey",
    "ec",
    "-pkeyopt",
    "ec_paramgen_curve:prime256v1",
    "-nodes",
    "-days",
    "2",
    "-subj",
    `/CN=${commonName}`,
    "-addext",
    `subjectAltName=${names}`,
    "-keyout",
    join(folder, "private.key"),
    "-out",
    join(folder, "public.crt"),
  ]);
  expect(made.exitCode).toBe(0);
}

/** The common name that a handshake for `serverName` is answered with. */
async function nameServed(url: string, serverName?: string): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const name = serverName === undefined ? {} : { servername: serverName };
  const socket = connect(
    { port: Number(new URL(url).port), host: "127.0.0.1", rejectUnauthorized: false, ...name },
    () => {
      resolve(String(socket.getPeerCertificate().subject.CN));
      socket.end();
    },
  );
  socket.on("error", reject);
  return await promise;
}

async function serverWithCertificates(name: string): Promise<{ server: ServerProcess; certs: string }> {
  const cwd = join(root, name);
  const certs = join(cwd, "certs");
  makePair(certs, "main-1", "DNS:main.test,IP:127.0.0.1");
  makePair(join(certs, "one"), "one-1", "DNS:one.test");
  makePair(join(certs, "wild"), "wild-1", "DNS:*.wild.test");
  makePair(join(certs, "CAs"), "authority", "DNS:authority.test");
  const server = await ServerProcess.start({ cwd, flags: ["--certs-dir", certs] });
  return { server, certs };
}

test("each name gets the certificate that has it, all others the main one", async () => {
  const { server } = await serverWithCertificates("names");
  await using _ = server;
  expect(server.url).toStartWith("https://");
  for (const [name, served] of [
    [undefined, "main-1"],
    ["main.test", "main-1"],
    ["one.test", "one-1"],
    ["a.wild.test", "wild-1"],
    ["a.b.wild.test", "main-1"],
    ["wild.test", "main-1"],
    ["authority.test", "main-1"],
    ["elsewhere.test", "main-1"],
  ] as const)
    expect([name, await nameServed(server.url, name)]).toEqual([name, served]);
  expect(await server.stop()).toBe(0);
});

test("renewed pairs are served without a restart, and a body in the middle of its way arrives whole", async () => {
  const { server, certs } = await serverWithCertificates("renewal");
  await using _ = server;
  const insecure = { tls: { rejectUnauthorized: false } };
  const { client } = server;
  const body = Buffer.alloc(24 * 1024 * 1024, "some bytes of an object ");
  for (const [method, path, sent] of [
    ["PUT", "/tls", undefined],
    ["PUT", "/tls/large", body],
  ] as const) {
    const request = client.requestOf(method, path, sent === undefined ? {} : { body: sent });
    expect((await fetch(client.urlOf(path), { ...request, ...insecure })).status).toBe(200);
  }
  const answer = await fetch(client.urlOf("/tls/large"), { ...client.requestOf("GET", "/tls/large"), ...insecure });
  const reader = (answer.body as ReadableStream<Uint8Array>).getReader();
  let received = (await reader.read()).value?.length ?? 0;

  makePair(certs, "main-2", "DNS:main.test,IP:127.0.0.1");
  makePair(join(certs, "one"), "one-2", "DNS:one.test");
  makePair(join(certs, "new"), "new-1", "DNS:new.test");
  server.signal("SIGHUP");
  expect(
    await server.until((line) => line.event === "certificate renewed" && String(line["folder"]).endsWith("/new")),
  ).not.toBeNull();
  expect(await nameServed(server.url)).toBe("main-2");
  expect(await nameServed(server.url, "one.test")).toBe("one-2");
  expect(await nameServed(server.url, "new.test")).toBe("new-1");
  expect(await nameServed(server.url, "a.wild.test")).toBe("wild-1");

  for (let piece = await reader.read(); !piece.done; piece = await reader.read()) received += piece.value.length;
  expect(received).toBe(body.length);
  expect(await server.stop()).toBe(0);
});

test("a renewed pair is found by itself", async () => {
  const { server, certs } = await serverWithCertificates("polled");
  await using _ = server;
  makePair(certs, "main-2", "DNS:main.test");
  expect(await server.until((line) => line.event === "certificate renewed")).not.toBeNull();
  expect(await nameServed(server.url)).toBe("main-2");
});

test("a broken new pair leaves the one before, is told once, and does not keep a later good one out", async () => {
  const { server, certs } = await serverWithCertificates("broken");
  await using _ = server;
  const refusals = (): number => server.log().filter((line) => line.event.startsWith("certificate not renewed")).length;
  makePair(join(root, "other"), "other", "DNS:other.test");
  cpSync(join(root, "other/public.crt"), join(certs, "public.crt")); // the new certificate with the old key
  server.signal("SIGHUP");
  expect(await server.until((line) => line.event.startsWith("certificate not renewed"))).toMatchObject({
    level: "error",
  });
  expect(await nameServed(server.url)).toBe("main-1");
  writeFileSync(join(certs, "one/private.key"), "no key");
  server.signal("SIGHUP");
  expect(await server.until((line) => String(line["message"]).includes("/one:"))).not.toBeNull();
  expect(await nameServed(server.url, "one.test")).toBe("one-1");
  expect(refusals()).toBe(2);
  makePair(certs, "main-3", "DNS:main.test");
  server.signal("SIGHUP");
  expect(await server.until((line) => line.event === "certificate renewed")).not.toBeNull();
  expect(await nameServed(server.url)).toBe("main-3");
  expect(refusals()).toBe(2);
});

test("a folder without a usable pair is an error in words at the start", async () => {
  const cwd = join(root, "none");
  mkdirSync(join(cwd, "certs"), { recursive: true });
  await using server = ServerProcess.spawn({ cwd, flags: ["--certs-dir", join(cwd, "certs")] });
  expect(await server.exited()).toBe(1);
  expect(server.errorText.value).toContain("public.crt and private.key are needed there");
});
