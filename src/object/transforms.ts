/**
 * Transforms: what the object layer needs to encrypt and compress: the KMS, native threads, memory of its own. Blocks of reads and
 * of writes come from two pools, so that a copy, which holds one of each, cannot wait for itself. Built once, in server.ts.
 */
import type { Codec } from "../codec/native.ts";
import { BlockPool } from "../core/block-pool.ts";
import type { DigestLanes } from "../erasure/digest-lanes.ts";
import type { Kms } from "../kms/kms.ts";
import type { Disk } from "../sys/disk.ts";
import type { Rng } from "../sys/rng.ts";
import type { CompressionRules } from "./compression-rules.ts";
import { KnownEtags } from "./listed-etags.ts";
import { KnownMembers } from "./zip-members.ts";

const READ_BYTES = 64 * 1024 * 1024;
const WRITE_BYTES = 128 * 1024 * 1024;
const UNPACK_BYTES = 64 * 1024 * 1024;

export interface Transforms {
  readonly codec: Codec;
  readonly jobs: Disk;
  readonly rng: Rng;
  readonly lanes: DigestLanes;
  readonly readBlocks: BlockPool;
  readonly writeBlocks: BlockPool;
  /** For archives that are unpacked as they come: slow clients hold these, and nothing else waits for them. */
  readonly unpackBlocks: BlockPool;
  readonly etags: KnownEtags;
  /** Of zip archives. */
  readonly members: KnownMembers;
  /** null = none is configured. */
  readonly kms: Kms | null;
  /** SSE-S3 for every new object that names no encryption. */
  readonly encryptAll: boolean;
  /** null = new objects are not compressed. */
  readonly compression: CompressionRules | null;
}

export interface TransformOptions {
  readonly kmsAutoEncryption: boolean;
  readonly compressionEnable: boolean;
  readonly compressionExtensions: readonly string[];
  readonly compressionTypes: readonly string[];
  readonly compressionEncrypted: boolean;
}

export function newTransforms(
  means: Pick<Transforms, "codec" | "jobs" | "rng" | "lanes" | "kms">,
  options: TransformOptions,
): Transforms {
  const compression = {
    extensions: options.compressionExtensions,
    types: options.compressionTypes,
    encrypted: options.compressionEncrypted,
  };
  return {
    ...means,
    etags: new KnownEtags(),
    members: new KnownMembers(),
    readBlocks: new BlockPool(READ_BYTES),
    writeBlocks: new BlockPool(WRITE_BYTES),
    unpackBlocks: new BlockPool(UNPACK_BYTES),
    encryptAll: options.kmsAutoEncryption,
    compression: options.compressionEnable ? compression : null,
  };
}
