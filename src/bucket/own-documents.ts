/**
 * Documents of a bucket that MinIO does not know (CORS, website, ownership, …). MinIO drops keys that it does not know
 * whenever it writes `.metadata.bin`, so they lie in a file of their own beside it: `buckets/<bucket>/.sherd-documents.json`.
 * MinIO ignores that file and removes it with the bucket. It names the creation time of the bucket that it belongs to, so that
 * a bucket which was removed and made again while a drive was away never gets the settings of the one before.
 * Texts are the documents as they are shown; names of newer releases are kept. Throws FormatError: what cannot be read might
 * have forbidden something. Times are ns since 1970.
 */
import { FormatError } from "../core/format-error.ts";
import { GO_ZERO_TIME } from "../core/go-time.ts";

const FORMAT_VERSION = 1;

export const OWN_DOCUMENTS = ["cors", "website", "ownership", "publicAccessBlock", "acl", "logging"] as const;
export type OwnDocument = (typeof OWN_DOCUMENTS)[number];

export interface OwnText {
  readonly text: string;
  readonly updatedAt: bigint;
}
/** By name; what is not there is unset. */
export type OwnDocuments = ReadonlyMap<string, OwnText>;
export const NO_OWN_DOCUMENTS: OwnDocuments = new Map();

export function ownDocumentsPath(bucket: string): string {
  return `buckets/${bucket}/.sherd-documents.json`;
}

/** With one document set or (empty text) removed. */
export function withOwnDocument(all: OwnDocuments, which: OwnDocument, text: string, updatedAt: bigint): OwnDocuments {
  const changed = new Map(all);
  if (text === "") changed.delete(which);
  else changed.set(which, { text, updatedAt });
  return changed;
}

export function encodeOwnDocuments(all: OwnDocuments, created: bigint): Uint8Array {
  const documents = Object.fromEntries(
    [...all].map(([name, { text, updatedAt }]) => [name, { updatedAt: String(updatedAt), text }]),
  );
  return new TextEncoder().encode(JSON.stringify({ version: FORMAT_VERSION, created: String(created), documents }));
}

/** `created`: of the bucket's metadata, GO_ZERO_TIME = not known. Documents of another bucket of this name are none. */
export function decodeOwnDocuments(bytes: Uint8Array, created: bigint): OwnDocuments {
  const file = record(parsed(bytes));
  if (file["version"] !== FORMAT_VERSION) throw new FormatError("bucket documents: unknown version");
  const madeFor = time(file["created"]);
  if (created !== GO_ZERO_TIME && madeFor !== GO_ZERO_TIME && created !== madeFor) return NO_OWN_DOCUMENTS;
  const documents = new Map<string, OwnText>();
  for (const [name, value] of Object.entries(record(file["documents"]))) {
    const { text, updatedAt } = record(value);
    if (typeof text !== "string") throw new FormatError("bucket documents: a document is no text");
    documents.set(name, { text, updatedAt: time(updatedAt) });
  }
  return documents;
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
