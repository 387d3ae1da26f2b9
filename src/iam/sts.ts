/**
 * The Security Token Service: temporary keys for who signs, and for whom a provider vouches. Throws StsError. Source: s3-api.md §6.3.
 */
import { OperatingError } from "../core/errors.ts";
import type { LdapDirectory } from "../sys/ldap-directory.ts";
import { LdapError } from "../sys/ldap-directory.ts";
import type { ClientCertificate } from "../sys/tls-listener.ts";
import type { JsonObject, StoredIdentity } from "./documents.ts";
import type { IamStore } from "./iam-store.ts";
import { normalDn } from "./ldap.ts";
import { claimedPolicies, type OpenIdProviders, ProviderError, type Vouched } from "./openid.ts";
import { judge } from "./policy.ts";
import type { Principal } from "./principal.ts";
import { addSession, foreignClaims, sessionEnd } from "./sessions.ts";

export type StsErrorCode =
  | "AccessDenied"
  | "MissingParameter"
  | "InvalidParameterValue"
  | "ExpiredToken"
  | "InvalidClientGrantsToken"
  | "MalformedPolicyDocument"
  | "InsecureConnection"
  | "InvalidClientCertificate"
  | "STSNotInitialized";
export class StsError extends OperatingError<StsErrorCode> {}

export interface StsProviders {
  readonly openId: OpenIdProviders;
  /** null = none is configured. */
  readonly ldap: LdapDirectory | null;
  /** May client certificates be exchanged for keys? */
  readonly certificates: boolean;
}

/** Parameters that all actions have. */
export interface SessionRequest {
  readonly duration: string;
  readonly policy: string;
  readonly tokenRevokeType: string;
}

export interface StsMeans {
  readonly iam: IamStore;
  readonly providers: StsProviders;
}

const unsupported = (action: string): StsError => new StsError("InvalidParameterValue", `Unsupported action ${action}`);

export async function assumeRole(
  { iam }: StsMeans,
  principal: Principal,
  request: SessionRequest,
): Promise<StoredIdentity> {
  if (principal.kind !== "root" && principal.kind !== "user")
    throw new StsError("AccessDenied", "Temporary keys and service accounts make no temporary keys.");
  return await addSession(iam, {
    ...request,
    parent: principal.userName,
    groups: [],
    claims: {},
    expiresMs: sessionEnd(request.duration, iam.options.clock.nowMs()),
    attach: null,
  });
}

export async function assumeRoleWithWebIdentity(
  { iam, providers }: StsMeans,
  from: { readonly action: string; readonly token: string; readonly accessToken: string; readonly roleArn: string },
  request: SessionRequest,
): Promise<{ readonly identity: StoredIdentity; readonly subject: string }> {
  if (providers.openId.isEmpty) throw unsupported(from.action);
  if (from.token === "") throw new StsError("MissingParameter", "The token is missing.");
  const vouched = await verified(providers.openId, from);
  const { role, claimName } = vouched.config;
  const { state } = iam;
  const named = role === null ? claimedPolicies(vouched.claims, claimName) : role.policies;
  if (named.length === 0)
    throw new StsError(
      "InvalidParameterValue",
      `${claimName} claim missing from the JWT token, credentials will not be generated`,
    );
  const policies = named.filter((name) => state.policies.has(name));
  if (policies.length === 0)
    throw new StsError(
      "InvalidParameterValue",
      `None of the given policies (\`${named.join(",")}\`) are defined, credentials will not be generated`,
    );
  const claims: JsonObject = foreignClaims(vouched.claims);
  demandNotDenied(iam, policies, request);
  const identity = await addSession(iam, {
    ...request,
    parent: vouched.parent,
    groups: [],
    claims: role === null ? { ...claims, [claimName]: policies.join(",") } : { ...claims, roleArn: role.arn },
    expiresMs: sessionEnd(request.duration, iam.options.clock.nowMs(), vouched.expiresMs),
    attach: role === null ? policies : null,
  });
  return { identity, subject: vouched.subject };
}

