/**
 * What a bucket says about access besides its policy: its owner, object ownership, public access block and ACL. Stored under
 * keys of our own in the bucket's metadata file; absent = as a new bucket. Source: docs/adr/0009-authorization.md.
 */
import { type Acl, decodeAcl } from "./acl.ts";
import type { BucketMetadataFile } from "./metadata-format.ts";

export const OWNERSHIPS = ["BucketOwnerEnforced", "BucketOwnerPreferred", "ObjectWriter"] as const;
/** BucketOwnerEnforced: lists are off, the bucket's owner owns all. The others: who writes an object may own it. */
export type Ownership = (typeof OWNERSHIPS)[number];

export const BLOCKS = ["BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets"] as const;
export type PublicAccessBlock = Readonly<Record<(typeof BLOCKS)[number], boolean>>;
export const NO_BLOCK: PublicAccessBlock = {
  BlockPublicAcls: false,
  IgnorePublicAcls: false,
  BlockPublicPolicy: false,
  RestrictPublicBuckets: false,
};

export interface AccessSettings {
  /** Canonical id. */
  readonly owner: string;
  /** null = never set: the server's default. */
  readonly ownership: Ownership | null;
  /** null = never set. */
  readonly block: PublicAccessBlock | null;
  readonly acl: Acl;
}

export function accessSettings({ own }: BucketMetadataFile, defaultOwner: string): AccessSettings {
  const text = (name: Parameters<typeof own.get>[0]): string => new TextDecoder().decode(own.get(name) ?? EMPTY);
  const owner = text("owner") === "" ? defaultOwner : text("owner");
  const ownership = OWNERSHIPS.find((o) => o === text("ownershipControls")) ?? null;
  const blocked = text("publicAccessBlock");
  return {
    owner,
    ownership,
    block: blocked === "" ? null : storedBlock(blocked),
    acl: decodeAcl(own.get("acl"), owner),
  };
}
const EMPTY = new Uint8Array(0);

/** Names of what is blocked, with commas; "-" = set, and blocking nothing. */
function storedBlock(text: string): PublicAccessBlock {
  const names = text.split(",");
  return Object.fromEntries(BLOCKS.map((name) => [name, names.includes(name)])) as PublicAccessBlock;
}

export function encodeBlock(block: PublicAccessBlock): string {
  return BLOCKS.filter((name) => block[name]).join(",") || "-";
}
