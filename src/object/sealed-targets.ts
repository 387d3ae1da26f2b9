/**
 * The remote targets of a bucket, which hold the secrets of other deployments: sealed where there is a KMS, as MinIO does, with an
 * object key whose metadata are a document of their own. Throws ObjectError. Source: on-disk-format.md §7.2.
 */
import type { BucketDocument } from "../bucket/metadata-format.ts";
import { openStream, sealStream } from "../codec/dare.ts";
import { ObjectError } from "./errors.ts";
import { newObjectKey, openObjectKey, type Place } from "./object-key.ts";
import type { Transforms } from "./transforms.ts";

const NONCE_BYTES = 12;
const FILE = "bucket-targets.json";

export type TargetDocuments = Readonly<Record<"targets" | "targetsMeta", Uint8Array>>;

function placeOf(bucket: string): Place {
  return { bucket, key: "", bound: new Map([[FILE, FILE]]) };
}

/** The document as JSON; empty = there is none. */
export async function openTargets(
  transforms: Transforms,
  bucket: string,
  { targets, targetsMeta }: Readonly<Record<BucketDocument, Uint8Array>>,
): Promise<Uint8Array> {
  if (targetsMeta.length === 0 || targets.length === 0) return targets;
  const key = await openObjectKey(transforms, placeOf(bucket), metadataOf(targetsMeta), null);
  const plain = openStream(transforms.codec, key, targets);
  key.fill(0);
  if (plain === null) throw damaged();
  return plain;
}

/** `json` empty: there is none. */
export async function sealTargets(transforms: Transforms, bucket: string, json: Uint8Array): Promise<TargetDocuments> {
  const nothing = new Uint8Array(0);
  if (transforms.kms === null || json.length === 0) return { targets: json, targetsMeta: nothing };
  const { objectKey, metaSys } = await newObjectKey(transforms, placeOf(bucket), { kind: "SSE-S3" });
  const targets = sealStream(transforms.codec, objectKey, transforms.rng.fill(new Uint8Array(NONCE_BYTES)), json);
  objectKey.fill(0);
  const texts = [...metaSys].map(([name, value]) => [name, Buffer.from(value).toString("utf8")] as const);
  const sorted = texts.sort(([a], [b]) => (a < b ? -1 : 1));
  return { targets, targetsMeta: new TextEncoder().encode(JSON.stringify(Object.fromEntries(sorted))) };
}

function metadataOf(document: Uint8Array): ReadonlyMap<string, Uint8Array> {
  let parsed: unknown;
  try {
    parsed = JSON.parse(Buffer.from(document).toString("utf8"));
  } catch (cause) {
    throw damaged(cause);
  }
  if (typeof parsed !== "object" || parsed === null) throw damaged();
  return new Map(Object.entries(parsed).map(([name, value]) => [name, Buffer.from(String(value))]));
}

function damaged(cause?: unknown): ObjectError {
  return new ObjectError("ObjectTampered", "The sealed remote targets of the bucket do not open.", {}, { cause });
}
