/** Buckets as websites, by the host of the request. Source: AWS's website endpoints. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { type Answer, startServer, type S3Server } from "./server.ts";

let s3: S3Server;
const site = (inner: string): string => `<WebsiteConfiguration>${inner}</WebsiteConfiguration>`;
const INDEX = "<IndexDocument><Suffix>index.html</Suffix></IndexDocument>";
const rule = (condition: string, redirect: string): string =>
  `<RoutingRule><Condition>${condition}</Condition><Redirect>${redirect}</Redirect></RoutingRule>`;

beforeAll(async () => {
  s3 = await startServer({ SHERD_WEBSITE_DOMAIN: "site.test" });
  for (const bucket of ["pages", "moved", "bare"]) await s3.call("PUT", `/${bucket}`);
  const pages = { "index.html": "home", "docs/index.html": "docs", "a.html": "page", "error.html": "sorry" };
  for (const [key, body] of Object.entries(pages))
    await s3.call("PUT", `/pages/${key}`, { body, headers: { "content-type": "text/html" } });
  const rules = [
    rule(
      "<KeyPrefixEquals>old/</KeyPrefixEquals>",
      "<ReplaceKeyPrefixWith>new/</ReplaceKeyPrefixWith><HttpRedirectCode>307</HttpRedirectCode>",
    ),
    rule(
      "<KeyPrefixEquals>lost/</KeyPrefixEquals><HttpErrorCodeReturnedEquals>404</HttpErrorCodeReturnedEquals>",
      "<HostName>archive.test</HostName><Protocol>https</Protocol>",
    ),
  ];
  const body = site(
    `${INDEX}<ErrorDocument><Key>error.html</Key></ErrorDocument><RoutingRules>${rules.join("")}</RoutingRules>`,
  );
  expect((await s3.call("PUT", "/pages", { query: "website", body })).status).toBe(200);
  const moved = site("<RedirectAllRequestsTo><HostName>else.test</HostName></RedirectAllRequestsTo>");
  await s3.call("PUT", "/moved", { query: "website", body: moved });
});
afterAll(() => s3.stop());

const visit = (path: string, bucket = "pages", method = "GET", anonymous = false): Promise<Answer> =>
  s3.call(method, path, { host: `${bucket}.site.test`, anonymous });
const seen = (a: Answer): unknown[] => [a.status, a.text, a.headers.get("location")];

test("the root and folders show their index documents, other keys themselves", async () => {
  expect(seen(await visit("/"))).toEqual([200, "home", undefined]);
  expect(seen(await visit("/docs/"))).toEqual([200, "docs", undefined]);
  expect(seen(await visit("/a.html"))).toEqual([200, "page", undefined]);
  expect((await visit("/", "pages", "HEAD")).headers.get("content-length")).toBe("4");
  expect(seen(await visit("/docs"))).toEqual([302, "", "/docs/"]);
});

test("what is missing shows the page for errors with the status of the error", async () => {
  const missing = await visit("/nothing");
  expect([missing.status, missing.text, missing.headers.get("content-type")]).toEqual([404, "sorry", "text/html"]);
  expect((await visit("/nothing/")).status).toBe(404);
  expect((await visit("/", "bare")).code).toBe("NoSuchWebsiteConfiguration");
  expect((await visit("/", "absent-bucket")).code).toBe("NoSuchBucket");
});

test("redirects are followed by rule, at once or after an error, and for a whole site", async () => {
  expect(seen(await visit("/old/x%20y"))).toEqual([307, "", "http://pages.site.test/new/x%20y"]);
  expect(seen(await visit("/lost/page"))).toEqual([301, "", "https://archive.test/lost/page"]);
  expect(seen(await visit("/any/thing", "moved"))).toEqual([301, "", "http://else.test/any/thing"]);
});

test("an object with a redirect location sends its visitors there, and a copy has its own", async () => {
  const redirect = "x-amz-website-redirect-location";
  const put = (key: string, location: string) =>
    s3.call("PUT", `/pages/${key}`, { body: "x", headers: { [redirect]: location } });
  expect((await put("gone.html", "/a.html")).status).toBe(200);
  expect((await put("away.html", "https://else.test/?x=1")).status).toBe(200);
  expect(seen(await visit("/gone.html"))).toEqual([301, "", "/a.html"]);
  expect(seen(await visit("/away.html"))).toEqual([301, "", "https://else.test/?x=1"]);
  const shown = async (key: string) => (await s3.call("HEAD", `/pages/${key}`)).headers.get(redirect);
  expect(await shown("gone.html")).toBe("/a.html");
  const copy = (headers: Record<string, string>) =>
    s3.call("PUT", "/pages/copy.html", { headers: { "x-amz-copy-source": "/pages/gone.html", ...headers } });
  expect([(await copy({})).status, await shown("copy.html")]).toEqual([200, undefined]);
  expect([(await copy({ [redirect]: "/index.html" })).status, await shown("copy.html")]).toEqual([200, "/index.html"]);
  for (const location of ["a.html", "ftp://else.test/", "/a b", `/${"x".repeat(2048)}`]) {
    const refused = await put("bad.html", location);
    expect([location.slice(0, 20), refused.status, refused.code]).toEqual([
      location.slice(0, 20),
      400,
      "InvalidRedirectLocation",
    ]);
  }
  expect((await s3.call("HEAD", "/pages/bad.html")).status).toBe(404);
});

test("a visitor may read what a policy lets him, and write nothing", async () => {
  expect((await visit("/", "pages", "GET", true)).status).toBe(403);
  expect((await visit("/a.html", "pages", "PUT")).status).toBe(405);
  expect((await visit("/a.html", "pages", "DELETE")).status).toBe(405);
  expect((await s3.call("GET", "/pages/a.html")).text).toBe("page");
});
