/**
 * OpenID Connect providers: who a token says its bearer is. Discovery and keys are fetched when they are needed and kept; keys again
 * when a token names one that is not known, at most every few seconds. Only asymmetric signatures count. Throws ProviderError.
 * Source: s3-api.md §6.3, admin API §5.
 */
import { createHash } from "node:crypto";
import { createLocalJWKSet, errors, type JSONWebKeySet, type JWTPayload, jwtVerify } from "jose";
import { OperatingError } from "../core/errors.ts";
import type { Clock } from "../sys/clock.ts";
import { FetchError, type FetchJson } from "../sys/fetch-json.ts";
import { isObject, type JsonObject, policyNames } from "./documents.ts";

export class ProviderError extends OperatingError<"NoProvider" | "Refused" | "Expired" | "Unreachable"> {}

const ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"];
const REFETCH_MS = 10_000;
const KEPT_MS = 3_600_000;
const TOKEN_CHARS_MAX = 64 * 1024;

export interface OpenIdConfig {
  readonly name: string;
  readonly configUrl: string;
  readonly clientId: string;
  /** Claim that names policies, with its prefix. */
  readonly claimName: string;
  /** null = policies come from the claim. */
  readonly role: { readonly arn: string; readonly policies: readonly string[] } | null;
  readonly takesUserInfo: boolean;
}

export interface Vouched {
  readonly config: OpenIdConfig;
  readonly claims: JsonObject;
  readonly subject: string;
  /** The same for the same person at the same provider. */
  readonly parent: string;
  readonly expiresMs: number;
}

/** From the values of the sub-system `identity_openid`; null = none is configured under this name. */
export function openIdConfig(name: string, values: ReadonlyMap<string, string>): OpenIdConfig | null {
  const value = (key: string): string => values.get(key) ?? "";
  const clientId = value("client_id");
  if (value("config_url") === "" || clientId === "" || value("enable") === "off") return null;
  const policies = policyNames(value("role_policy"));
  const id = createHash("sha1").update(clientId).digest("base64url");
  return {
    name,
    configUrl: value("config_url"),
    clientId,
    claimName: value("claim_prefix") + (value("claim_name") || "policy"),
    role: policies.length === 0 ? null : { arn: `arn:minio:iam:::role/${id}`, policies },
    takesUserInfo: value("claim_userinfo") === "on",
  };
}

export class OpenIdProviders {
  private readonly byName: readonly Provider[];

  constructor(configs: readonly OpenIdConfig[], fetchJson: FetchJson, clock: Clock) {
    this.byName = configs.map((config) => new Provider(config, fetchJson, clock));
  }

  get isEmpty(): boolean {
    return this.byName.length === 0;
  }

  /** Role ARN -> policies. */
  get roles(): ReadonlyMap<string, readonly string[]> {
    return new Map(this.byName.flatMap(({ config: { role } }) => (role === null ? [] : [[role.arn, role.policies]])));
  }

  /** By the provider of the role, else by the one that works with claims. */
  async verify(token: string, roleArn: string, accessToken: string): Promise<Vouched> {
    const byRole = this.byName.find(({ config }) => config.role !== null && config.role.arn === roleArn);
    const provider = byRole ?? this.byName.find(({ config }) => config.role === null);
    if (provider === undefined) throw new ProviderError("NoProvider", `Role ${roleArn.slice(0, 100)} does not exist`);
    return await provider.verify(token, accessToken);
  }
}

interface Discovered {
  readonly issuer: string;
  readonly jwksUri: string;
  readonly userInfoUri: string;
  readonly untilMs: number;
}

class Provider {
  private discovered: Discovered | null = null;
  private keys: ReturnType<typeof createLocalJWKSet> | null = null;
  private keysAtMs = Number.NEGATIVE_INFINITY;

  constructor(
    readonly config: OpenIdConfig,
    private readonly fetchJson: FetchJson,
    private readonly clock: Clock,
  ) {}

  async verify(token: string, accessToken: string): Promise<Vouched> {
    if (token.length > TOKEN_CHARS_MAX) throw new ProviderError("Refused", "The token is too long.");
    const discovered = await this.discover();
    const claims = await this.signedClaims(token, discovered);
    const { sub, exp } = claims;
    if (typeof sub !== "string" || sub === "")
      throw new ProviderError("Refused", "STS JWT Token has `sub` claim missing, `sub` claim is mandatory");
    if (typeof exp !== "number") throw new ProviderError("Refused", "The token has no `exp` claim.");
    this.demandAudience(claims);
    const more =
      this.config.takesUserInfo && accessToken !== "" ? await this.userInfo(discovered, sub, accessToken) : {};
    const parent = createHash("sha256").update(`openid:${sub}:${discovered.issuer}`).digest("base64url");
    return { config: this.config, claims: { ...more, ...claims }, subject: sub, parent, expiresMs: exp * 1000 };
  }

