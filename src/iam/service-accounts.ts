/**
 * Service accounts: keys that a user, root or a provider's identity has beside its own, restricted by an inline policy or not.
 * Throws IamError. Source: admin API §3.3.
 */
import type { JsonObject, StoredIdentity } from "./documents.ts";
import { tokenClaims } from "./documents.ts";
import { IamError } from "./iam-error.ts";
import type { IamState } from "./iam-state.ts";
import type { IamStore } from "./iam-store.ts";
import { newAccessKey, newSecretKey } from "./key-text.ts";
import { policyDocument } from "./policies.ts";
import { saysNothing } from "./principals.ts";
import { signToken } from "./session-token.ts";
import { demandAccessKey, demandSecretKey } from "./users.ts";

const INLINE_BYTES_MAX = 4096;
const EXPIRES_MIN_MS = 15 * 60_000;
const EXPIRES_MAX_MS = 365 * 24 * 3_600_000;
const NAME_MAX = 32;
const DESCRIPTION_MAX = 256;

export interface NewServiceAccount {
  readonly parent: string;
  readonly groups: readonly string[];
  /** Of the provider that the parent comes from. */
  readonly claims: JsonObject;
  /** "" = to be made; both or none. */
  readonly accessKey: string;
  readonly secretKey: string;
  /** null = what the parent has. */
  readonly inlinePolicy: JsonObject | null;
  readonly name: string;
  readonly description: string;
  /** null = never. */
  readonly expiresNs: bigint | null;
}

export async function addServiceAccount(iam: IamStore, wanted: NewServiceAccount): Promise<StoredIdentity> {
  const { clock, rng, root } = iam.options;
  if ((wanted.accessKey === "") !== (wanted.secretKey === ""))
    throw new IamError(
      wanted.accessKey === "" ? "InvalidAccessKey" : "InvalidSecretKey",
      "Access key and secret key are given together or not at all.",
    );
  const accessKey = wanted.accessKey || newAccessKey(rng);
  const secretKey = wanted.secretKey || newSecretKey(rng);
  demandAccessKey(accessKey);
  demandSecretKey(secretKey);
  demandWords(wanted.name, wanted.description);
  demandExpiry(wanted.expiresNs, clock.nowMs());
  if (accessKey === wanted.parent || accessKey === root.accessKey)
    throw new IamError("ActionNotAllowed", "A service account cannot have the access key of its parent or of root.");
  const claims = { ...wanted.claims, parent: wanted.parent, accessKey, ...policyClaims(wanted.inlinePolicy) };
  const identity: StoredIdentity = {
    accessKey,
    secretKey,
    sessionToken: signToken(claims, secretKey),
    expiresNs: wanted.expiresNs,
    isEnabled: true,
    parentUser: wanted.parent,
    groups: wanted.groups,
    claims,
    name: wanted.name,
    description: wanted.description,
    updatedNs: clock.nowNs(),
  };
  await iam.change(async (state) => {
    if (state.find(accessKey) !== null) throw new IamError("NameInUse", "The access key is in use already.");
    await iam.putIdentity("service", identity);
  });
  return identity;
}

export interface ServiceAccountChange {
  /** What is not given stays. */
  readonly inlinePolicy?: JsonObject | null;
  readonly secretKey?: string;
  readonly isEnabled?: boolean;
  readonly name?: string;
  readonly description?: string;
  readonly expiresNs?: bigint | null;
}

export async function updateServiceAccount(
  iam: IamStore,
  accessKey: string,
  change: ServiceAccountChange,
): Promise<void> {
  const { clock } = iam.options;
  if (change.secretKey !== undefined) demandSecretKey(change.secretKey);
  demandWords(change.name ?? "", change.description ?? "");
  if (change.expiresNs !== undefined) demandExpiry(change.expiresNs, clock.nowMs());
  await iam.change(async (state) => {
    const known = demandServiceAccount(state, accessKey);
    const secretKey = change.secretKey ?? known.secretKey;
    const { sessionPolicy, ...rest } = { ...tokenClaims(known.sessionToken), ...known.claims } as Record<
      string,
      unknown
    >;
    const kept = sessionPolicy === undefined ? {} : { sessionPolicy };
    const policy = change.inlinePolicy === undefined ? kept : policyClaims(change.inlinePolicy);
    const claims = { ...rest, ...policy };
    await iam.putIdentity("service", {
      ...known,
      secretKey,
      claims,
      sessionToken: signToken(claims, secretKey),
      isEnabled: change.isEnabled ?? known.isEnabled,
      name: change.name ?? known.name,
      description: change.description ?? known.description,
      expiresNs: change.expiresNs === undefined ? known.expiresNs : change.expiresNs,
      updatedNs: clock.nowNs(),
    });
  });
}

export async function removeServiceAccount(iam: IamStore, accessKey: string): Promise<void> {
  await iam.change(async (state) => {
    demandServiceAccount(state, accessKey);
    await iam.dropIdentity("service", accessKey);
  });
}

export function demandServiceAccount(state: IamState, accessKey: string): StoredIdentity {
  const known = state.identities.service.get(accessKey);
  if (known === undefined) throw new IamError("NoSuchAccessKey", "The specified service account is not found.");
  return known;
}

/** An inline policy as it was sent; null = none, or one that says nothing. */
export function inlinePolicy(value: unknown): JsonObject | null {
  if (value === undefined || value === null) return null;
  const document = typeof value === "object" ? (value as JsonObject) : { value };
  return saysNothing(document) ? null : policyDocument(JSON.stringify(value));
}

function policyClaims(document: JsonObject | null): JsonObject {
  if (document === null) return { "sa-policy": "inherited-policy" };
  const text = JSON.stringify(document);
  if (Buffer.byteLength(text) > INLINE_BYTES_MAX)
    throw new IamError("PolicyTooLarge", `An inline policy has at most ${INLINE_BYTES_MAX} bytes.`);
  return { "sa-policy": "embedded-policy", sessionPolicy: Buffer.from(text).toString("base64") };
}

function demandWords(name: string, description: string): void {
  if (name !== "" && (name.length > NAME_MAX || !/^[A-Za-z][A-Za-z0-9_ -]*$/.test(name)))
    throw new IamError(
      "InvalidArgument",
      `A name has up to ${NAME_MAX} ASCII letters, digits, blanks, "_" and "-", and begins with a letter.`,
    );
  if (description.length > DESCRIPTION_MAX)
    throw new IamError("InvalidArgument", `A description has at most ${DESCRIPTION_MAX} characters.`);
}

function demandExpiry(expiresNs: bigint | null, nowMs: number): void {
  if (expiresNs === null) return;
  const left = Number(expiresNs / 1_000_000n) - nowMs;
  if (left < EXPIRES_MIN_MS || left > EXPIRES_MAX_MS)
    throw new IamError("InvalidArgument", "An expiration is between 15 minutes and 365 days from now.");
}
