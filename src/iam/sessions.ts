/**
 * Temporary keys: a session of a user, of root, or of somebody whom another provider vouches for. Stored as MinIO stores them, so
 * that they hold after a restart; signed with root's secret, so that they end with it. Throws IamError. Source: s3-api.md §6.3.
 */
import type { JsonObject, StoredIdentity } from "./documents.ts";
import { IamError } from "./iam-error.ts";
import type { IamStore } from "./iam-store.ts";
import { newAccessKey, newSecretKey } from "./key-text.ts";
import { policyDocument } from "./policies.ts";
import { signToken } from "./session-token.ts";

const SESSION_POLICY_BYTES_MAX = 2048;
export const SESSION_SECONDS = { min: 900, max: 31_536_000, usual: 3600 } as const;
/** What a provider's token must not say about our own keys. */
const OURS: ReadonlySet<string> = new Set([
  "accessKey",
  "parent",
  "sessionPolicy",
  "sa-policy",
  "roleArn",
  "tokenRevokeType",
  "ldapUser",
  "ldapActualUser",
  "ldapUsername",
]);

export interface NewSession {
  readonly parent: string;
  /** Of the provider. */
  readonly groups: readonly string[];
  readonly claims: JsonObject;
  readonly expiresMs: number;
  /** Text of a policy that restricts the session; "" = none. */
  readonly policy: string;
  readonly tokenRevokeType: string;
  /** Attached to the parent, whom only its provider knows; null = nothing. */
  readonly attach: readonly string[] | null;
}

export async function addSession(iam: IamStore, wanted: NewSession): Promise<StoredIdentity> {
  const { clock, rng, root } = iam.options;
  const accessKey = newAccessKey(rng);
  const expiresS = Math.floor(wanted.expiresMs / 1000);
  const claims: JsonObject = {
    ...wanted.claims,
    ...(wanted.policy === "" ? {} : { sessionPolicy: encodedPolicy(wanted.policy) }),
    ...(wanted.tokenRevokeType === "" ? {} : { tokenRevokeType: wanted.tokenRevokeType }),
    accessKey,
    exp: expiresS,
    parent: wanted.parent,
  };
  const identity: StoredIdentity = {
    accessKey,
    secretKey: newSecretKey(rng),
    sessionToken: signToken(claims, root.secretKey),
    expiresNs: BigInt(expiresS) * 1_000_000_000n,
    isEnabled: true,
    parentUser: wanted.parent,
    groups: wanted.groups,
    claims: {},
    name: "",
    description: "",
    updatedNs: clock.nowNs(),
  };
  await iam.change(async () => {
    if (wanted.attach !== null)
      await iam.putMapping("sts", wanted.parent, { policies: wanted.attach, updatedNs: clock.nowNs() });
    await iam.putIdentity("sts", identity);
  });
  return identity;
}

/** A provider's claims without those that would speak for us. */
export function foreignClaims(claims: JsonObject): JsonObject {
  return Object.fromEntries(Object.entries(claims).filter(([name]) => !OURS.has(name)));
}

function encodedPolicy(text: string): string {
  const document = policyDocument(text);
  if (typeof document["Version"] !== "string" || document["Version"] === "")
    throw new IamError("MalformedPolicy", "Version cannot be empty expecting '2012-10-17'");
  const json = JSON.stringify(document);
  if (Buffer.byteLength(json) > SESSION_POLICY_BYTES_MAX)
    throw new IamError("PolicyTooLarge", `A session policy has at most ${SESSION_POLICY_BYTES_MAX} bytes.`);
  return Buffer.from(json).toString("base64");
}

/** Seconds as text -> when the session ends; "" = the usual time. Not after `latestMs`. */
export function sessionEnd(duration: string, nowMs: number, latestMs: number | null = null): number {
  const seconds = duration === "" ? SESSION_SECONDS.usual : Number(duration);
  if (!Number.isInteger(seconds) || seconds < SESSION_SECONDS.min || seconds > SESSION_SECONDS.max)
    throw new IamError(
      "InvalidArgument",
      `DurationSeconds is a number from ${SESSION_SECONDS.min} to ${SESSION_SECONDS.max}.`,
    );
  const end = nowMs + seconds * 1000;
  return latestMs === null ? end : Math.min(end, latestMs);
}
