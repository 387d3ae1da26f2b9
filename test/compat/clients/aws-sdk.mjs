/** The AWS SDK for JavaScript v3: default checksums with trailers, streams, conditions, listings, versions, multipart. */
import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { Readable } from "node:stream";
import { check, finish, installed, refused } from "./suite.mjs";

const sdk = installed("@aws-sdk/client-s3");
const s3 = new sdk.S3Client({
  endpoint: process.env.ENDPOINT,
  region: "us-east-1",
  forcePathStyle: true,
  maxAttempts: 1,
});
const Bucket = `aws-sdk-${process.pid}`;
const send = (command, input) => s3.send(new sdk[`${command}Command`](input));
const put = (Key, Body, more = {}) => send("PutObject", { Bucket, Key, Body, ...more });
const get = async (Key, more = {}) => {
  const answer = await send("GetObject", { Bucket, Key, ...more });
  return Buffer.from(await answer.Body.transformToByteArray());
};

await check("a bucket is created and found", async () => {
  await send("CreateBucket", { Bucket });
  await send("HeadBucket", { Bucket });
  assert((await send("ListBuckets", {})).Buckets.some((bucket) => bucket.Name === Bucket));
});

await check("buffers come back, with the checksum that the SDK adds by default", async () => {
  for (const size of [0, 1, 4096, 200_000, 1 << 20, (6 << 20) + 3]) {
    const body = randomBytes(size);
    const answer = await put(`buffer/${size}`, body);
    assert.equal(answer.ETag, `"${createHash("md5").update(body).digest("hex")}"`);
    assert.deepEqual(await get(`buffer/${size}`), body);
  }
});

await check("a stream of known length is sent with a trailing checksum", async () => {
  const body = randomBytes(3_000_000);
  const pieces = [body.subarray(0, 1000), body.subarray(1000, 2_000_000), body.subarray(2_000_000)];
  for (const ChecksumAlgorithm of ["CRC32", "CRC32C", "SHA1", "SHA256"]) {
    await put("stream", Readable.from(pieces), { ContentLength: body.length, ChecksumAlgorithm });
    assert.deepEqual(await get("stream"), body);
    const head = await send("HeadObject", { Bucket, Key: "stream", ChecksumMode: "ENABLED" });
    assert(head[`Checksum${ChecksumAlgorithm}`], `no ${ChecksumAlgorithm}`);
  }
});

await check("a wrong checksum is refused and nothing is stored", async () => {
  await refused(400, () => put("bad-sum", "123456789", { ChecksumCRC32C: "AAAAAA==" }));
  await refused("NoSuchKey", () => get("bad-sum"));
});

await check("ranges, metadata and content headers", async () => {
  await put("meta", "0123456789", { Metadata: { colour: "red" }, ContentType: "text/x", CacheControl: "no-store" });
  assert.equal((await get("meta", { Range: "bytes=2-4" })).toString(), "234");
  const head = await send("HeadObject", { Bucket, Key: "meta" });
  assert.deepEqual(
    [head.Metadata, head.ContentType, head.CacheControl, head.ContentLength],
    [{ colour: "red" }, "text/x", "no-store", 10],
  );
});

await check("conditions", async () => {
  const { ETag } = await put("conditional", "one");
  await refused("PreconditionFailed", () => put("conditional", "two", { IfNoneMatch: "*" }));
  await refused(304, () => get("conditional", { IfNoneMatch: ETag }));
  await put("conditional", "two", { IfMatch: ETag });
  await refused("PreconditionFailed", () => put("conditional", "three", { IfMatch: ETag }));
});

await check("keys with odd characters", async () => {
  for (const key of ["odd/a b+c", "odd/ü/日本", "odd/a&b=c", "odd/q'\"<>", "odd/a%20b"]) {
    await put(key, key);
    assert.equal((await get(key)).toString(), key);
  }
  const listed = await send("ListObjectsV2", { Bucket, Prefix: "odd/" });
  assert.equal(listed.KeyCount, 5);
});

await check("a paginator sees every key once, in order", async () => {
  const keys = Array.from({ length: 23 }, (_, i) => `page/${String(i).padStart(2, "0")}`);
  await Promise.all(keys.map((key) => put(key, "x")));
  const seen = [];
  for await (const page of sdk.paginateListObjectsV2({ client: s3, pageSize: 5 }, { Bucket, Prefix: "page/" })) {
    seen.push(...(page.Contents ?? []).map((object) => object.Key));
  }
  assert.deepEqual(seen, keys);
});

await check("delimiters group", async () => {
  const answer = await send("ListObjectsV2", { Bucket, Delimiter: "/" });
  assert(answer.CommonPrefixes.some((prefix) => prefix.Prefix === "page/"));
});

await check("copies", async () => {
  await send("CopyObject", { Bucket, Key: "copied", CopySource: `${Bucket}/meta` });
  assert.equal((await get("copied")).toString(), "0123456789");
});

