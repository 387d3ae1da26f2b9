/** What a listing with metadata shows beyond the index: each version as its drives have it. A bounded number is read at once. */
import type { StoredVersion } from "../erasure/store.ts";
import { encryptionInfo } from "./content.ts";
import type { ObjectContext } from "./context.ts";
import type { EncryptionInfo, ListedObject } from "./types.ts";
import { TAGGING_KEY } from "./version-info.ts";

const READS_AT_ONCE = 16;

export interface ListedMetadata {
  /** As stored; the ETag and tags among it. */
  readonly metadata: ReadonlyMap<string, string>;
  readonly tagging: string;
  readonly encryption: EncryptionInfo | null;
  readonly dataShards: number;
  readonly parityShards: number;
}

/** In the order of `objects`; null = not wanted, a delete marker, or gone meanwhile. */
export async function listedMetadataOf(
  ctx: ObjectContext,
  bucket: string,
  objects: readonly ListedObject[],
  isWanted: (object: ListedObject) => Promise<boolean>,
): Promise<readonly (ListedMetadata | null)[]> {
  const found: (ListedMetadata | null)[] = objects.map(() => null);
  let next = 0;
  const lanes = Array.from({ length: Math.min(READS_AT_ONCE, objects.length) }, async () => {
    while (next < objects.length) {
      const i = next;
      next += 1;
      const object = objects[i] as ListedObject;
      if (object.version.isDeleteMarker || !(await isWanted(object))) continue;
      const version = await ctx.store.readVersion(bucket, object.key, object.version.versionId);
      found[i] = version === null ? null : shown(version);
    }
  });
  await Promise.all(lanes);
  return found;
}

function shown({ metaUsr, metaSys, dataShards, parityShards }: StoredVersion): ListedMetadata {
  return {
    metadata: metaUsr,
    tagging: metaUsr.get(TAGGING_KEY) ?? "",
    encryption: encryptionInfo(metaSys, undefined),
    dataShards,
    parityShards,
  };
}