  private async signedClaims(token: string, discovered: Discovered): Promise<JWTPayload> {
    try {
      return await this.checked(token, discovered);
    } catch (error) {
      // Keys are changed now and then: a token may be signed with one that came after the last look.
      if (!(error instanceof errors.JWKSNoMatchingKey) || this.clock.elapsedMs() - this.keysAtMs < REFETCH_MS)
        throw refused(error);
      this.keys = null;
    }
    try {
      return await this.checked(token, discovered);
    } catch (error) {
      throw refused(error);
    }
  }

  private async checked(token: string, discovered: Discovered): Promise<JWTPayload> {
    const { payload } = await jwtVerify(token, await this.keySet(discovered), {
      algorithms: ALGORITHMS,
      issuer: discovered.issuer,
      currentDate: new Date(this.clock.nowMs()),
    });
    return payload;
  }

  private demandAudience({ aud, azp }: JWTPayload): void {
    const { clientId } = this.config;
    const audiences = Array.isArray(aud) ? aud : [aud];
    if (!audiences.includes(clientId) && azp !== clientId)
      throw new ProviderError("Refused", "Neither `aud` nor `azp` of the token is the configured client.");
  }

  private async discover(): Promise<Discovered> {
    if (this.discovered !== null && this.discovered.untilMs > this.clock.elapsedMs()) return this.discovered;
    const document = await this.fetched(this.config.configUrl);
    const text = (name: string): string => (typeof document[name] === "string" ? document[name] : "");
    if (text("issuer") === "" || text("jwks_uri") === "")
      throw new ProviderError("Unreachable", "The provider's discovery document names no issuer or keys.");
    const untilMs = this.clock.elapsedMs() + KEPT_MS;
    this.discovered = {
      issuer: text("issuer"),
      jwksUri: text("jwks_uri"),
      userInfoUri: text("userinfo_endpoint"),
      untilMs,
    };
    return this.discovered;
  }

  private async keySet({ jwksUri }: Discovered): Promise<ReturnType<typeof createLocalJWKSet>> {
    if (this.keys !== null && this.clock.elapsedMs() - this.keysAtMs < KEPT_MS) return this.keys;
    const document = await this.fetched(jwksUri);
    if (!Array.isArray(document["keys"])) throw new ProviderError("Unreachable", "The provider's keys cannot be read.");
    this.keys = createLocalJWKSet(document as unknown as JSONWebKeySet);
    this.keysAtMs = this.clock.elapsedMs();
    return this.keys;
  }

  private async userInfo({ userInfoUri }: Discovered, subject: string, accessToken: string): Promise<JsonObject> {
    if (userInfoUri === "") throw new ProviderError("Unreachable", "The provider names no place for user information.");
    const found = await this.fetched(userInfoUri, { authorization: `Bearer ${accessToken}` });
    if (found["sub"] !== subject) throw new ProviderError("Refused", "The access token is that of somebody else.");
    return found;
  }

  private async fetched(url: string, headers?: Readonly<Record<string, string>>): Promise<JsonObject> {
    try {
      const document = await this.fetchJson(url, headers);
      if (isObject(document)) return document;
      throw new ProviderError("Unreachable", "The provider answers with something else than an object.");
    } catch (cause) {
      if (!(cause instanceof FetchError)) throw cause;
      throw new ProviderError("Unreachable", cause.message, {}, { cause });
    }
  }
}

function refused(error: unknown): unknown {
  if (error instanceof errors.JWTExpired) return new ProviderError("Expired", "The token is expired.");
  if (error instanceof errors.JOSEError)
    return new ProviderError("Refused", `The token is not valid: ${error.message}`, {}, { cause: error });
  // Malformed keys and signatures of a token are its fault, too.
  if (error instanceof TypeError || (error instanceof Error && error.name === "DataError"))
    return new ProviderError("Refused", "The token cannot be verified.", {}, { cause: error });
  return error;
}

/** Policies that a claim names: text with commas, or a list. */
export function claimedPolicies(claims: JsonObject, claimName: string): readonly string[] {
  const value = claims[claimName];
  if (typeof value === "string") return policyNames(value);
  return Array.isArray(value) ? policyNames(value.filter((entry) => typeof entry === "string").join(",")) : [];
}
