/** The MinIO SDK for JavaScript: buckets, buffers and streams, stat, ranges, listings, versions, tags, presigned URLs, compose. */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { Readable } from "node:stream";
import { check, finish, installed, refused } from "./suite.mjs";

const minio = installed("minio");
const endpoint = new URL(process.env.ENDPOINT);
const client = new minio.Client({
  endPoint: endpoint.hostname,
  port: Number(endpoint.port),
  useSSL: endpoint.protocol === "https:",
  accessKey: process.env.AWS_ACCESS_KEY_ID,
  secretKey: process.env.AWS_SECRET_ACCESS_KEY,
  partSize: 5 << 20,
});
const bucket = `minio-js-${process.pid}`;

const bytesOf = async (stream) => Buffer.concat(await Array.fromAsync(stream));
const get = async (key, options) => bytesOf(await client.getObject(bucket, key, options));
const list = (stream) => Array.fromAsync(stream);
if (Array.fromAsync === undefined) {
  // Node 20 has no Array.fromAsync.
  Array.fromAsync = async (stream) => {
    const items = [];
    for await (const item of stream) items.push(item);
    return items;
  };
}

await check("a bucket is made, found and listed", async () => {
  await client.makeBucket(bucket, "us-east-1");
  assert.equal(await client.bucketExists(bucket), true);
  assert.equal(await client.bucketExists(`${bucket}-not`), false);
  assert((await client.listBuckets()).some((entry) => entry.name === bucket));
});

await check("buffers come back", async () => {
  for (const size of [0, 1, 100_000, 300_000, 4 << 20]) {
    const body = randomBytes(size);
    await client.putObject(bucket, `buffer/${size}`, body, size, { "X-Amz-Meta-Colour": "red" });
    assert.deepEqual(await get(`buffer/${size}`), body);
  }
});

await check("a stream of unknown length is sent in parts", async () => {
  const body = randomBytes(12_000_000);
  await client.putObject(bucket, "stream", Readable.from([body.subarray(0, 7_000_000), body.subarray(7_000_000)]));
  assert.deepEqual(await get("stream"), body);
});

await check("files go up and come down", async () => {
  const path = `${process.env.WORK}/file`;
  writeFileSync(path, randomBytes(11 << 20));
  await client.fPutObject(bucket, "file", path, { "Content-Type": "application/x-test" });
  await client.fGetObject(bucket, "file", `${path}.back`);
  assert.deepEqual(readFileSync(`${path}.back`), readFileSync(path));
});

await check("stat shows size, type, ETag and metadata", async () => {
  const stat = await client.statObject(bucket, "buffer/100000");
  assert.equal(stat.size, 100_000);
  assert.equal(stat.metaData.colour, "red");
  assert.match(stat.etag, /^[0-9a-f]{32}$/);
});

await check("a part of an object is read", async () => {
  await client.putObject(bucket, "digits", "0123456789");
  assert.equal((await bytesOf(await client.getPartialObject(bucket, "digits", 3, 4))).toString(), "3456");
});

await check("listings: flat, grouped, from a key on", async () => {
  for (const key of ["l/a", "l/b/1", "l/b/2", "l/ü +&"]) await client.putObject(bucket, key, key);
  const flat = await list(client.listObjectsV2(bucket, "l/", true));
  assert.deepEqual(
    flat.map((entry) => entry.name),
    ["l/a", "l/b/1", "l/b/2", "l/ü +&"],
  );
  const grouped = await list(client.listObjects(bucket, "l/", false));
  assert.deepEqual(grouped.map((entry) => entry.name ?? entry.prefix).sort(), ["l/a", "l/b/", "l/ü +&"]);
  const rest = await list(client.listObjectsV2(bucket, "l/", true, "l/b/1"));
  assert.deepEqual(
    rest.map((entry) => entry.name),
    ["l/b/2", "l/ü +&"],
  );
});

await check("copies, with a condition", async () => {
  await client.copyObject(bucket, "copied", `/${bucket}/digits`);
  assert.equal((await get("copied")).toString(), "0123456789");
  const conditions = new minio.CopyConditions();
  conditions.setMatchETag("00000000000000000000000000000000");
  await refused("PreconditionFailed", () => client.copyObject(bucket, "copied", `/${bucket}/digits`, conditions));
});

await check("compose joins objects", async () => {
  const part = randomBytes(5 << 20);
  await client.putObject(bucket, "compose/1", part);
  await client.composeObject(new minio.CopyDestinationOptions({ Bucket: bucket, Object: "composed" }), [
    new minio.CopySourceOptions({ Bucket: bucket, Object: "compose/1" }),
    new minio.CopySourceOptions({ Bucket: bucket, Object: "digits" }),
  ]);
  assert.deepEqual(await get("composed"), Buffer.concat([part, Buffer.from("0123456789")]));
});

await check("tags of an object", async () => {
  await client.setObjectTagging(bucket, "digits", { a: "1" });
  const tags = await client.getObjectTagging(bucket, "digits");
  assert.deepEqual(
    tags.map((tag) => `${tag.Key}=${tag.Value}`),
    ["a=1"],
  );
  await client.removeObjectTagging(bucket, "digits");
});

await check("versions", async () => {
  await client.setBucketVersioning(bucket, { Status: "Enabled" });
  assert.equal((await client.getBucketVersioning(bucket)).Status, "Enabled");
  const { versionId } = await client.putObject(bucket, "versioned", "one");
  await client.putObject(bucket, "versioned", "two");
  assert.equal((await get("versioned", { versionId })).toString(), "one");
  const versions = await list(client.listObjects(bucket, "versioned", true, { IncludeVersion: true }));
  assert.equal(versions.length, 2);
});

await check("presigned URLs", async () => {
  const put = await client.presignedPutObject(bucket, "presigned", 60);
  assert.equal((await fetch(put, { method: "PUT", body: "by url" })).status, 200);
  const read = await client.presignedGetObject(bucket, "presigned", 60, { "response-content-type": "text/x" });
  const answer = await fetch(read);
  assert.equal(await answer.text(), "by url");
  assert.equal(answer.headers.get("content-type"), "text/x");
});

await check("an incomplete upload is listed and removed", async () => {
  await client.initiateNewMultipartUpload(bucket, "incomplete", {});
  const uploads = await list(client.listIncompleteUploads(bucket, "incomplete", true));
  assert.deepEqual(
    uploads.map((upload) => upload.key),
    ["incomplete"],
  );
  await client.removeIncompleteUpload(bucket, "incomplete");
});

await check("errors have their codes", async () => {
  await refused("NoSuchKey", () => client.getObject(bucket, "nothing"));
  await refused("NotFound", () => client.statObject(bucket, "nothing"));
  await refused("BucketNotEmpty", () => client.removeBucket(bucket));
});

await check("everything is removed, and the bucket", async () => {
  const entries = await list(client.listObjects(bucket, "", true, { IncludeVersion: true }));
  await client.removeObjects(
    bucket,
    entries.map(({ name, versionId }) => ({ name, versionId })),
  );
  await client.removeBucket(bucket);
});

finish();