async function verified(
  openId: OpenIdProviders,
  from: { readonly action: string; readonly token: string; readonly accessToken: string; readonly roleArn: string },
): Promise<Vouched> {
  try {
    return await openId.verify(from.token, from.roleArn, from.accessToken);
  } catch (cause) {
    if (!(cause instanceof ProviderError)) throw cause;
    const code =
      cause.code === "Expired"
        ? "ExpiredToken"
        : cause.code === "Unreachable"
          ? "STSNotInitialized"
          : "InvalidParameterValue";
    throw new StsError(code, cause.message, {}, { cause });
  }
}

/** A policy may limit how long a session of its own lasts. */
function demandNotDenied(iam: IamStore, names: readonly string[], request: SessionRequest): void {
  const seconds = request.duration === "" ? "3600" : request.duration;
  const values = { get: (key: string) => (key === "sts:durationseconds" ? [seconds] : undefined) };
  const question = { action: "sts:AssumeRoleWithWebIdentity", resource: "", principalNames: [], values };
  if (judge(iam.known.policiesNamed(names), question) === "deny")
    throw new StsError("AccessDenied", "this user does not have enough permission");
}

export async function assumeRoleWithLdapIdentity(
  { iam, providers }: StsMeans,
  from: { readonly action: string; readonly name: string; readonly password: string },
  request: SessionRequest,
): Promise<StoredIdentity> {
  const { ldap } = providers;
  if (ldap === null) throw unsupported(from.action);
  if (from.name === "" || from.password === "")
    throw new StsError("MissingParameter", "LDAPUsername and LDAPPassword cannot be empty");
  const expiresMs = sessionEnd(request.duration, iam.options.clock.nowMs());
  const user = await loggedIn(ldap, from.name, from.password);
  if (user === null) throw new StsError("AccessDenied", "The LDAP server knows no such user with this password.");
  const dn = normalDn(user.dn);
  const groups = user.groups.map(normalDn);
  const names = iam.known.policyNamesOf(dn, groups);
  if (names === null || names.length === 0)
    throw new StsError("AccessDenied", `No policy is attached to the user ${user.dn} or one of its groups.`);
  const claims = { ldapUser: dn, ldapActualUser: user.dn, ldapUsername: from.name };
  return await addSession(iam, { ...request, parent: dn, groups, claims, expiresMs, attach: null });
}

async function loggedIn(ldap: LdapDirectory, name: string, password: string): ReturnType<LdapDirectory["login"]> {
  try {
    return await ldap.login(name, password);
  } catch (cause) {
    if (!(cause instanceof LdapError)) throw cause;
    throw new StsError("STSNotInitialized", cause.message, {}, { cause });
  }
}

export async function assumeRoleWithCertificate(
  { iam, providers }: StsMeans,
  from: { readonly action: string; readonly isTls: boolean; readonly certificate: ClientCertificate | null },
  request: SessionRequest,
): Promise<StoredIdentity> {
  if (!providers.certificates) throw unsupported(from.action);
  if (!from.isTls) throw new StsError("InsecureConnection", "Certificates are shown over TLS only.");
  const { certificate } = from;
  if (certificate === null) throw new StsError("MissingParameter", "No client certificate provided");
  if (!certificate.isTrusted)
    throw new StsError("InvalidClientCertificate", "The client's certificate is not one that is trusted for clients.");
  const name = certificate.commonName;
  if (name === "") throw new StsError("MissingParameter", "certificate subject CN cannot be empty");
  if (!iam.state.policies.has(name))
    throw new StsError("InvalidParameterValue", `There is no policy with the name of the certificate, ${name}.`);
  const expiresMs = sessionEnd(request.duration, iam.options.clock.nowMs(), certificate.expiresMs);
  return await addSession(iam, {
    ...request,
    parent: `tls:${name}`,
    groups: [],
    claims: {},
    expiresMs,
    attach: [name],
  });
}
