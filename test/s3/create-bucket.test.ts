/** CreateBucket over HTTP. Source: s3-api.md §1.3, §1.6. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { startServer, type S3Server, texts } from "./server.ts";

let s3: S3Server;
beforeAll(async () => {
  s3 = await startServer();
});
afterAll(() => s3.stop());

test("a new bucket answers with its place and an empty body", async () => {
  const answer = await s3.call("PUT", "/new-bucket");
  expect([answer.status, answer.headers.get("location"), answer.text]).toEqual([200, "/new-bucket", ""]);
  expect(answer.headers.get("content-length")).toBe("0");
});

test("a bucket that exists is a conflict, unless the client insists", async () => {
  await s3.call("PUT", "/twice");
  const again = await s3.call("PUT", "/twice");
  expect([again.status, again.code]).toEqual([409, "BucketAlreadyOwnedByYou"]);
  expect((await s3.call("PUT", "/twice", { headers: { "x-minio-force-create": "true" } })).status).toBe(200);
});

test("in us-east-1 an owner may create a bucket again, as on AWS, and it stays as it is", async () => {
  const east = await startServer({ SHERD_REGION: "us-east-1" });
  try {
    await east.call("PUT", "/twice");
    await east.call("PUT", "/twice/k", { body: "kept" });
    expect((await east.call("PUT", "/twice")).status).toBe(200);
    expect((await east.call("GET", "/twice/k")).text).toBe("kept");
    const locked = { "x-amz-bucket-object-lock-enabled": "true" };
    expect((await east.call("PUT", "/twice", { headers: locked })).code).toBe("BucketAlreadyOwnedByYou");
  } finally {
    await east.stop();
  }
});

test("a bucket is created with the tags that the document names, or not at all", async () => {
  const create = (bucket: string, tags: readonly (readonly [string, string])[]) => {
    const inner = tags.map(([k, v]) => `<Tag><Key>${k}</Key><Value>${v}</Value></Tag>`).join("");
    const body = `<CreateBucketConfiguration><Tags>${inner}</Tags></CreateBucketConfiguration>`;
    return s3.call("PUT", `/${bucket}`, { body });
  };
  expect((await create("tagged", [["team", "a"]])).status).toBe(200);
  const read = (await s3.call("GET", "/tagged", { query: "tagging" })).text;
  expect([texts(read, "Key"), texts(read, "Value")]).toEqual([["team"], ["a"]]);
  const many = Array.from({ length: 51 }, (_, i) => [`k${i}`, "v"] as const);
  for (const [tags, code] of [
    [[["a!", "v"]], "InvalidTag"],
    [[["k", "v".repeat(257)]], "InvalidTag"],
    [
      [
        ["k", "1"],
        ["k", "2"],
      ],
      "InvalidTag",
    ],
    [many, "BadRequest"],
  ] as const)
    expect((await create("badly-tagged", tags)).code).toBe(code);
  expect((await s3.call("HEAD", "/badly-tagged")).status).toBe(404);
});

test("of many that create one bucket at once exactly one succeeds", async () => {
  const answers = await Promise.all(Array.from({ length: 6 }, () => s3.call("PUT", "/raced")));
  expect(answers.map((a) => a.status).sort()).toEqual([200, 409, 409, 409, 409, 409]);
});

test("names that are no bucket names are refused", async () => {
  const names = [
    "ab",
    "UPPER",
    "under_score",
    "-a-",
    "a..b",
    "a.-b",
    "192.168.1.1",
    "a".repeat(64),
    "a%00b",
    "sp%20ce",
  ];
  for (const name of names) {
    const answer = await s3.call("PUT", `/${name}`);
    expect([name, answer.status, answer.code]).toEqual([name, 400, "InvalidBucketName"]);
  }
  for (const name of ["minio", ".minio.sys"]) expect((await s3.call("PUT", `/${name}`)).code).toBe("AllAccessDisabled");
  for (const name of ["abc", "a".repeat(63), "0-9.z"]) expect((await s3.call("PUT", `/${name}`)).status).toBe(200);
});

test("a location is accepted where no region is set, and XML that is none is not", async () => {
  const body = (inner: string): string => `<CreateBucketConfiguration>${inner}</CreateBucketConfiguration>`;
  expect(
    (await s3.call("PUT", "/placed", { body: body("<LocationConstraint>eu-west-1</LocationConstraint>") })).status,
  ).toBe(200);
  for (const bad of ["<x/>", "<CreateBucketConfiguration>", "{}"]) {
    const answer = await s3.call("PUT", "/misplaced", { body: bad });
    expect([answer.status, answer.code]).toEqual([400, "MalformedXML"]);
  }
  expect((await s3.call("HEAD", "/misplaced")).status).toBe(404);
});

test("a server with a region takes that constraint only", async () => {
  const placed = await startServer({ MINIO_SITE_REGION: "us-east-1" });
  try {
    const body =
      "<CreateBucketConfiguration><LocationConstraint>eu-west-1</LocationConstraint></CreateBucketConfiguration>";
    expect((await placed.call("PUT", "/elsewhere", { body })).code).toBe("InvalidRegion");
    expect((await placed.call("PUT", "/here")).headers.get("x-amz-bucket-region")).toBe("us-east-1");
  } finally {
    await placed.stop();
  }
});
