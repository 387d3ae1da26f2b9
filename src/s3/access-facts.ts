/**
 * What decisions about access look up: buckets with their settings and compiled policy, and the ACL and tags of a version.
 * One for the server; settings live as long as the bucket's metadata that they were read from.
 */
import { type AccessSettings, accessSettings, type Ownership } from "../bucket/access-settings.ts";
import { ACL_KEY, type Acl, decodeAcl } from "../bucket/acl.ts";
import type { Bucket } from "../bucket/catalog.ts";
import type { BucketMetadataFile } from "../bucket/metadata-format.ts";
import type { Policy } from "../iam/policy.ts";
import { PolicyCache } from "../iam/policy-cache.ts";
import { PolicyError } from "../iam/policy-error.ts";
import { type Identities, ROOT_ACCOUNT_ID } from "../iam/principal.ts";
import type { ObjectContext } from "../object/context.ts";
import { TAGGING_KEY } from "../object/version-info.ts";

const DENY_ALL = '{"Statement":[{"Effect":"Deny","Principal":"*","Action":"*","Resource":"*"}]}';

export interface VersionAccess {
  readonly acl: Acl;
  /** URL-encoded; "" = none. */
  readonly tagging: string;
}

export class AccessFacts {
  private readonly policies = new PolicyCache();
  private readonly known = new WeakMap<
    BucketMetadataFile,
    { readonly settings: AccessSettings; readonly policies: readonly Policy[] }
  >();

  constructor(
    private readonly objects: ObjectContext,
    readonly identities: Identities,
    readonly defaultOwnership: Ownership,
  ) {}

  async bucket(name: string): Promise<Bucket | null> {
    return await this.objects.buckets.get(name);
  }

  settings(bucket: Bucket): AccessSettings {
    return this.of(bucket).settings;
  }

  /** None or one. */
  policyOf(bucket: Bucket): readonly Policy[] {
    return this.of(bucket).policies;
  }

  /** null = no such version, or a delete marker. */
  async version(
    at: { readonly bucket: string; readonly key: string; readonly versionId?: string | undefined },
    bucketOwner: string,
  ): Promise<VersionAccess | null> {
    const version = await this.objects.store.readVersion(at.bucket, at.key, at.versionId);
    if (version === null || version.isDeleteMarker) return null;
    return {
      acl: decodeAcl(version.metaSys.get(ACL_KEY), bucketOwner),
      tagging: version.metaUsr.get(TAGGING_KEY) ?? "",
    };
  }

  /** What cannot be understood may have been there to deny: then only root is let in. */
  private compiled(document: string): Policy {
    try {
      return this.policies.get(document, "resource");
    } catch (error) {
      if (error instanceof PolicyError) return this.policies.get(DENY_ALL, "resource");
      throw error;
    }
  }

  private of({ metadata }: Bucket): { readonly settings: AccessSettings; readonly policies: readonly Policy[] } {
    let found = this.known.get(metadata);
    if (found === undefined) {
      const document = metadata.own.get("ownPolicy") ?? metadata.documents.policy;
      const policies = document.length === 0 ? [] : [this.compiled(Buffer.from(document).toString())];
      found = { settings: accessSettings(metadata, ROOT_ACCOUNT_ID), policies };
      this.known.set(metadata, found);
    }
    return found;
  }
}
