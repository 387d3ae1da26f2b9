/**
 * What a request offers to the conditions and variables of policies, found when it is asked for: every key of s3-api.md
 * §4.15. The address is the connection's: forwarding headers can be written by anyone. Times in ms.
 */
import type { ConditionValues } from "../iam/policy-text.ts";
import type { Principal } from "../iam/principal.ts";
import type { HttpRequest } from "../sys/http.ts";
import type { Identity } from "./authenticate.ts";
import { decodeTags } from "./headers.ts";

export interface RequestFacts {
  readonly request: HttpRequest;
  readonly query: ReadonlyMap<string, string>;
  readonly identity: Identity;
  readonly region: string;
  readonly nowMs: () => number;
  /** A header, or of presigned URLs the query. */
  readonly parameter: (name: string) => string | undefined;
}

type Values = readonly string[] | undefined;
const DAY_MS = 86_400_000;
const EXISTING_TAG = "s3:existingobjecttag/";
const REQUEST_TAG = "s3:requestobjecttag/";

const NO_TAGS: ReadonlyMap<string, string> = new Map();

export class RequestValues implements ConditionValues {
  /** Made when a policy asks for something. */
  private found: Map<string, Values> | null = null;
  private existingTags = NO_TAGS;
  private requestTags: ReadonlyMap<string, string> | null = null;

  constructor(private readonly facts: RequestFacts) {}

  /** The same request with the tags of the object that is asked about. */
  withExistingTags(tagging: string): RequestValues {
    const values = new RequestValues(this.facts);
    values.existingTags = new Map(decodeTags(tagging));
    values.requestTags = this.requestTags;
    return values;
  }

  /** The same request as if it listed the bucket below this prefix. */
  withPrefix(prefix: string): RequestValues {
    return new RequestValues({ ...this.facts, query: new Map([["prefix", prefix]]) });
  }

  /** Tags that came in a document, or as a form's field. */
  setRequestTags(tags: readonly (readonly [string, string])[]): void {
    this.requestTags = new Map(tags);
    this.found = null;
  }

  get(key: string): Values {
    this.found ??= new Map();
    if (this.found.has(key)) return this.found.get(key);
    const values = this.find(key);
    this.found.set(key, values);
    return values;
  }

  private find(key: string): Values {
    if (key.startsWith(EXISTING_TAG)) return one(this.existingTags.get(key.slice(EXISTING_TAG.length)));
    if (key.startsWith(REQUEST_TAG)) return one(this.tagsOfRequest().get(key.slice(REQUEST_TAG.length)));
    if (key.startsWith("aws:")) return this.global(key.slice("aws:".length));
    if (key.startsWith("s3:")) return this.ofS3(key.slice("s3:".length));
    const claim = this.facts.identity.principal.claims.get(key);
    return typeof claim === "string" ? [claim] : claim;
  }

  private global(name: string): Values {
    const { request, identity, region, nowMs } = this.facts;
    const { principal } = identity;
    const user = principal.parentUser === "" ? principal.userName : principal.parentUser;
    switch (name) {
      case "username":
      case "userid":
        return one(user === "" ? undefined : user);
      case "groups":
        return principal.groups.length === 0 ? undefined : principal.groups;
      case "principaltype":
        return [PRINCIPAL_TYPES[principal.kind]];
      case "principalarn":
        return one(user === "" ? undefined : `arn:aws:iam:::user/${user}`);
      case "principalaccount":
        return one(principal.canonicalId === "" ? undefined : principal.canonicalId);
      case "sourceip":
        return [request.remoteAddress];
      case "securetransport":
        return [String(request.isTls)];
      case "useragent":
        return one(request.headers.get("user-agent"));
      case "referer":
        return one(request.headers.get("referer"));
      case "currenttime":
        return [new Date(nowMs()).toISOString()];
      case "epochtime":
        return [String(Math.floor(nowMs() / 1000))];
      case "requestedregion":
        return one(region === "" ? undefined : region);
      default:
        return undefined;
    }
  }

  private ofS3(name: string): Values {
    const { query, identity, nowMs, parameter } = this.facts;
    switch (name) {
      case "prefix":
      case "delimiter":
      case "max-keys":
        return one(query.get(name));
      case "versionid":
        return one(query.get("versionId"));
      case "signatureversion":
        return one(identity.signatureVersion === "" ? undefined : identity.signatureVersion);
      case "signatureage":
        return identity.signedAtMs === null ? undefined : [String(Math.max(0, nowMs() - identity.signedAtMs))];
      case "authtype":
        return one(identity.authType === "" ? undefined : identity.authType);
      case "requestobjecttagkeys": {
        const keys = [...this.tagsOfRequest().keys()];
        return keys.length === 0 ? undefined : keys;
      }
      case "object-lock-mode":
      case "object-lock-retain-until-date":
      case "object-lock-legal-hold":
        return one(parameter(`x-amz-${name}`));
      case "object-lock-remaining-retention-days":
        return daysUntil(parameter("x-amz-object-lock-retain-until-date"), nowMs());
      case "x-amz-copy-source":
        return one(withoutSlash(parameter(name)));
      default:
        return name.startsWith("x-amz-") ? one(parameter(name)) : undefined;
    }
  }

  private tagsOfRequest(): ReadonlyMap<string, string> {
    this.requestTags ??= new Map(decodeTags(this.facts.parameter("x-amz-tagging") ?? ""));
    return this.requestTags;
  }
}

const PRINCIPAL_TYPES: Readonly<Record<Principal["kind"], string>> = {
  anonymous: "Anonymous",
  root: "Account",
  user: "User",
  "service-account": "User",
  sts: "AssumedRole",
};

function one(value: string | undefined): Values {
  return value === undefined ? undefined : [value];
}

/** "bucket/key", as conditions name it; clients may send a leading slash. */
function withoutSlash(source: string | undefined): string | undefined {
  return source?.startsWith("/") === true ? source.slice(1) : source;
}

function daysUntil(date: string | undefined, nowMs: number): Values {
  const ms = date === undefined ? Number.NaN : Date.parse(date);
  return Number.isNaN(ms) ? undefined : [String(Math.max(0, Math.ceil((ms - nowMs) / DAY_MS)))];
}
