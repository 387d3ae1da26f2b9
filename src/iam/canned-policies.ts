/** The policies that every deployment has under these names, as long as nobody stores another one. Source: s3-api.md §4.15. */
import type { JsonObject } from "./documents.ts";

const allow = (Action: readonly string[], Resource: readonly string[] = ["arn:aws:s3:::*"]): JsonObject =>
  Resource.length === 0 ? { Effect: "Allow", Action } : { Effect: "Allow", Action, Resource };
const policy = (...Statement: readonly JsonObject[]): JsonObject => ({ Version: "2012-10-17", Statement });

export const CONSOLE_ADMIN = "consoleAdmin";

export const CANNED_POLICIES: ReadonlyMap<string, JsonObject> = new Map([
  ["readwrite", policy(allow(["s3:*"]))],
  ["readonly", policy(allow(["s3:GetBucketLocation", "s3:GetObject"]))],
  ["writeonly", policy(allow(["s3:PutObject"]))],
  [
    "diagnostics",
    policy(
      allow([
        "admin:BandwidthMonitor",
        "admin:ConsoleLog",
        "admin:OBDInfo",
        "admin:Profiling",
        "admin:Prometheus",
        "admin:ServerInfo",
        "admin:ServerTrace",
        "admin:TopLocksInfo",
      ]),
    ),
  ],
  [CONSOLE_ADMIN, policy(allow(["admin:*"], []), allow(["kms:*"], []), allow(["s3:*"]))],
]);

/** Is it the one that everybody has, not one that was stored under its name? */
export function isCanned(name: string, document: JsonObject): boolean {
  return CANNED_POLICIES.get(name) === document;
}
