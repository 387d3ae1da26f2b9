/**
 * What MinIO's client sent to a MinIO server and what that answered, recorded: the same requests, signed and sealed anew, must get
 * answers of the same shape: status, error code, names and types of fields. Needs the fixtures (SHERD_FIXTURES).
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { AdminClient } from "./admin-client.ts";
import { type S3Server, startServer } from "./server.ts";

const FOLDER = join(process.env["SHERD_FIXTURES"] ?? join(import.meta.dir, "../../../shared/fixtures"), "admin");
const isThere = existsSync(FOLDER);

interface Recorded {
  readonly request: {
    readonly method: string;
    readonly target: string;
    readonly headers: Readonly<Record<string, string>>;
    readonly plain?: unknown;
    readonly encrypted_base64?: string;
  };
  readonly response: {
    readonly status: number;
    readonly headers: Readonly<Record<string, string>>;
    readonly plain?: unknown;
  };
}

/** In the order in which they were made: later ones need what earlier ones did. */
const SCENARIO = [
  "policy-create",
  "policy-list",
  "policy-info",
  "user-add",
  "user-list",
  "user-info",
  "policy-attach",
  "policy-attach-again",
  "policy-entities",
  "policy-detach",
  "user-disable",
  "user-enable",
  "group-add",
  "group-info",
  "group-list",
  "accesskey-create",
  "accesskey-list",
  "accesskey-info",
  "accesskey-edit",
  "accesskey-remove",
  "svcacct-list",
  "group-disable",
  "service-account-own",
  "service-account-own-rm",
  "config-get",
  "config-set",
  "config-set-bad",
  "config-help",
  "config-history",
  "config-reset",
  "quota-set",
  "quota-info",
  "quota-clear",
  "info",
  "storageinfo",
  "datausageinfo",
  "accountinfo",
  "idp-openid-list",
  "service-dry",
  "iam-export",
  "bucket-export",
  "user-remove",
  "user-remove-missing",
  "unknown-version",
];
/** Fields of MinIO's that say nothing here: of its runtime, of what is asked only of it, and those that are there by chance. */
const NOT_OURS =
  /^(127\.0\.0\.1:\d+|minioadmin|gc_stats|go_max_procs|runtime_version|minio_env_vars|commitID|kmsStatus|apiCalls|cacheStats|tags|BETWEEN_.*|healing|license|capacity|freeCapacity|usedCapacity|tierStats)$/;

let s3: S3Server;
let root: AdminClient;
beforeAll(async () => {
  s3 = await startServer({ MINIO_SITE_NAME: "" });
  root = new AdminClient(s3);
  for (const bucket of ["fixbucket", "second"]) await s3.call("PUT", `/${bucket}`);
  await s3.call("PUT", "/fixbucket/k", { body: "content" });
});
afterAll(() => s3.stop());

/** Where the second lacks what the first has, or has another type. */
function differences(wanted: unknown, found: unknown, path = "answer"): string[] {
  const kind = (value: unknown): string => (Array.isArray(value) ? "list" : value === null ? "null" : typeof value);
  if (wanted === null || found === null) return []; // Go writes null for an empty list
  if (kind(wanted) !== kind(found)) return [`${path}: ${kind(wanted)} is wanted, not ${kind(found)}`];
  if (Array.isArray(wanted))
    return wanted.length === 0 || (found as unknown[]).length === 0
      ? []
      : differences(wanted[0], (found as unknown[])[0], `${path}[]`);
  if (typeof wanted !== "object") return [];
  return Object.entries(wanted).flatMap(([name, value]) => {
    if (NOT_OURS.test(name)) return [];
    const other = (found as Record<string, unknown>)[name];
    return other === undefined ? [`${path}.${name} is missing`] : differences(value, other, `${path}.${name}`);
  });
}

test.skipIf(!isThere).each(SCENARIO)("%s is answered as MinIO did", async (name) => {
  const { exchanges } = JSON.parse(readFileSync(join(FOLDER, `${name}.json`), "utf8")) as { exchanges: Recorded[] };
  for (const { request, response } of exchanges) {
    const [path = "", query = ""] = request.target.split("?");
    if (!path.startsWith("/minio/admin/")) continue;
    const body =
      request.plain === undefined
        ? {}
        : request.encrypted_base64 === undefined
          ? { plain: request.plain }
          : { sealed: request.plain };
    const mapped = query.replaceAll("minioadmin", root.keys.user);
    const options = { ...body, ...(mapped === "" ? {} : { query: mapped }) };
    const answer = path.startsWith("/minio/admin/v3/")
      ? await root.call(request.method, path.slice("/minio/admin/v3/".length), options)
      : await s3.call(request.method, path, options);
    expect([path, answer.status]).toEqual([path, response.status]);
    const wanted = response.plain as { Code?: string } | undefined;
    if (answer.status >= 400) expect(answer.text).toContain(`"Code":"${wanted?.Code}"`);
    else if (wanted !== undefined && "json" in answer) expect(differences(wanted, answer.json)).toEqual([]);
    if (response.headers["x-minio-config-applied"] !== undefined)
      expect(answer.headers.get("x-minio-config-applied")).toBe(response.headers["x-minio-config-applied"]);
  }
});
