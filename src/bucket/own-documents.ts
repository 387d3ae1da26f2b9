/**
 * Documents of a bucket that MinIO does not know (CORS, website, ownership, …). MinIO drops keys that it does not know
 * whenever it writes `.metadata.bin`, so they lie in a file of their own beside it: `buckets/<bucket>/.sherd-documents.json`.
 * MinIO ignores that file and removes it with the bucket. It names the creation time of the bucket that it belongs to, so that
 * a bucket which was removed and made again while a drive was away never gets the settings of the one before.
 * Documents are UTF-8; names of newer releases are kept. Throws FormatError: what cannot be read might have forbidden something.
 */
import { FormatError } from "../core/format-error.ts";
import { GO_ZERO_TIME } from "../core/go-time.ts";
import type { OwnDocument, OwnDocuments } from "./metadata-format.ts";

const FORMAT_VERSION = 1;

export function ownDocumentsPath(bucket: string): string {
  return `buckets/${bucket}/.sherd-documents.json`;
}

/** `created`: of the bucket's metadata, ns since 1970, GO_ZERO_TIME = not known. */
export function encodeOwnDocuments(all: OwnDocuments, created: bigint): Uint8Array {
  const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  const documents = Object.fromEntries([...all].map(([name, document]) => [name, text.decode(document)]));
  return new TextEncoder().encode(JSON.stringify({ version: FORMAT_VERSION, created: String(created), documents }));
}

/** Documents of another bucket of this name are none. */
export function decodeOwnDocuments(bytes: Uint8Array, created: bigint): OwnDocuments {
  const file = record(parsed(bytes));
  if (file["version"] !== FORMAT_VERSION) throw new FormatError("bucket documents: unknown version");
  const madeFor = time(file["created"]);
  const documents = new Map<OwnDocument, Uint8Array>();
  for (const [name, text] of Object.entries(record(file["documents"]))) {
    if (typeof text !== "string") throw new FormatError("bucket documents: a document is no text");
    documents.set(name as OwnDocument, new TextEncoder().encode(text));
  }
  const isOfAnother = created !== GO_ZERO_TIME && madeFor !== GO_ZERO_TIME && created !== madeFor;
  return isOfAnother ? new Map() : documents;
}

function parsed(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch {
    throw new FormatError("bucket documents: not JSON");
  }
}

function record(value: unknown): Record<string, unknown> {
  if (typeof value !== "object" || value === null || Array.isArray(value))
    throw new FormatError("bucket documents: not an object");
  return value as Record<string, unknown>;
}

function time(value: unknown): bigint {
  if (typeof value !== "string" || !/^-?\d{1,20}$/.test(value)) throw new FormatError("bucket documents: not a time");
  return BigInt(value);
}
