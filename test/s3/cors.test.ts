/** CORS documents, preflight requests and the headers of answers over HTTP. Source: s3-api.md §4.19. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { type Answer, startServer, type S3Server, texts } from "./server.ts";

let s3: S3Server;
beforeAll(async () => {
  s3 = await startServer({ MINIO_API_CORS_ALLOW_ORIGIN: "https://*.example.com,http://exact" });
  await s3.call("PUT", "/bucket");
  await s3.call("PUT", "/none");
});
afterAll(() => s3.stop());

const rule = (inner: string): string => `<CORSConfiguration><CORSRule>${inner}</CORSRule></CORSConfiguration>`;
const set = (body: string): Promise<Answer> => s3.call("PUT", "/bucket", { query: "cors", body });
const GET_ANY = "<AllowedMethod>GET</AllowedMethod><AllowedOrigin>*</AllowedOrigin>";
const ask = (path: string, origin: string, method: string, headers = ""): Promise<Answer> =>
  s3.call("OPTIONS", path, {
    anonymous: true,
    headers: {
      origin,
      "access-control-request-method": method,
      ...(headers === "" ? {} : { "access-control-request-headers": headers }),
    },
  });
const allowed = (a: Answer): (string | number | undefined)[] => [
  a.status,
  a.headers.get("access-control-allow-origin"),
  a.headers.get("access-control-allow-methods"),
];

test("a document is set, shown, replaced and removed", async () => {
  expect((await s3.call("GET", "/bucket", { query: "cors" })).code).toBe("NoSuchCORSConfiguration");
  const body = rule(
    `<ID>one</ID><AllowedOrigin>http://a.test</AllowedOrigin><AllowedOrigin>https://*.b</AllowedOrigin><AllowedMethod>PUT</AllowedMethod><AllowedHeader>X-Amz-*</AllowedHeader><ExposeHeader>ETag</ExposeHeader><MaxAgeSeconds>60</MaxAgeSeconds>`,
  );
  expect((await set(body)).status).toBe(200);
  const shown = (await s3.call("GET", "/bucket", { query: "cors" })).text;
  expect(texts(shown, "AllowedOrigin")).toEqual(["http://a.test", "https://*.b"]);
  expect([texts(shown, "ID"), texts(shown, "MaxAgeSeconds")]).toEqual([["one"], ["60"]]);
  expect(texts(shown, "AllowedHeader")).toEqual(["X-Amz-*"]);
  expect((await s3.call("DELETE", "/bucket", { query: "cors" })).status).toBe(204);
  expect((await s3.call("GET", "/bucket", { query: "cors" })).status).toBe(404);
  expect((await s3.call("PUT", "/absent", { query: "cors", body })).code).toBe("NoSuchBucket");
});

test.each([
  ["<CORSConfiguration/>", "MalformedXML"],
  [rule("<AllowedMethod>GET</AllowedMethod>"), "MalformedXML"],
  [rule("<AllowedOrigin>*</AllowedOrigin>"), "MalformedXML"],
  [rule("<AllowedOrigin>*</AllowedOrigin><AllowedMethod>PATCH</AllowedMethod>"), "InvalidRequest"],
  [rule("<AllowedOrigin>*a*</AllowedOrigin><AllowedMethod>GET</AllowedMethod>"), "InvalidRequest"],
  [rule(`${GET_ANY}<AllowedHeader>**</AllowedHeader>`), "InvalidRequest"],
  [rule(`${GET_ANY}<AllowedHeader>x-(custom)</AllowedHeader>`), "InvalidRequest"],
  [rule(`${GET_ANY}<ExposeHeader>a&#10;b: c</ExposeHeader>`), "InvalidRequest"],
  [rule(`${GET_ANY}<MaxAgeSeconds>soon</MaxAgeSeconds>`), "MalformedXML"],
  ["<Other/>", "MalformedXML"],
])("the document %s is refused with %s", async (body, code) => {
  const answer = await set(body);
  expect([answer.status, answer.code]).toEqual([400, code]);
});

test("a negative age is taken, as on AWS", async () => {
  expect((await set(rule(`${GET_ANY}<MaxAgeSeconds>-1</MaxAgeSeconds>`))).status).toBe(200);
  expect((await ask("/bucket", "http://page", "GET")).headers.get("access-control-max-age")).toBe("-1");
});

test("a preflight gets the first rule that fits its origin, method and headers, or a refusal", async () => {
  await set(
    `<CORSConfiguration><CORSRule><AllowedOrigin>http://*.a.test</AllowedOrigin><AllowedMethod>GET</AllowedMethod><AllowedMethod>PUT</AllowedMethod><AllowedHeader>X-amz-*</AllowedHeader><MaxAgeSeconds>5</MaxAgeSeconds></CORSRule><CORSRule>${GET_ANY}</CORSRule></CORSConfiguration>`,
  );
  const fits = await ask("/bucket/k", "http://x.a.test", "PUT", "X-Amz-Date, x-amz-meta-a");
  expect(allowed(fits)).toEqual([200, "http://x.a.test", "GET, PUT"]);
  expect(fits.headers.get("access-control-allow-headers")).toBe("x-amz-date, x-amz-meta-a");
  expect(fits.headers.get("access-control-max-age")).toBe("5");
  expect(fits.headers.get("access-control-allow-credentials")).toBe("true");
  const open = await ask("/bucket", "http://other", "GET");
  expect(allowed(open)).toEqual([200, "*", "GET"]);
  expect(open.headers.has("access-control-allow-credentials")).toBe(false);
  for (const [origin, method, headers] of [
    ["http://x.a.test", "PUT", "authorization"],
    ["http://other", "PUT", ""],
    ["http://other", "GET", "x-a"],
    ["http://x.a.test", "DELETE", ""],
  ] as const) {
    const refused = await ask("/bucket/k", origin, method, headers);
    expect([...allowed(refused), refused.code]).toEqual([403, undefined, undefined, "AccessForbidden"]);
  }
  for (const [method, headers] of [
    ["get", ""],
    ["PATCH", ""],
    ["GET", "a b"],
    ["GET", "x-(custom)"],
  ] as const) {
    const refused = await ask("/bucket/k", "http://other", method, headers);
    expect([method, headers, refused.status, refused.code]).toEqual([method, headers, 400, "BadRequest"]);
  }
  for (const headers of [{}, { origin: "http://other" }, { "access-control-request-method": "GET" }])
    expect((await s3.call("OPTIONS", "/bucket", { anonymous: true, headers })).status).toBe(400);
});

test("every answer tells a browser what its page may see, errors too", async () => {
  await set(rule(`${GET_ANY}<ExposeHeader>ETag</ExposeHeader>`));
  const missing = await s3.call("GET", "/bucket/missing", { headers: { origin: "http://page" } });
  expect(allowed(missing)).toEqual([404, "*", "GET"]);
  expect(missing.headers.get("access-control-expose-headers")).toBe("ETag");
  expect(missing.headers.get("vary")).toContain("Origin");
  const put = await s3.call("PUT", "/bucket/k", { body: "x", headers: { origin: "http://page" } });
  expect(allowed(put)).toEqual([200, undefined, undefined]);
  expect(allowed(await s3.call("GET", "/bucket/k"))).toEqual([200, undefined, undefined]);
  const denied = await s3.call("GET", "/bucket/k", { anonymous: true, headers: { origin: "http://page" } });
  expect(allowed(denied)).toEqual([403, "*", "GET"]);
});

test("a bucket without rules has those of the deployment", async () => {
  const answer = await ask("/none/k", "https://a.example.com", "DELETE", "x-anything");
  expect(allowed(answer)).toEqual([200, "https://a.example.com", "GET, PUT, HEAD, POST, DELETE, OPTIONS, PATCH"]);
  expect((await ask("/none/k", "https://example.org", "GET")).status).toBe(403);
  expect(allowed(await s3.call("GET", "/none", { headers: { origin: "http://exact" } }))[1]).toBe("http://exact");
});
