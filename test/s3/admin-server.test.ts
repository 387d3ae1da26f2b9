/** The server through the admin API: what it is and holds, its configuration, quotas, exports, restart. Source: admin API §3. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { AdminClient } from "./admin-client.ts";
import { beginUpload, completeDocument, enableVersioning, KEYS, type S3Server, startServer } from "./server.ts";
import { zipOf } from "./zip-writer.ts";

let s3: S3Server;
let root: AdminClient;
beforeAll(async () => {
  s3 = await startServer({ MINIO_KMS_SECRET_KEY: `test-key:${Buffer.alloc(32, 7).toString("base64")}` });
  root = new AdminClient(s3);
  await s3.call("PUT", "/bucket");
  await s3.call("PUT", "/bucket/k", { body: "content" });
});
afterAll(() => s3.stop());

test("info, storage and usage say what is there, as it is now", async () => {
  const info = (await root.call("GET", "info")).json;
  expect(info).toMatchObject({
    mode: "online",
    buckets: { count: 1 },
    objects: { count: 1 },
    usage: { size: 7 },
    backend: { backendType: "Erasure", onlineDisks: 4, offlineDisks: 0, totalSets: [1], totalDrivesPerSet: [4] },
  });
  expect(info.servers[0].drives.map((drive: { state: string }) => drive.state)).toEqual(["ok", "ok", "ok", "ok"]);
  expect(info.servers[0].endpoint).toBe(`127.0.0.1:${s3.port}`);
  const storage = (await root.call("GET", "storageinfo")).json;
  expect([storage.Disks.length, storage.Backend.StandardSCParity]).toEqual([4, 2]);
  await s3.call("PUT", "/bucket/k2", { body: "more" });
  const usage = (await root.call("GET", "datausageinfo")).json;
  expect(usage).toMatchObject({ objectsCount: 2, objectsTotalSize: 11, bucketsCount: 1 });
  expect(usage.bucketsUsageInfo.bucket.objectsSizesHistogram.LESS_THAN_1024_B).toBe(2);
  const account = (await root.call("GET", "accountinfo")).json;
  expect(account.Buckets[0]).toMatchObject({ name: "bucket", size: 11, access: { read: true, write: true } });
});

test("configuration is set, shown, remembered and put back; what is unknown is refused", async () => {
  const get = async (key: string): Promise<string> =>
    (await root.call("GET", "get-config-kv", { query: `key=${key}` })).json;
  const set = (text: string): ReturnType<AdminClient["call"]> => root.call("PUT", "set-config-kv", { sealed: text });
  expect(await get("scanner")).toBe("scanner speed=default alert_excess_versions=100 alert_excess_folders=50000 \n");
  const done = await set("scanner speed=slow");
  expect([done.status, done.headers.get("x-minio-config-applied")]).toEqual([200, "true"]);
  expect(await get("scanner")).toStartWith("scanner speed=slow ");
  expect((await set("scanner nokey=1")).json.Code).toBe("XMinioConfigError");
  expect((await set("nothing speed=slow")).json.Code).toBe("XMinioConfigError");
  expect((await set("")).json.Code).toBe("XMinioConfigError");
  await set('notify_webhook:one endpoint="http://127.0.0.1:1/a b" enable=on');
  expect(await get("notify_webhook:one")).toContain('endpoint="http://127.0.0.1:1/a b"');
  const history = (await root.call("GET", "list-config-history-kv", { query: "count=10" })).json;
  expect(history.map(({ data }: { data: string }) => data)[0]).toBe("scanner speed=slow");
  expect((await root.call("DELETE", "del-config-kv", { sealed: "scanner speed" })).status).toBe(200);
  expect(await get("scanner")).toStartWith("scanner speed=default ");
  await root.call("PUT", "restore-config-history-kv", { query: `restoreId=${history[0].restoreId}` });
  expect(await get("scanner")).toStartWith("scanner speed=slow ");
  await s3.restart();
  expect(await get("scanner")).toStartWith("scanner speed=slow ");
  const help = (await root.call("GET", "help-config-kv", { query: "subSys=scanner&key=" })).json;
  expect(help.keysHelp.map(({ key }: { key: string }) => key)).toContain("speed");
  expect((await root.call("GET", "help-config-kv", { query: "subSys=&key=" })).json.keysHelp.length).toBeGreaterThan(
    20,
  );
});

test("with a KMS nothing of identities and configuration lies in the clear on the drives", async () => {
  const sealed = { secretKey: "a-secret-that-is-nowhere" };
  await root.call("PUT", "add-user", { query: "accessKey=sealed-user", sealed });
  const files = readdirSync(`${s3.root}/d1`, { recursive: true, withFileTypes: true }).filter((entry) =>
    entry.isFile(),
  );
  const holding = files.filter((file) => readFileSync(`${file.parentPath}/${file.name}`).includes(sealed.secretKey));
  expect([files.length > 5, holding.map((file) => file.name)]).toEqual([true, []]);
  await s3.restart();
  const user = new AdminClient(s3, "sealed-user", sealed.secretKey);
  expect((await user.s3("GET", "/bucket/k")).code).toBe("AccessDenied");
});

test("a bucket takes no more than its quota, however it comes", async () => {
  await s3.call("PUT", "/limited");
  const quota = (bytes: number): ReturnType<AdminClient["call"]> =>
    root.call("PUT", "set-bucket-quota", { query: "bucket=limited", plain: { quota: bytes, quotatype: "hard" } });
  expect((await quota(10)).status).toBe(200);
  expect((await root.call("GET", "get-bucket-quota", { query: "bucket=limited" })).json).toMatchObject({ quota: 10 });
  expect((await s3.call("PUT", "/limited/a", { body: "12345" })).status).toBe(200);
  expect((await s3.call("PUT", "/limited/b", { body: "123456" })).code).toBe("XMinioAdminBucketQuotaExceeded");
  const copy = await s3.call("PUT", "/limited/c", { headers: { "x-amz-copy-source": "/bucket/k" } });
  expect(copy.code).toBe("XMinioAdminBucketQuotaExceeded");
  const id = await beginUpload(s3, "/limited/d");
  const part = await s3.call("PUT", "/limited/d", { query: `partNumber=1&uploadId=${id}`, body: "1234567" });
  const list = completeDocument([{ number: 1, etag: part.headers.get("etag") as string }]);
  const completed = await s3.call("POST", "/limited/d", { query: `uploadId=${id}`, body: list });
  expect(completed.code).toBe("XMinioAdminBucketQuotaExceeded");
  expect((await quota(0)).status).toBe(200);
  expect((await s3.call("PUT", "/limited/b", { body: "123456" })).status).toBe(200);
  expect((await quota(-1)).status).toBe(400);
  expect((await root.call("GET", "get-bucket-quota", { query: "bucket=none" })).json.Code).toBe("NoSuchBucket");
});

test("writes at the same time fill a quota exactly", async () => {
  await s3.call("PUT", "/full");
  const query = "bucket=full";
  const body = Buffer.alloc(1000, "x");
  await root.call("PUT", "set-bucket-quota", { query, plain: { quota: 5500, quotatype: "hard" } });
  const put = (key: number): ReturnType<S3Server["call"]> => s3.call("PUT", `/full/${key}`, { body });
  const made = await Promise.all(Array.from({ length: 20 }, (_, i) => put(i)));
  expect(made.filter(({ status }) => status === 200)).toHaveLength(5);
  expect(made.filter(({ code }) => code === "XMinioAdminBucketQuotaExceeded")).toHaveLength(15);
  const kept = made.findIndex(({ status }) => status === 200);
  await s3.call("DELETE", `/full/${kept}`);
  expect((await put(99)).status).toBe(200);
});

test("documents of a bucket go out and come back, checked", async () => {
  await s3.call("PUT", "/exported", { headers: { "x-amz-bucket-object-lock-enabled": "true" } });
  const documents: Readonly<Record<string, string>> = {
    "object-lock":
      "<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled><Rule><DefaultRetention><Mode>GOVERNANCE</Mode><Days>3</Days></DefaultRetention></Rule></ObjectLockConfiguration>",
    lifecycle:
      "<LifecycleConfiguration><Rule><ID>r</ID><Status>Enabled</Status><Filter><Prefix>a/</Prefix></Filter><Expiration><Days>9</Days></Expiration></Rule></LifecycleConfiguration>",
    encryption:
      "<ServerSideEncryptionConfiguration><Rule><ApplyServerSideEncryptionByDefault><SSEAlgorithm>AES256</SSEAlgorithm></ApplyServerSideEncryptionByDefault></Rule></ServerSideEncryptionConfiguration>",
    tagging: "<Tagging><TagSet><Tag><Key>k</Key><Value>v + w</Value></Tag></TagSet></Tagging>",
    cors: "<CORSConfiguration><CORSRule><AllowedOrigin>*</AllowedOrigin><AllowedMethod>GET</AllowedMethod></CORSRule></CORSConfiguration>",
    policy: JSON.stringify({
      Version: "2012-10-17",
      Statement: [{ Effect: "Allow", Principal: "*", Action: "s3:GetObject", Resource: "arn:aws:s3:::exported/*" }],
    }),
  };
  for (const [query, body] of Object.entries(documents))
    expect([query, (await s3.call("PUT", "/exported", { query, body })).code]).toEqual([query, undefined]);
  await s3.call("PUT", "/destination");
  await enableVersioning(s3, "destination");
  const made = await root.call("PUT", "set-remote-target", {
    query: "bucket=exported",
    sealed: {
      endpoint: `127.0.0.1:${s3.port}`,
      credentials: { accessKey: KEYS.user, secretKey: KEYS.secret },
      targetbucket: "destination",
      type: "replication",
    },
  });
  const rule = `<ReplicationConfiguration><Rule><Status>Enabled</Status><Priority>1</Priority><Destination><Bucket>${made.json}</Bucket></Destination></Rule></ReplicationConfiguration>`;
  expect((await s3.call("PUT", "/exported", { query: "replication", body: rule })).status).toBe(200);
  await root.call("PUT", "set-bucket-quota", { query: "bucket=exported", plain: { quota: 777, quotatype: "hard" } });
  const shown = async (): Promise<readonly string[]> => {
    const answers = [...Object.keys(documents), "versioning", "replication"].map((query) =>
      s3.call("GET", "/exported", { query }),
    );
    return (await Promise.all(answers)).map(({ text }) => text.replace(/^<\?xml[^>]*>\n/, ""));
  };
  const before = await shown();
  const archive = (await root.call("GET", "export-bucket-metadata", { query: "bucket=exported" })).body;
  expect((await s3.call("DELETE", "/exported")).status).toBe(204);
  const imported = await root.call("PUT", "import-bucket-metadata", { query: "bucket=exported", body: archive });
  const names = [
    "versioning",
    "olock",
    "targets",
    "replication",
    "lifecycle",
    "sse",
    "tagging",
    "quota",
    "policy",
    "cors",
  ];
  expect(imported.json.buckets.exported).toEqual(Object.fromEntries(names.map((name) => [name, { isSet: true }])));
  expect(await shown()).toEqual(before);
  expect((await root.call("GET", "list-remote-targets", { query: "bucket=exported" })).json[0].arn).toBe(made.json);
  expect((await root.call("GET", "get-bucket-quota", { query: "bucket=exported" })).json.quota).toBe(777);
});

test("of an import what is wrong is told by name, and the rest is set", async () => {
  const files: Readonly<Record<string, string>> = {
    "partly/lifecycle.xml": "<LifecycleConfiguration>",
    "partly/bucket-encryption.xml": "<ServerSideEncryptionConfiguration/>",
    "partly/tagging.xml": "<Tagging><TagSet><Tag><Key></Key></Tag></TagSet></Tagging>",
    "partly/object-lock.xml": "<ObjectLockConfiguration/>",
    "partly/bucket-targets.json": '{"targets":[{"type":"replication"}]}',
    "partly/policy.json": "{}",
    "partly/quota.json": '{"quota":5,"quotatype":"hard"}',
    "partly/unknown.xml": "x",
    "Not A Bucket/quota.json": "{}",
    "stray.txt": "x",
  };
  const body = zipOf(Object.entries(files).map(([name, content]) => ({ name, content })));
  const { json } = await root.call("PUT", "import-bucket-metadata", { body });
  expect(Object.keys(json.buckets).sort()).toEqual(["Not A Bucket", "partly"]);
  expect(json.buckets["Not A Bucket"].error).toBeString();
  const { quota, ...rest } = json.buckets.partly;
  expect(quota).toEqual({ isSet: true });
  expect(Object.keys(rest).sort()).toEqual(["lifecycle", "olock", "policy", "sse", "tagging", "targets"]);
  for (const status of Object.values(rest)) expect(status).toMatchObject({ isSet: false, error: expect.any(String) });
});

test("the KMS answers by its own API and by the older paths, to who may ask", async () => {
  const kms = (method: string, path: string, query = "", keys = root.keys): ReturnType<S3Server["call"]> =>
    s3.call(method, `/minio/kms/v1/${path}`, { query, keys });
  const json = async (answer: ReturnType<S3Server["call"]>): Promise<unknown> => JSON.parse((await answer).text);
  expect(await json(kms("GET", "status"))).toMatchObject({
    name: "SecretKey",
    "default-key-id": "test-key",
    endpoints: { "127.0.0.1": "online" },
  });
  expect(await json(kms("GET", "key/list", "pattern=*"))).toMatchObject([{ name: "test-key" }]);
  expect(await json(kms("GET", "key/list", "pattern=other*"))).toEqual([]);
  expect(await json(kms("GET", "key/status", "key-id=test-key"))).toEqual({ "key-id": "test-key" });
  expect(await json(kms("GET", "key/status"))).toEqual({ "key-id": "test-key" });
  expect((await root.call("GET", "kms/key/status")).json).toEqual({ "key-id": "test-key" });
  expect((await root.call("POST", "kms/status")).json).toMatchObject({ "default-key-id": "test-key" });
  const refusals = [];
  for (const [method, path, query] of [
    ["GET", "key/status", "key-id=none"],
    ["POST", "key/create", "key-id=test-key"],
    ["POST", "key/create", "key-id=another"],
    ["POST", "key/create", "key-id=a%2Fb"],
    ["GET", "metrics", ""],
    ["GET", "nothing", ""],
  ] as const) {
    const { status, text } = await kms(method, path, query);
    refusals.push([status, JSON.parse(text).Code]);
  }
  expect(refusals).toEqual([
    [400, "KMS.NotFoundException"],
    [409, "XMinioKMSKeyExists"],
    [501, "NotImplemented"],
    [400, "InvalidArgument"],
    [501, "NotImplemented"],
    [404, "NoSuchAdminOperation"],
  ]);
  const user = { user: "kms-user", secret: "kms-user-secret", region: "" };
  await root.call("PUT", "add-user", {
    query: "accessKey=kms-user",
    sealed: { secretKey: user.secret, status: "enabled" },
  });
  const policy = { Version: "2012-10-17", Statement: [{ Effect: "Allow", Action: ["kms:ListKeys", "kms:Status"] }] };
  await root.call("PUT", "add-canned-policy", { query: "name=kms-lists", plain: policy });
  expect((await kms("GET", "key/list", "pattern=*", user)).status).toBe(403);
  await root.call("PUT", "set-user-or-group-policy", {
    query: "policyName=kms-lists&userOrGroup=kms-user&isGroup=false",
  });
  expect((await kms("GET", "key/list", "pattern=*", user)).status).toBe(200);
  expect((await kms("GET", "key/status", "key-id=test-key", user)).status).toBe(403);
});

test("an administrator restarts the server: the same process, and what was stored is there", async () => {
  const dry = await root.call("POST", "service", { query: "action=restart&type=2&dry-run=true" });
  expect(dry.json).toMatchObject({ action: "restart", dryRun: true });
  expect((await root.call("POST", "service", { query: "action=explode" })).json.Code).toBe("MalformedPOSTRequest");
  const before = (await root.call("GET", "info")).json.servers[0];
  await s3.whenListeningAgain(() => root.call("POST", "service", { query: "action=restart&type=2" }));
  const after = (await root.call("GET", "info")).json.servers[0];
  expect(after.endpoint).toBe(before.endpoint);
  expect((await s3.call("GET", "/bucket/k")).text).toBe("content");
});
