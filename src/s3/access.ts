/**
 * Access: may this caller do that? The one place that decides, for every operation and every key: the policies of the
 * identity, the restriction of its session, the bucket's policy, and access control lists. An explicit Deny wins.
 * Rules (docs/adr/0009-authorization.md): root may do everything, whatever a bucket's policy says. All users are one
 * account, in which an identity's policy or a bucket's suffices; where lists are on, each user is an account of its own, and
 * what belongs to another needs that one's policy or list as well. The anonymous caller has bucket policies and lists alone.
 */
import type { AccessSettings, Ownership } from "../bucket/access-settings.ts";
import { type Acl, allows, type Permission } from "../bucket/acl.ts";
import type { Bucket } from "../bucket/catalog.ts";
import { judge, type Policy, type Question, type Verdict } from "../iam/policy.ts";
import { type Identities, isUnrestricted, type Principal, ROOT_ACCOUNT_ID } from "../iam/principal.ts";
import { isPublicPolicy } from "../iam/public-policy.ts";
import { ObjectError } from "../object/errors.ts";
import type { AccessFacts } from "./access-facts.ts";
import { S3_ERRORS } from "./errors.ts";
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
  /** A bucket to be made: whose one of this name is does not matter yet. */
  readonly isNew?: boolean;
  /** Asked of the bucket owner's account only: to others allowed unless a policy denies it. */
  readonly isForOwner?: boolean;
  /** What stands for the query's `prefix`. */
  readonly prefix?: string;
}

/** What is asked about, once for all of its actions. */
interface Subject {
  readonly settings: AccessSettings | null;
  readonly attached: readonly Policy[];
  readonly values: RequestValues;
  /** Lists are on here: the bucket's, or of an object that of the version asked for; null = off, or no such version. */
  readonly acl: Acl | null;
  /** Of what is asked for. */
  readonly owner: string;
  readonly isSeparate: boolean;
}

export class Access {
  constructor(
    private readonly facts: AccessFacts,
    readonly principal: Principal,
    readonly values: RequestValues,
  ) {}

  /** Throws AccessDenied; to an anonymous caller NoSuchBucket where that is the reason. */
  async demand(wanted: Wanted): Promise<void> {
    if (!(await this.may(wanted))) throw denied();
  }

  /** Whatever is asked, `may` is true. */
  get mayEverything(): boolean {
    return isUnrestricted(this.principal);
  }

  async may(wanted: Wanted): Promise<boolean> {
    const { principal } = this;
    if (this.mayEverything) return true;
    const isThere = wanted.bucket !== "" && wanted.isNew !== true;
    const bucket = isThere ? await this.facts.bucket(wanted.bucket) : null;
    if (isThere && bucket === null && principal.kind === "anonymous")
      throw new ObjectError("NoSuchBucket", "The specified bucket does not exist.", { bucket: wanted.bucket });
    const subject = await this.subjectOf(wanted, bucket);
    const verdicts = wanted.anyOf.map((action) => this.verdictOn(action, wanted, subject));
    if (verdicts.includes("deny")) return false;
    return verdicts.includes("allow") || (wanted.isForOwner === true && subject.owner !== principal.canonicalId);
  }

  ownershipOf(settings: AccessSettings): Ownership {
    return settings.ownership ?? this.facts.defaultOwnership;
  }
  async exists(wanted: Wanted): Promise<boolean> {
    return (await this.facts.version(wanted, "")) !== null;
  }
  /** The canonical id of a bucket's owner; null = no such bucket. */
  async ownerOf(name: string): Promise<string | null> {
    const bucket = await this.facts.bucket(name);
    return bucket === null ? null : this.settings(bucket).owner;
  }
  /** Where users are accounts, the buckets of the caller's; else all. */
  async ownBuckets<B extends { readonly name: string }>(all: readonly B[]): Promise<readonly B[]> {
    if (!this.hasAccounts || this.principal.canonicalId === ROOT_ACCOUNT_ID) return all;
    const own: B[] = [];
    for (const item of all) {
      const bucket = await this.facts.bucket(item.name);
      if (bucket !== null && this.settings(bucket).owner === this.principal.canonicalId) own.push(item);
    }
    return own;
  }
  settings(bucket: Bucket): AccessSettings {
    return this.facts.settings(bucket);
  }
  policiesOf(bucket: Bucket): readonly Policy[] {
    return this.facts.policyOf(bucket);
  }
  get identities(): Identities {
    return this.facts.identities;
  }
  /** Is each user an account of its own? */
  get hasAccounts(): boolean {
    return this.facts.defaultOwnership !== "BucketOwnerEnforced";
  }

