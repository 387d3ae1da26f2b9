/**
 * Admin API: remote targets of buckets, the documents that replication rules name by their ARN; stored as MinIO stores them. Nothing
 * is replicated to them yet. Source: admin API §3.4, §4.4.
 */
import type { Bucket } from "../bucket/catalog.ts";
import { isObject, type JsonObject } from "../iam/documents.ts";
import { isBucketName } from "../object/names.ts";
import { openTargets, sealTargets } from "../object/sealed-targets.ts";
import { bucketNamed } from "./bucket-operations.ts";
import { type AdminCall, type AdminReply, emptyReply, jsonReply, textField } from "./call.ts";
import { AdminError } from "./errors.ts";
import { demandVersionedRemote, type RemoteBucket } from "./remote-probe.ts";

const TYPE = "replication";
const BANDWIDTH_MIN = 100_000_000;
const NEVER = "0001-01-01T00:00:00Z";
const ARN = /^arn:minio:[a-z]+:[^:]*:[^:]+:[^:]+$/;
const ENDPOINT = /^(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9.-]+)(:\d{1,5})?$/;

/** A stored target; fields of newer releases are kept. */
type Target = JsonObject;

async function targetsOf(call: AdminCall, bucket: Bucket): Promise<readonly Target[]> {
  const document = await openTargets(call.context.objects.transforms, bucket.name, bucket.metadata.documents);
  return document.length === 0 ? [] : parsed(document);
}

function parsed(document: Uint8Array): readonly Target[] {
  try {
    const json: unknown = JSON.parse(Buffer.from(document).toString("utf8"));
    const list = isObject(json) ? json["targets"] : null;
    return Array.isArray(list) ? list.filter(isObject) : [];
  } catch (error) {
    if (error instanceof SyntaxError) return [];
    throw error;
  }
}

/** By what is there then; `change` may throw. */
async function changeTargets(
  call: AdminCall,
  bucket: Bucket,
  change: (targets: readonly Target[], current: Bucket) => readonly Target[],
): Promise<void> {
  await call.context.buckets.changeDocuments(bucket, async (current) => {
    const targets = change(await targetsOf(call, current), current);
    const json = new TextEncoder().encode(targets.length === 0 ? "" : JSON.stringify({ targets }));
    return await sealTargets(call.context.objects.transforms, bucket.name, json);
  });
}

function notFound(): AdminError {
  return new AdminError("XMinioAdminRemoteTargetNotFoundError", "The remote target does not exist");
}

/** Without secrets. */
function shown(target: Target): JsonObject {
  const credentials = isObject(target["credentials"]) ? target["credentials"] : {};
  return { ...target, credentials: { accessKey: credentials["accessKey"] ?? "" } };
}

export async function listRemoteTargets(call: AdminCall): Promise<AdminReply> {
  const type = call.optional("type");
  const isOne = call.optional("bucket") !== "";
  const buckets = isOne ? [await bucketNamed(call)] : await call.context.buckets.list();
  const found: Target[] = [];
  for (const bucket of buckets) found.push(...(await targetsOf(call, bucket)));
  if (isOne && found.length === 0) throw notFound();
  return jsonReply(found.filter((target) => type === "" || target["type"] === type).map(shown));
}

export async function setRemoteTarget(call: AdminCall): Promise<AdminReply> {
  const bucket = await bucketNamed(call);
  const asked = await call.openedJson();
  if (call.optional("update") === "true") return await updateTarget(call, bucket, asked);
  const target = newTarget(bucket.name, asked);
  const same = (await targetsOf(call, bucket)).find((known) => isSame(known, target));
  if (same !== undefined) return jsonReply(same["arn"]);
  demandOther(call, bucket, target);
  await probe(call, bucket, target);
  const arn = `arn:minio:${TYPE}:${target["region"] ?? ""}:${call.context.rng.uuid()}:${textField(target, "targetbucket")}`;
  await changeTargets(call, bucket, (targets) => {
    demandFresh(targets, target, arn);
    return [...targets, inOrder({ ...target, arn })];
  });
  return jsonReply(arn);
}

