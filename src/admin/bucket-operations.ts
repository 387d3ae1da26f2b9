/** Admin API: quota and remote targets of buckets. Source: admin API §3.4, §4.4. */
import type { Bucket } from "../bucket/catalog.ts";
import { quotaOf } from "../bucket/quota.ts";
import { isObject, type JsonObject } from "../iam/documents.ts";
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

/** As stored. Those that a KMS sealed cannot be shown: replication, which needs them, is not there. */
function targetsOf(bucket: Bucket): readonly JsonObject[] {
  const { targets, targetsMeta } = bucket.metadata.documents;
  if (targets.length === 0) return [];
  if (targetsMeta.length > 0)
    throw new AdminError("NotImplemented", "The remote targets of this bucket are sealed by the KMS.");
  try {
    const document: unknown = JSON.parse(Buffer.from(targets).toString("utf8"));
    const list = isObject(document) ? document["targets"] : null;
    return Array.isArray(list) ? list.filter(isObject) : [];
  } catch (error) {
    if (error instanceof SyntaxError) return [];
    throw error;
  }
}

export async function listRemoteTargets(call: AdminCall): Promise<AdminReply> {
  const bucket = await bucketNamed(call);
  const type = call.optional("type");
  const found = targetsOf(bucket);
  if (found.length === 0)
    throw new AdminError("XMinioAdminRemoteTargetNotFoundError", "The remote target does not exist");
  return jsonReply(
    found
      .filter((target) => type === "" || target["type"] === type)
      .map((target) => {
        const credentials = isObject(target["credentials"]) ? target["credentials"] : {};
        return { ...target, credentials: { accessKey: credentials["accessKey"] ?? "" } };
      }),
  );
}

export async function removeRemoteTarget(call: AdminCall): Promise<AdminReply> {
  const bucket = await bucketNamed(call);
  const arn = call.parameter("arn");
  const found = targetsOf(bucket);
  const left = found.filter((target) => target["arn"] !== arn);
  if (left.length === found.length)
    throw new AdminError("XMinioAdminRemoteTargetNotFoundError", "The remote target does not exist");
  const { replication } = bucket.metadata.documents;
  if (Buffer.from(replication).toString("utf8").includes(arn))
    throw new AdminError("XMinioAdminRemoteRemoveDisallowed", "A replication rule uses this remote target.");
  const document = left.length === 0 ? "" : JSON.stringify({ targets: left });
  await call.context.buckets.setDocument(bucket, "targets", new TextEncoder().encode(document));
  return emptyReply(204);
}