  private async subjectOf(wanted: Wanted, bucket: Bucket | null): Promise<Subject> {
    const { facts, principal } = this;
    const values = wanted.prefix === undefined ? this.values : this.values.withPrefix(wanted.prefix);
    if (bucket === null) return { settings: null, attached: [], values, acl: null, owner: "", isSeparate: false };
    const settings = facts.settings(bucket);
    const attached = facts.policyOf(bucket);
    const hasLists = this.ownershipOf(settings) !== "BucketOwnerEnforced";
    const isOfObject =
      wanted.key !== "" && wanted.isForOwner !== true && wanted.anyOf.some((action) => OBJECT_PERMISSIONS.has(action));
    const needsTags = wanted.key !== "" && [...principal.policies, ...attached].some((p) => p.needs(EXISTING_TAGS));
    const version = needsTags || (hasLists && isOfObject) ? await facts.version(wanted, settings.owner) : null;
    const acl = !hasLists ? null : isOfObject ? (version?.acl ?? null) : settings.acl;
    return {
      settings,
      attached,
      values: needsTags ? values.withExistingTags(version?.tagging ?? "") : values,
      acl,
      owner: isOfObject ? (acl?.owner ?? settings.owner) : settings.owner,
      isSeparate: facts.defaultOwnership !== "BucketOwnerEnforced" || hasLists,
    };
  }

  private verdictOn(action: string, wanted: Wanted, subject: Subject): Verdict {
    const { principal } = this;
    const question = questionOf(action, wanted, { principal, values: subject.values });
    const byIdentity = principal.canonicalId === ROOT_ACCOUNT_ID ? "allow" : judge(principal.policies, question);
    const byPolicy = judge(subject.attached, question);
    if (byPolicy === "deny" || byIdentity === "deny") return "deny";
    const bySession = principal.sessionPolicy === null ? "allow" : judge([principal.sessionPolicy], question);
    if (bySession !== "allow") return bySession;
    const byResource = (byPolicy === "allow" && this.policyCounts(subject)) || this.listAllows(action, subject);
    const isOwn = !subject.isSeparate || subject.settings === null || subject.owner === principal.canonicalId;
    if (principal.kind === "anonymous") return byResource ? "allow" : "none";
    if (isOwn) return byResource || byIdentity === "allow" ? "allow" : "none";
    return byResource && byIdentity === "allow" ? "allow" : "none";
  }

  /** RestrictPublicBuckets: a public policy speaks to the bucket owner's account only. */
  private policyCounts({ settings, attached, isSeparate }: Subject): boolean {
    if (settings?.block?.RestrictPublicBuckets !== true || !attached.some(isPublicPolicy)) return true;
    return this.principal.kind !== "anonymous" && (!isSeparate || settings.owner === this.principal.canonicalId);
  }

  private listAllows(action: string, { acl, settings }: Subject): boolean {
    const permission = OBJECT_PERMISSIONS.get(action) ?? BUCKET_PERMISSIONS.get(action);
    if (acl === null || permission === undefined) return false;
    const ignorePublic = settings?.block?.IgnorePublicAcls === true || settings?.block?.RestrictPublicBuckets === true;
    return allows(acl, permission, this.principal.canonicalId, ignorePublic);
  }
}

const EXISTING_TAGS = "s3:existingobjecttag/";
const BUCKET_PERMISSIONS: ReadonlyMap<string, Permission> = new Map([
  ["s3:ListBucket", "READ"],
  ["s3:HeadBucket", "READ"],
  ["s3:ListBucketVersions", "READ"],
  ["s3:ListBucketMultipartUploads", "READ"],
  ["s3:PutObject", "WRITE"],
  ["s3:DeleteObject", "WRITE"],
  ["s3:AbortMultipartUpload", "WRITE"],
  ["s3:ListMultipartUploadParts", "WRITE"],
  ["s3:GetBucketAcl", "READ_ACP"],
  ["s3:PutBucketAcl", "WRITE_ACP"],
]);
/** Judged by the object's owner and list, not by the bucket's. */
const OBJECT_PERMISSIONS: ReadonlyMap<string, Permission> = new Map([
  ["s3:GetObject", "READ"],
  ["s3:GetObjectVersion", "READ"],
  ["s3:GetObjectAttributes", "READ"],
  ["s3:GetObjectVersionAttributes", "READ"],
  ["s3:GetObjectAcl", "READ_ACP"],
  ["s3:GetObjectVersionAcl", "READ_ACP"],
  ["s3:PutObjectAcl", "WRITE_ACP"],
  ["s3:PutObjectVersionAcl", "WRITE_ACP"],
]);

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
    `CanonicalUser:${canonicalId}`,
    user,
    `arn:aws:iam:::user/${user}`,
    `arn:aws:iam:::user/${canonicalId}`,
    `arn:aws:iam::${canonicalId}:user/${user}`,
    `arn:aws:iam::${canonicalId}:root`,
  ];
}

export function denied(): WireError {
  return new WireError("AccessDenied", S3_ERRORS.AccessDenied.message);
}
