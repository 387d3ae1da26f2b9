/** The table: every request finds one row or none, and a plain row is never the answer to a sub-resource. Source: s3-api.md §1. */
import { expect, test } from "bun:test";
import { findOperation, OPERATIONS, type Target } from "../../../src/s3/operations.ts";
import { parseQuery } from "../../../src/s3/sigv4.ts";

function find(method: string, target: Target, query = "", header = ""): string | null {
  const found = findOperation(
    method,
    target,
    new Map(parseQuery(query)),
    new Map(header === "" ? [] : [[header, "x"]]),
  );
  return found === null || found === "not-implemented" ? found : found.name;
}

test.each([
  ["GET", "service", "", "", "ListBuckets"],
  ["GET", "bucket", "", "", "ListObjects"],
  ["GET", "bucket", "list-type=2", "", "ListObjectsV2"],
  ["GET", "bucket", "unknown", "", "ListObjects"],
  ["GET", "object", "partNumber=1", "", "GetObject"],
  ["GET", "object", "uploads", "", "not-implemented"],
  ["HEAD", "object", "partNumber=1&versionId=null", "", "HeadObject"],
  ["HEAD", "bucket", "acl", "", "not-implemented"],
  ["PUT", "object", "", "", "PutObject"],
  ["PUT", "object", "x-id=PutObject", "x-amz-copy-source", "CopyObject"],
  ["PUT", "object", "X-Amz-Signature=a&X-Amz-Copy-Source=b", "", "CopyObject"],
  ["PUT", "object", "partNumber=1&uploadId=a", "", "UploadPart"],
  ["PUT", "object", "partNumber=1&uploadId=a", "x-amz-copy-source", "UploadPartCopy"],
  ["PUT", "object", "uploadId=a", "x-amz-copy-source", "not-implemented"],
  ["PUT", "object", "partNumber=1", "", "not-implemented"],
  ["DELETE", "object", "versionId=null", "", "DeleteObject"],
  ["DELETE", "object", "uploadId=a", "", "AbortMultipartUpload"],
  ["DELETE", "object", "partNumber=1", "", "not-implemented"],
  ["DELETE", "bucket", "anything", "", "not-implemented"],
  ["POST", "object", "", "", null],
  ["PATCH", "object", "", "", null],
] as const)("%s %s?%s %s is %s", (method, target, query, header, name) => {
  expect(find(method, target, query, header)).toBe(name);
});

test("every row can be reached", () => {
  for (const row of OPERATIONS) {
    const query = new Map(row.query.map((key) => key.split("=") as [string, string]).map(([k, v]) => [k, v ?? ""]));
    const found = findOperation(row.method, row.target, query, new Map(row.header === null ? [] : [[row.header, "x"]]));
    expect([row.name, row.method, found]).toEqual([row.name, row.method, row]);
  }
});
