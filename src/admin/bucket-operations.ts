/** Admin API: quota of buckets. Source: admin API §3.4, §4.4. */
import type { Bucket } from "../bucket/catalog.ts";
import { quotaOf } from "../bucket/quota.ts";
import { type AdminCall, type AdminReply, emptyReply, jsonReply } from "./call.ts";
import { AdminError } from "./errors.ts";

export async function bucketNamed(call: AdminCall): Promise<Bucket> {
  const name = call.parameter("bucket");
  const bucket = await call.context.buckets.get(name);
  if (bucket === null) throw new AdminError("NoSuchBucket", "The specified bucket does not exist");
  return bucket;
}

export async function getBucketQuota(call: AdminCall): Promise<AdminReply> {
  const bucket = await bucketNamed(call);
  return jsonReply(quotaOf(bucket.metadata.documents.quota) ?? { quota: 0, size: 0, rate: 0, requests: 0 });
}

export async function setBucketQuota(call: AdminCall): Promise<AdminReply> {
  const bucket = await bucketNamed(call);
  const body = await call.json();
  const bytes = (name: string): number => {
    const value = body[name] ?? 0;
    if (typeof value !== "number" || !Number.isSafeInteger(value) || value < 0)
      throw new AdminError("InvalidArgument", `${name} is no number of bytes.`);
    return value;
  };
  const [quota, size] = [bytes("quota"), bytes("size")];
  const type = body["quotatype"];
  if (type !== undefined && type !== "" && type !== "hard")
    throw new AdminError("InvalidArgument", "The only type of quota is hard.");
  const hasLimit = quota > 0 || size > 0;
  const document = hasLimit
    ? JSON.stringify({ quota, size, rate: bytes("rate"), requests: bytes("requests"), quotatype: "hard" })
    : "";
  await call.context.buckets.setDocument(bucket, "quota", new TextEncoder().encode(document));
  return emptyReply();
}
