/** Notification, replication, website, logging, accelerate, request payment and RestoreObject over HTTP. Source: s3-api.md §4.16, §4.18. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { type Answer, enableVersioning, startServer, type S3Server, texts } from "./server.ts";

let s3: S3Server;
beforeAll(async () => {
  s3 = await startServer();
  await s3.call("PUT", "/bucket");
  await s3.call("PUT", "/versioned");
  await enableVersioning(s3, "versioned");
});
afterAll(() => s3.stop());

const put = (query: string, body: string, bucket = "bucket"): Promise<Answer> =>
  s3.call("PUT", `/${bucket}`, { query, body });
const notify = (inner: string): string => `<NotificationConfiguration>${inner}</NotificationConfiguration>`;
const ARN = "arn:minio:sqs::1:webhook";
const queue = (inner: string, arn = ARN): string =>
  `<QueueConfiguration><Id>a</Id><Queue>${arn}</Queue>${inner}</QueueConfiguration>`;
const EVENT = "<Event>s3:ObjectCreated:*</Event>";
const filter = (...rules: (readonly [string, string])[]): string =>
  `<Filter><S3Key>${rules.map(([n, v]) => `<FilterRule><Name>${n}</Name><Value>${v}</Value></FilterRule>`).join("")}</S3Key></Filter>`;

test.each([
  [queue(EVENT), "InvalidArgument"],
  [queue("<Event>s3:Nothing:*</Event>"), "InvalidArgument"],
  [queue(EVENT + EVENT), "InvalidArgument"],
  [queue(""), "MalformedXML"],
  [queue(EVENT + filter(["middle", "a"])), "InvalidArgument"],
  [queue(EVENT + filter(["prefix", "a"], ["Prefix", "b"])), "InvalidArgument"],
  [queue(EVENT + filter(["suffix", "x".repeat(1025)])), "InvalidArgument"],
  ["<TopicConfiguration/>", "UnsupportedNotification"],
  ["<CloudFunctionConfiguration/>", "UnsupportedNotification"],
])("the notification %s is refused with %s", async (inner, code) => {
  const answer = await put("notification", notify(inner));
  expect([answer.status, answer.code]).toEqual([400, code]);
});

test("nothing to be told is a notification document, and the one of a new bucket", async () => {
  expect((await put("notification", notify(""))).status).toBe(200);
  expect((await s3.call("GET", "/bucket", { query: "notification" })).text).toContain("<NotificationConfiguration");
});

const replicate = (inner: string): string =>
  `<ReplicationConfiguration><Role></Role>${inner}</ReplicationConfiguration>`;
const target = "<Destination><Bucket>arn:minio:replication::1:b</Bucket></Destination>";
test.each([
  ["bucket", `<Rule><Status>Enabled</Status>${target}</Rule>`, 400, "InvalidRequest"],
  ["versioned", `<Rule><Status>Enabled</Status>${target}</Rule>`, 404, "RemoteTargetNotFoundError"],
  ["versioned", "", 400, "MalformedXML"],
  ["versioned", `<Rule><Status>On</Status>${target}</Rule>`, 400, "MalformedXML"],
  ["versioned", "<Rule><Status>Enabled</Status></Rule>", 400, "MalformedXML"],
  ["versioned", `<Rule><Status>Enabled</Status><Priority>high</Priority>${target}</Rule>`, 400, "MalformedXML"],
])("a replication document for %s of %p is %d %s", async (bucket, inner, status, code) => {
  const answer = await put("replication", replicate(inner), bucket);
  expect([answer.status, answer.code]).toEqual([status, code]);
});

test("removing replication that is not there is no error", async () => {
  expect((await s3.call("DELETE", "/versioned", { query: "replication" })).status).toBe(200);
  expect((await s3.call("GET", "/versioned", { query: "replication" })).code).toBe(
    "ReplicationConfigurationNotFoundError",
  );
});

const site = (inner: string): string => `<WebsiteConfiguration>${inner}</WebsiteConfiguration>`;
const INDEX = "<IndexDocument><Suffix>index.html</Suffix></IndexDocument>";
const routing = (inner: string): string => `<RoutingRules><RoutingRule>${inner}</RoutingRule></RoutingRules>`;
test("a website document is set, shown and removed", async () => {
  expect((await s3.call("GET", "/bucket", { query: "website" })).code).toBe("NoSuchWebsiteConfiguration");
  const document = site(
    `${INDEX}<ErrorDocument><Key>error.html</Key></ErrorDocument>${routing("<Condition><KeyPrefixEquals>old/</KeyPrefixEquals></Condition><Redirect><ReplaceKeyPrefixWith>new/</ReplaceKeyPrefixWith></Redirect>")}`,
  );
  expect((await put("website", document)).status).toBe(200);
  const shown = (await s3.call("GET", "/bucket", { query: "website" })).text;
  expect([texts(shown, "Suffix"), texts(shown, "Key"), texts(shown, "ReplaceKeyPrefixWith")]).toEqual([
    ["index.html"],
    ["error.html"],
    ["new/"],
  ]);
  expect((await s3.call("DELETE", "/bucket", { query: "website" })).status).toBe(204);
  expect((await s3.call("GET", "/bucket", { query: "website" })).status).toBe(404);
});

const redirecting = (inner: string): string => site(`${INDEX}${routing(`<Redirect>${inner}</Redirect>`)}`);
const onError = (status: string): string =>
  site(
    `${INDEX}${routing(`<Condition><HttpErrorCodeReturnedEquals>${status}</HttpErrorCodeReturnedEquals></Condition><Redirect><ReplaceKeyWith>a</ReplaceKeyWith></Redirect>`)}`,
  );
test.each([
  [site(""), "MalformedXML"],
  [site("<IndexDocument><Suffix>a/b</Suffix></IndexDocument>"), "InvalidArgument"],
  [site("<IndexDocument><Suffix></Suffix></IndexDocument>"), "InvalidArgument"],
  [site(`${INDEX}<ErrorDocument/>`), "InvalidArgument"],
  [site(`${INDEX}<RedirectAllRequestsTo><HostName>a</HostName></RedirectAllRequestsTo>`), "MalformedXML"],
  [site("<RedirectAllRequestsTo><HostName>a b</HostName></RedirectAllRequestsTo>"), "MalformedXML"],
  [redirecting("<HttpRedirectCode>200</HttpRedirectCode>"), "InvalidRequest"],
  [redirecting("<HttpRedirectCode>300</HttpRedirectCode>"), "InvalidRequest"],
  [redirecting("<HttpRedirectCode>3xx</HttpRedirectCode>"), "MalformedXML"],
  [redirecting("<Protocol>ftp</Protocol>"), "InvalidRequest"],
  [redirecting(""), "MalformedXML"],
  [onError("399"), "InvalidRequest"],
  [onError("506"), "InvalidRequest"],
  [onError("4xx"), "MalformedXML"],
  [site(`${INDEX}${routing("<Condition/><Redirect/>")}`), "MalformedXML"],
  [redirecting("<ReplaceKeyWith>a</ReplaceKeyWith><ReplaceKeyPrefixWith>b</ReplaceKeyPrefixWith>"), "InvalidRequest"],
  [
    site(
      `${INDEX}<RoutingRules>${"<RoutingRule><Redirect><ReplaceKeyWith>a</ReplaceKeyWith></Redirect></RoutingRule>".repeat(51)}</RoutingRules>`,
    ),
    "InvalidRequest",
  ],
])("the website document %s is refused as %s", async (document, code) => {
  expect((await put("website", document)).code).toBe(code);
});

test("a feature that is off may be switched off, and not on", async () => {
  const answers = [
    await put("logging", "<BucketLoggingStatus/>"),
    await put("accelerate", "<AccelerateConfiguration><Status>Suspended</Status></AccelerateConfiguration>"),
    await put(
      "requestPayment",
      "<RequestPaymentConfiguration><Payer>BucketOwner</Payer></RequestPaymentConfiguration>",
    ),
    await put(
      "logging",
      "<BucketLoggingStatus><LoggingEnabled><TargetBucket>b</TargetBucket></LoggingEnabled></BucketLoggingStatus>",
    ),
    await put("accelerate", "<AccelerateConfiguration><Status>Enabled</Status></AccelerateConfiguration>"),
    await put("requestPayment", "<RequestPaymentConfiguration><Payer>Requester</Payer></RequestPaymentConfiguration>"),
    await put("logging", "<BucketLoggingStatus/>", "absent"),
  ];
  expect(answers.map((a) => a.status)).toEqual([200, 200, 200, 501, 501, 501, 404]);
});

test("an object that is not archived cannot be restored", async () => {
  await s3.call("PUT", "/bucket/k", { body: "x" });
  const restore = (key: string, body: string): Promise<Answer> =>
    s3.call("POST", `/bucket/${key}`, { query: "restore", body });
  const days = "<RestoreRequest><Days>1</Days></RestoreRequest>";
  expect([(await restore("k", days)).status, (await restore("k", days)).code]).toEqual([403, "InvalidObjectState"]);
  expect((await restore("absent", days)).code).toBe("NoSuchKey");
  expect((await restore("k", "<RestoreRequest><Days>0</Days></RestoreRequest>")).code).toBe("MalformedXML");
});