/** The fields that the query names change, and no others. */
async function updateTarget(call: AdminCall, bucket: Bucket, asked: JsonObject): Promise<AdminReply> {
  const arn = textField(asked, "arn");
  if (arn === "") throw new AdminError("XMinioAdminConfigBadJSON", "The ARN of the remote target is missing.");
  const names = CHANGES.filter(([parameter]) => call.optional(parameter) === "true").flatMap(([, fields]) => fields);
  const merged = (known: Target): Target => {
    const fresh = { ...fieldsOf(asked), credentials: asked["credentials"] };
    return newTarget(bucket.name, {
      ...known,
      ...Object.fromEntries(names.map((name) => [name, fresh[name as keyof typeof fresh]])),
    });
  };
  const known = (await targetsOf(call, bucket)).find((target) => target["arn"] === arn);
  if (known === undefined) throw notFound();
  const changed = merged(known);
  demandOther(call, bucket, changed);
  await probe(call, bucket, changed);
  await changeTargets(call, bucket, (targets) => {
    const at = targets.findIndex((target) => target["arn"] === arn);
    if (at < 0) throw notFound();
    demandFresh(targets, changed, arn);
    return targets.with(at, inOrder({ ...merged(targets[at] as Target), arn }));
  });
  return jsonReply(arn);
}

const CHANGES: readonly (readonly [parameter: string, fields: readonly string[]])[] = [
  ["creds", ["credentials", "targetbucket", "secure", "endpoint"]],
  ["sync", ["replicationSync"]],
  ["proxy", ["disableProxy"]],
  ["bandwidth", ["bandwidthlimit"]],
  ["healthcheck", ["healthCheckDuration"]],
  ["path", ["path"]],
];

export async function removeRemoteTarget(call: AdminCall): Promise<AdminReply> {
  const bucket = await bucketNamed(call);
  const arn = call.parameter("arn");
  if (!ARN.test(arn))
    throw new AdminError("XMinioAdminRemoteArnInvalid", "The bucket remote ARN does not have correct format");
  await changeTargets(call, bucket, (targets, { metadata }) => {
    const left = targets.filter((target) => target["arn"] !== arn);
    if (left.length === targets.length) throw notFound();
    if (Buffer.from(metadata.documents.replication).toString("utf8").includes(arn))
      throw new AdminError("XMinioAdminRemoteRemoveDisallowed", "A replication rule uses this remote target.");
    return left;
  });
  return emptyReply(204);
}

/** Of an export, which is trusted: the targets are not asked whether they are there. Those that are there already stay. */
export async function importTargets(call: AdminCall, name: string, content: Uint8Array): Promise<void> {
  const bucket = await call.context.buckets.get(name);
  if (bucket === null) throw new AdminError("NoSuchBucket", "The specified bucket does not exist");
  const fresh = parsed(content).map((target) => inOrder(newTarget(name, target)));
  if (fresh.some((target) => !ARN.test(textField(target, "arn"))))
    throw new AdminError("XMinioAdminRemoteArnInvalid", "The ARN of a remote target is not one.");
  await changeTargets(call, bucket, (targets) => {
    const known = new Set(targets.map((target) => target["arn"]));
    return [...targets, ...fresh.filter((target) => !known.has(target["arn"]))];
  });
}

// ---- one target

/** Checked, with the fields that MinIO knows in their forms. */
function newTarget(bucket: string, asked: JsonObject): Target {
  const fields = fieldsOf(asked);
  if (fields.type !== TYPE)
    throw new AdminError("XMinioAdminRemoteARNTypeInvalid", "The bucket remote ARN type is not valid");
  const given = isObject(asked["credentials"]) ? asked["credentials"] : {};
  const [accessKey, secretKey, sessionToken] = ["accessKey", "secretKey", "sessionToken"].map((n) =>
    textField(given, n),
  );
  if (accessKey === "" || secretKey === "")
    throw new AdminError("XMinioAdminConfigBadJSON", "The credentials of the remote target are missing.");
  if (!ENDPOINT.test(fields.endpoint))
    throw new AdminError("XMinioAdminConfigBadJSON", "The endpoint of the remote target is no host and port.");
  if (!isBucketName(fields.targetbucket))
    throw new AdminError("XMinioAdminConfigBadJSON", "The bucket of the remote target has no valid name.");
  if (fields.bandwidthlimit > 0 && fields.bandwidthlimit < BANDWIDTH_MIN)
    throw new AdminError(
      "XMinioAdminReplicationBandwidthLimitError",
      "Bandwidth limit for remote target must be at least 100MBps",
    );
  const credentials = { accessKey, secretKey, ...(sessionToken === "" ? {} : { sessionToken }) };
  return { ...asked, ...fields, sourcebucket: bucket, credentials };
}

