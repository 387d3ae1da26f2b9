/** Object lock over HTTP: configuration, retention, legal hold, and what they forbid. Source: s3-api.md §4.11. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { type Answer, md5Header, type Options, startServer, type S3Server, texts } from "./server.ts";

let s3: S3Server;
beforeAll(async () => {
  s3 = await startServer();
  await s3.call("PUT", "/plain");
  expect((await s3.call("PUT", "/locked", { headers: { "x-amz-bucket-object-lock-enabled": "true" } })).status).toBe(
    200,
  );
});
afterAll(() => s3.stop());

const DAY_MS = 86_400_000;
const later = (days: number): string => new Date(Date.now() + days * DAY_MS).toISOString();
const configuration = (rule: string, enabled = "Enabled"): string =>
  `<ObjectLockConfiguration><ObjectLockEnabled>${enabled}</ObjectLockEnabled>${rule}</ObjectLockConfiguration>`;
const rule = (mode: string, period: string): string =>
  `<Rule><DefaultRetention><Mode>${mode}</Mode>${period}</DefaultRetention></Rule>`;
const setLock = (bucket: string, body: string): Promise<Answer> =>
  s3.call("PUT", `/${bucket}`, { query: "object-lock", body });
const retention = (mode: string, until: string): string =>
  `<Retention><Mode>${mode}</Mode><RetainUntilDate>${until}</RetainUntilDate></Retention>`;
const retain = (path: string, body: string, headers: Options["headers"] = {}, version = ""): Promise<Answer> =>
  s3.call("PUT", path, {
    query: `retention${version === "" ? "" : `&versionId=${version}`}`,
    body,
    headers: { ...md5Header(body), ...headers },
  });
const hold = (path: string, status: string): Promise<Answer> => {
  const body = `<LegalHold><Status>${status}</Status></LegalHold>`;
  return s3.call("PUT", path, { query: "legal-hold", body, headers: md5Header(body) });
};
const put = async (path: string, headers: Options["headers"] = {}): Promise<string> => {
  const made = await s3.call("PUT", path, { body: "abc", headers });
  expect(made.status).toBe(200);
  return made.headers.get("x-amz-version-id") ?? "";
};
const remove = (path: string, version: string, bypass = false): Promise<Answer> =>
  s3.call("DELETE", path, {
    query: `versionId=${version}`,
    headers: bypass ? { "x-amz-bypass-governance-retention": "true" } : {},
  });
const GOVERNANCE = "GOVERNANCE";
const BYPASS = { "x-amz-bypass-governance-retention": "true" };

test("a bucket made with object lock is versioned and stays so; others need versioning first", async () => {
  expect((await s3.call("GET", "/locked", { query: "versioning" })).text).toContain("<Status>Enabled</Status>");
  const suspended = "<VersioningConfiguration><Status>Suspended</Status></VersioningConfiguration>";
  const refused = await s3.call("PUT", "/locked", { query: "versioning", body: suspended });
  expect([refused.status, refused.code]).toEqual([409, "InvalidBucketState"]);
  const excluded = `<VersioningConfiguration><Status>Enabled</Status><ExcludeFolders>true</ExcludeFolders></VersioningConfiguration>`;
  expect((await s3.call("PUT", "/locked", { query: "versioning", body: excluded })).code).toBe("InvalidBucketState");

  expect((await s3.call("GET", "/plain", { query: "object-lock" })).code).toBe("ObjectLockConfigurationNotFoundError");
  expect((await setLock("plain", configuration(""))).code).toBe("InvalidBucketState");
  await s3.call("PUT", "/later");
  await s3.call("PUT", "/later", { query: "versioning", body: suspended.replace("Suspended", "Enabled") });
  expect((await setLock("later", configuration(rule(GOVERNANCE, "<Days>3</Days>")))).status).toBe(200);
  const shown = (await s3.call("GET", "/later", { query: "object-lock" })).text;
  expect([texts(shown, "Mode"), texts(shown, "Days"), texts(shown, "Years")]).toEqual([[GOVERNANCE], ["3"], []]);
});

test.each([
  [configuration(rule(GOVERNANCE, "<Days>1</Days><Years>1</Years>")), "MalformedXML"],
  [configuration(rule(GOVERNANCE, "")), "MalformedXML"],
  [configuration(rule(GOVERNANCE, "<Days>0</Days>")), "InvalidRetentionPeriod"],
  [configuration(rule(GOVERNANCE, "<Years>-1</Years>")), "InvalidRetentionPeriod"],
  [configuration(rule(GOVERNANCE, "<Years>101</Years>")), "InvalidRetentionPeriod"],
  [configuration(rule(GOVERNANCE, "<Days>one</Days>")), "MalformedXML"],
  [configuration(rule("governance", "<Days>1</Days>")), "MalformedXML"],
  [configuration("", "Disabled"), "MalformedXML"],
  ["<Other/>", "MalformedXML"],
])("the configuration %s is refused with %s", async (body, code) => {
  const answer = await setLock("locked", body);
  expect([answer.status, answer.code]).toEqual([400, code]);
});

test("GOVERNANCE yields to those who bypass it, COMPLIANCE to nobody", async () => {
  const governed = await put("/locked/governed");
  expect((await retain("/locked/governed", retention(GOVERNANCE, later(9)))).status).toBe(200);
  const denied = await remove("/locked/governed", governed);
  expect([denied.status, denied.code]).toEqual([403, "AccessDenied"]);
  expect((await retain("/locked/governed", retention(GOVERNANCE, later(12)))).status).toBe(200);
  expect((await retain("/locked/governed", retention(GOVERNANCE, later(3)))).code).toBe("AccessDenied");
  expect((await retain("/locked/governed", "<Retention/>")).code).toBe("AccessDenied");
  expect((await retain("/locked/governed", retention("COMPLIANCE", later(20)))).code).toBe("AccessDenied");
  expect((await retain("/locked/governed", retention(GOVERNANCE, later(3)), BYPASS)).status).toBe(200);
  expect((await retain("/locked/governed", retention("COMPLIANCE", later(4)), BYPASS)).status).toBe(200);
  for (const body of [retention("COMPLIANCE", later(2)), retention(GOVERNANCE, later(9)), "<Retention/>"])
    expect((await retain("/locked/governed", body, BYPASS)).code).toBe("AccessDenied");
  expect((await remove("/locked/governed", governed, true)).code).toBe("AccessDenied");
  const cleared = await put("/locked/cleared");
  await retain("/locked/cleared", retention(GOVERNANCE, later(9)));
  expect((await retain("/locked/cleared", "<Retention/>", BYPASS)).status).toBe(200);
  expect((await s3.call("GET", "/locked/cleared", { query: "retention" })).status).toBe(404);
  expect((await remove("/locked/cleared", cleared)).status).toBe(204);
});

test("a legal hold protects a version until it is lifted; a marker may lie above it", async () => {
  const version = await put("/locked/held");
  expect((await s3.call("GET", "/locked/held", { query: "legal-hold" })).code).toBe("NoSuchObjectLockConfiguration");
  expect((await hold("/locked/held", "ON")).status).toBe(200);
  expect(texts((await s3.call("GET", "/locked/held", { query: "legal-hold" })).text, "Status")).toEqual(["ON"]);
  expect((await remove("/locked/held", version, true)).code).toBe("AccessDenied");
  const marker = (await s3.call("DELETE", "/locked/held")).headers.get("x-amz-version-id") as string;
  expect((await remove("/locked/held", marker)).status).toBe(204);
  expect((await hold("/locked/held", "OFF")).status).toBe(200);
  expect((await remove("/locked/held", version)).status).toBe(204);
  expect((await hold("/locked/held", "ON")).code).toBe("NoSuchKey");
});

test("headers of an upload, a copy and a multipart upload lock what they make, over the bucket's default", async () => {
  const until = later(5);
  const headers = {
    "x-amz-object-lock-mode": GOVERNANCE,
    "x-amz-object-lock-retain-until-date": until,
    "x-amz-object-lock-legal-hold": "ON",
  };
  await put("/locked/uploaded", headers);
  await s3.call("PUT", "/locked/copied", { headers: { ...headers, "x-amz-copy-source": "/locked/uploaded" } });
  const started = await s3.call("POST", "/locked/parts", { query: "uploads", headers });
  const uploadId = texts(started.text, "UploadId")[0] as string;
  const part = await s3.call("PUT", "/locked/parts", { query: `partNumber=1&uploadId=${uploadId}`, body: "abc" });
  const list = `<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>${part.headers.get("etag")}</ETag></Part></CompleteMultipartUpload>`;
  const early = await s3.call("POST", "/locked/parts", { query: `uploadId=${uploadId}`, body: list, headers });
  expect([early.status, early.code]).toEqual([400, "InvalidRequest"]);
  expect((await s3.call("POST", "/locked/parts", { query: `uploadId=${uploadId}`, body: list })).status).toBe(200);
  for (const key of ["uploaded", "copied", "parts"]) {
    const head = await s3.call("HEAD", `/locked/${key}`);
    const [mode, date, held] = ["mode", "retain-until-date", "legal-hold"].map((n) =>
      head.headers.get(`x-amz-object-lock-${n}`),
    );
    expect([key, mode, date, held]).toEqual([key, GOVERNANCE, until, "ON"]);
    const version = head.headers.get("x-amz-version-id") as string;
    expect((await remove(`/locked/${key}`, version, true)).code).toBe("AccessDenied");
  }
  await s3.call("PUT", "/locked/plain-copy", { headers: { "x-amz-copy-source": "/locked/uploaded" } });
  expect((await s3.call("HEAD", "/locked/plain-copy")).headers.has("x-amz-object-lock-mode")).toBe(false);
});

test.each([
  [{ "x-amz-object-lock-mode": GOVERNANCE }, "InvalidArgument"],
  [{ "x-amz-object-lock-retain-until-date": "2999-01-01T00:00:00Z" }, "InvalidArgument"],
  [{ "x-amz-object-lock-mode": "X", "x-amz-object-lock-retain-until-date": "2999-01-01T00:00:00Z" }, "InvalidArgument"],
  [
    { "x-amz-object-lock-mode": GOVERNANCE, "x-amz-object-lock-retain-until-date": "2001-01-01T00:00:00Z" },
    "InvalidArgument",
  ],
  [{ "x-amz-object-lock-mode": GOVERNANCE, "x-amz-object-lock-retain-until-date": "tomorrow" }, "InvalidArgument"],
  [{ "x-amz-object-lock-legal-hold": "PERHAPS" }, "InvalidArgument"],
])("the headers %p are refused with %s", async (headers, code) => {
  const answer = await s3.call("PUT", "/locked/x", { body: "abc", headers: headers as Record<string, string> });
  expect([answer.status, answer.code]).toEqual([400, code]);
});

test("a bucket without object lock takes neither retention nor hold", async () => {
  await put("/plain/key");
  const answers = [
    await retain("/plain/key", retention(GOVERNANCE, later(1))),
    await hold("/plain/key", "ON"),
    await s3.call("GET", "/plain/key", { query: "retention" }),
    await s3.call("GET", "/plain/key", { query: "legal-hold" }),
    await s3.call("PUT", "/plain/new", { body: "x", headers: { "x-amz-object-lock-legal-hold": "ON" } }),
    await s3.call("POST", "/plain/new", { query: "uploads", headers: { "x-amz-object-lock-legal-hold": "ON" } }),
  ];
  expect(answers.map((a) => [a.status, a.code])).toEqual(answers.map(() => [400, "InvalidRequest"]));
  for (const query of ["retention", "legal-hold"])
    expect((await s3.call("GET", "/plain/absent", { query })).code).toBe("NoSuchKey");
});

test("DeleteObjects says which version is locked and removes the others", async () => {
  const [one, two] = [await put("/locked/one"), await put("/locked/two")];
  await retain("/locked/one", retention(GOVERNANCE, later(1)));
  const body = `<Delete><Object><Key>one</Key><VersionId>${one}</VersionId></Object><Object><Key>two</Key><VersionId>${two}</VersionId></Object></Delete>`;
  const answer = await s3.call("POST", "/locked", { query: "delete", body, headers: md5Header(body) });
  expect([texts(answer.text, "Code"), texts(answer.text, "Key")]).toEqual([["AccessDenied"], ["one", "two"]]);
  const again = await s3.call("POST", "/locked", { query: "delete", body, headers: { ...md5Header(body), ...BYPASS } });
  expect(texts(again.text, "Code")).toEqual([]);
});

test("a locked null version is not replaced: a folder's content stays", async () => {
  await put("/locked/folder/");
  expect((await hold("/locked/folder/", "ON")).status).toBe(200);
  const over = await s3.call("PUT", "/locked/folder/", { body: "other" });
  expect([over.status, over.code]).toEqual([403, "AccessDenied"]);
  expect((await s3.call("DELETE", "/locked/folder/")).code).toBe("AccessDenied");
  expect((await s3.call("GET", "/locked/folder/")).text).toBe("abc");
});

test("retention needs a digest, a version that is there, and a date that is one", async () => {
  await put("/locked/checked");
  const body = retention(GOVERNANCE, later(1));
  expect((await s3.call("PUT", "/locked/checked", { query: "retention", body })).code).toBe("MissingContentMD5");
  expect((await retain("/locked/absent", body)).code).toBe("NoSuchKey");
  expect((await retain("/locked/checked", body, {}, "11111111-1111-1111-1111-111111111111")).code).toBe(
    "NoSuchVersion",
  );
  expect((await retain("/locked/checked", retention("abc", later(1)))).code).toBe("MalformedXML");
  expect((await retain("/locked/checked", retention(GOVERNANCE, "soon"))).code).toBe("MalformedXML");
  expect((await retain("/locked/checked", retention(GOVERNANCE, "2001-01-01T00:00:00Z"))).code).toBe("InvalidArgument");
});