await check("multipart with a part copy", async () => {
  const part = randomBytes(5 << 20);
  const { UploadId } = await send("CreateMultipartUpload", { Bucket, Key: "multi" });
  const same = { Bucket, Key: "multi", UploadId };
  const one = await send("UploadPart", { ...same, PartNumber: 1, Body: part });
  const two = await send("UploadPartCopy", {
    ...same,
    PartNumber: 2,
    CopySource: `${Bucket}/meta`,
    CopySourceRange: "bytes=1-3",
  });
  const listed = await send("ListParts", same);
  assert.deepEqual(
    listed.Parts.map((entry) => entry.Size),
    [5 << 20, 3],
  );
  const copied = two.CopyPartResult;
  await send("CompleteMultipartUpload", {
    ...same,
    MultipartUpload: {
      Parts: [
        { PartNumber: 1, ETag: one.ETag },
        { PartNumber: 2, ETag: copied.ETag },
      ],
    },
  });
  assert.deepEqual(await get("multi"), Buffer.concat([part, Buffer.from("123")]));
});

await check("multipart checksums: composite, and of the full object", async () => {
  for (const [ChecksumAlgorithm, ChecksumType] of [
    ["CRC32", "COMPOSITE"],
    ["SHA256", "COMPOSITE"],
    ["CRC64NVME", "FULL_OBJECT"],
    ["CRC32C", "FULL_OBJECT"],
  ]) {
    const Key = `multi-${ChecksumAlgorithm}`;
    const { UploadId } = await send("CreateMultipartUpload", { Bucket, Key, ChecksumAlgorithm, ChecksumType });
    const Parts = [];
    for (const [PartNumber, Body] of [
      [1, randomBytes(5 << 20)],
      [2, Buffer.from("tail")],
    ]) {
      const part = await send("UploadPart", { Bucket, Key, UploadId, PartNumber, Body, ChecksumAlgorithm });
      const field = `Checksum${ChecksumAlgorithm}`;
      Parts.push({ PartNumber, ETag: part.ETag, [field]: part[field] });
    }
    const done = await send("CompleteMultipartUpload", {
      Bucket,
      Key,
      UploadId,
      ChecksumType,
      MultipartUpload: { Parts },
    });
    const sum = done[`Checksum${ChecksumAlgorithm}`];
    assert.equal(sum.endsWith("-2"), ChecksumType === "COMPOSITE", `${ChecksumAlgorithm} ${sum}`);
    const head = await send("HeadObject", { Bucket, Key, ChecksumMode: "ENABLED" });
    assert.equal(head[`Checksum${ChecksumAlgorithm}`], sum);
  }
});

await check("versions and delete markers", async () => {
  await send("PutBucketVersioning", { Bucket, VersioningConfiguration: { Status: "Enabled" } });
  const { VersionId } = await put("versioned", "one");
  await put("versioned", "two");
  assert.equal((await send("DeleteObject", { Bucket, Key: "versioned" })).DeleteMarker, true);
  await refused("NoSuchKey", () => get("versioned"));
  assert.equal((await get("versioned", { VersionId })).toString(), "one");
  const listed = await send("ListObjectVersions", { Bucket, Prefix: "versioned" });
  assert.deepEqual([listed.Versions.length, listed.DeleteMarkers.length], [2, 1]);
});

await check("tags", async () => {
  await send("PutObjectTagging", { Bucket, Key: "meta", Tagging: { TagSet: [{ Key: "a", Value: "b c" }] } });
  assert.deepEqual((await send("GetObjectTagging", { Bucket, Key: "meta" })).TagSet, [{ Key: "a", Value: "b c" }]);
});

await check("object attributes", async () => {
  const answer = await send("GetObjectAttributes", {
    Bucket,
    Key: "multi",
    ObjectAttributes: ["ObjectSize", "ObjectParts", "ETag"],
  });
  assert.equal(answer.ObjectSize, (5 << 20) + 3);
  assert.equal(answer.ObjectParts.TotalPartsCount, 2);
});

await check("errors have their names", async () => {
  await refused("NoSuchKey", () => get("nothing"));
  await refused("NoSuchBucket", () => send("ListObjectsV2", { Bucket: "no-such-bucket-here" }));
  await refused("BucketNotEmpty", () => send("DeleteBucket", { Bucket }));
});

await check("everything is deleted, versions too, and the bucket", async () => {
  const listed = await send("ListObjectVersions", { Bucket });
  const Objects = [...(listed.Versions ?? []), ...(listed.DeleteMarkers ?? [])].map(({ Key, VersionId }) => ({
    Key,
    VersionId,
  }));
  const answer = await send("DeleteObjects", { Bucket, Delete: { Objects } });
  assert.equal(answer.Errors?.length ?? 0, 0);
  await send("DeleteBucket", { Bucket });
});

finish();