function fieldsOf(asked: JsonObject) {
  const number = (name: string): number => {
    const value = asked[name] ?? 0;
    if (typeof value !== "number" || !Number.isSafeInteger(value) || value < 0)
      throw new AdminError("XMinioAdminConfigBadJSON", `${name} is no number.`);
    return value;
  };
  const flag = (name: string): boolean => asked[name] === true;
  const path = textField(asked, "path");
  if (!["", "on", "off", "auto"].includes(path))
    throw new AdminError("XMinioAdminConfigBadJSON", "path is on, off or auto.");
  return {
    endpoint: textField(asked, "endpoint"),
    targetbucket: textField(asked, "targetbucket"),
    secure: flag("secure"),
    path,
    api: textField(asked, "api"),
    type: textField(asked, "type"),
    region: textField(asked, "region"),
    bandwidthlimit: number("bandwidthlimit"),
    replicationSync: flag("replicationSync"),
    storageclass: textField(asked, "storageclass"),
    healthCheckDuration: number("healthCheckDuration"),
    disableProxy: flag("disableProxy"),
    resetID: textField(asked, "resetID"),
    deploymentID: textField(asked, "deploymentID"),
  };
}

/** As MinIO writes it: its order, its optional fields left out when empty, what it keeps count of at zero. */
function inOrder(target: Target): Target {
  const optional = ["path", "api", "arn", "region", "bandwidthlimit", "storageclass", "healthCheckDuration", "resetID"];
  const all: JsonObject = {
    ...Object.fromEntries(ORDER.map((name) => [name, target[name]])),
    resetBeforeDate: target["resetBeforeDate"] ?? NEVER,
    totalDowntime: 0,
    lastOnline: NEVER,
    isOnline: false,
    latency: { curr: 0, avg: 0, max: 0 },
    edge: target["edge"] === true,
    edgeSyncBeforeExpiry: target["edgeSyncBeforeExpiry"] === true,
    offlineCount: 0,
  };
  const rest = Object.entries(target).filter(([name]) => !(name in all));
  const isUnset = (name: string, value: unknown): boolean =>
    [...optional, "deploymentID"].includes(name) && (value === "" || value === 0 || value === undefined);
  return Object.fromEntries([...Object.entries(all), ...rest].filter(([name, value]) => !isUnset(name, value)));
}
const ORDER = [
  "sourcebucket",
  "endpoint",
  "credentials",
  "targetbucket",
  "secure",
  "path",
  "api",
  "arn",
  "type",
  "region",
  "bandwidthlimit",
  "replicationSync",
  "storageclass",
  "healthCheckDuration",
  "disableProxy",
  "resetBeforeDate",
  "resetID",
  "totalDowntime",
  "lastOnline",
  "isOnline",
  "latency",
  "deploymentID",
  "edge",
  "edgeSyncBeforeExpiry",
  "offlineCount",
];

function isSame(known: Target, target: Target): boolean {
  const accessKeyOf = ({ credentials }: Target): unknown => (isObject(credentials) ? credentials["accessKey"] : null);
  return (
    ["type", "targetbucket", "endpoint", "secure"].every((name) => known[name] === target[name]) &&
    accessKeyOf(known) === accessKeyOf(target)
  );
}

/** One target for an endpoint, as in MinIO. */
function demandFresh(targets: readonly Target[], target: Target, arn: string): void {
  if (targets.some((known) => known["arn"] !== arn && known["endpoint"] === target["endpoint"]))
    throw new AdminError("XMinioAdminBucketRemoteAlreadyExists", "The remote target already exists");
}

/** A bucket is no target of itself. */
function demandOther(call: AdminCall, bucket: Bucket, target: Target): void {
  const port = (address: string): string => /:(\d+)$/.exec(address)?.[1] ?? "";
  const host = (address: string): string => address.replace(/:\d+$/, "").toLowerCase();
  const own = call.context.server.endpoint;
  const endpoint = textField(target, "endpoint");
  const isHere =
    port(endpoint) === port(own) && [host(own), "localhost", "127.0.0.1", "[::1]"].includes(host(endpoint));
  if (isHere && target["targetbucket"] === bucket.name)
    throw new AdminError("XMinioAdminRemoteIdenticalToSource", "The remote target cannot be identical to source");
}

async function probe(call: AdminCall, bucket: Bucket, target: Target): Promise<void> {
  if (bucket.versioning.status !== "Enabled")
    throw new AdminError(
      "ReplicationSourceNotVersionedError",
      "The replication source does not have versioning enabled",
    );
  const credentials = (target["credentials"] ?? {}) as JsonObject;
  const of = (name: string): string => textField(credentials, name);
  const remote: RemoteBucket = {
    secure: target["secure"] === true,
    endpoint: textField(target, "endpoint"),
    bucket: textField(target, "targetbucket"),
    region: textField(target, "region"),
    credentials: { accessKey: of("accessKey"), secretKey: of("secretKey"), sessionToken: of("sessionToken") },
  };
  await demandVersionedRemote(call.context.httpCall, call.context.clock.nowMs(), remote);
}
