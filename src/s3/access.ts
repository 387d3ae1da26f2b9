/**
 * Access: may this caller do that? The one place that decides, for every operation and every key: the policies of the
 * identity, the restriction of its session, and the bucket's policy. An explicit Deny in any of them wins.
 * Rules (docs/adr/0009-authorization.md): root may do everything, whatever a bucket's policy says; everybody else is judged
 * by both kinds of policy, as on AWS; the anonymous caller by the bucket's alone.
 */
import type { Bucket, BucketCatalog } from "../bucket/catalog.ts";
import { judge, type Policy, type Question, type Verdict } from "../iam/policy.ts";
import { PolicyCache } from "../iam/policy-cache.ts";
import { isUnrestricted, type Principal } from "../iam/principal.ts";
import type { ObjectContext } from "../object/context.ts";
import { ObjectError } from "../object/errors.ts";
import { TAGGING_KEY } from "../object/version-info.ts";
import type { RequestValues } from "./request-values.ts";
import { WireError } from "./wire-error.ts";

/** One thing to be allowed: any of the actions, and none of them denied. */
export interface Wanted {
  readonly anyOf: readonly [string, ...string[]];
  /** "" = the service. */
  readonly bucket: string;
  /** "" = the bucket. */
  readonly key: string;
  readonly versionId?: string | undefined;
  /** Allowed unless a policy denies it. */
  readonly unlessDenied?: boolean;
}

export interface AccessMeans {
  readonly buckets: BucketCatalog;
  readonly policies: PolicyCache;
  /** Tags of a version, URL-encoded; "" when there is none. */
  readonly tagsOf: (bucket: string, key: string, versionId: string | undefined) => Promise<string>;
}

export function accessMeans(objects: ObjectContext): AccessMeans {
  return {
    buckets: objects.buckets,
    policies: new PolicyCache(),
    async tagsOf(bucket, key, versionId) {
      return (await objects.store.readVersion(bucket, key, versionId))?.metaUsr.get(TAGGING_KEY) ?? "";
    },
  };
}

export class Access {
  constructor(
    private readonly means: AccessMeans,
    readonly principal: Principal,
    readonly values: RequestValues,
  ) {}

  /** Throws AccessDenied, or NoSuchBucket where that is what an anonymous caller is told too. */
  async demand(wanted: Wanted): Promise<void> {
    if (!(await this.may(wanted))) throw denied();
  }

  async may(wanted: Wanted): Promise<boolean> {
    const { principal } = this;
    if (isUnrestricted(principal)) return true;
    const bucket = wanted.bucket === "" ? null : await this.means.buckets.get(wanted.bucket);
    if (
      bucket === null &&
      wanted.bucket !== "" &&
      principal.kind === "anonymous" &&
      !wanted.anyOf.includes("s3:CreateBucket")
    )
      throw new ObjectError("NoSuchBucket", "The specified bucket does not exist.", { bucket: wanted.bucket });
    const attached = bucket === null ? [] : this.policyOf(bucket);
    const values = await this.valuesFor(wanted, [...principal.policies, ...attached]);
    let allowed = wanted.unlessDenied === true;
    for (const action of wanted.anyOf) {
      const verdict = this.verdictOf(questionOf(action, wanted, { principal, values }), attached);
      if (verdict === "deny") return false;
      if (verdict === "allow") allowed = true;
    }
    return allowed;
  }

  private verdictOf(question: Question, attached: readonly Policy[]): Verdict {
    const { principal } = this;
    const byBucket = judge(attached, question);
    const byIdentity = isRootAccount(principal) ? "allow" : judge(principal.policies, question);
    if (byBucket === "deny" || byIdentity === "deny") return "deny";
    if (principal.sessionPolicy !== null) {
      const bySession = judge([principal.sessionPolicy], question);
      if (bySession !== "allow") return bySession;
    }
    return byBucket === "allow" || byIdentity === "allow" ? "allow" : "none";
  }

  private policyOf(bucket: Bucket): readonly Policy[] {
    const { documents, own } = bucket.metadata;
    const document = own.get("ownPolicy") ?? documents.policy;
    return document.length === 0 ? [] : [this.means.policies.get(Buffer.from(document).toString("utf8"), "resource")];
  }

  private async valuesFor(wanted: Wanted, policies: readonly Policy[]): Promise<RequestValues> {
    if (wanted.key === "" || !policies.some((policy) => policy.needs("s3:existingobjecttag/"))) return this.values;
    return this.values.withExistingTags(await this.means.tagsOf(wanted.bucket, wanted.key, wanted.versionId));
  }
}

function isRootAccount(principal: Principal): boolean {
  return isUnrestricted({ ...principal, sessionPolicy: null });
}

function questionOf(
  action: string,
  wanted: Wanted,
  by: { readonly principal: Principal; readonly values: RequestValues },
): Question {
  const path = wanted.key === "" ? wanted.bucket : `${wanted.bucket}/${wanted.key}`;
  return {
    action,
    resource: `arn:aws:s3:::${path}`,
    principalNames: namesOf(by.principal),
    values: by.values,
  };
}

/** What a bucket's policy may call the caller: its account, its user, or the user's ARN. */
function namesOf({ kind, canonicalId, userName, parentUser }: Principal): readonly string[] {
  if (kind === "anonymous") return [];
  const user = parentUser === "" ? userName : parentUser;
  return [
    canonicalId,
    user,
    `arn:aws:iam:::user/${user}`,
    `arn:aws:iam::${canonicalId}:user/${user}`,
    `arn:aws:iam::${canonicalId}:root`,
  ];
}

export function denied(): WireError {
  return new WireError("AccessDenied", "Access Denied");
}
