/**
 * The body of a PUT as the object layer wants it: its length before the first byte, the digests to compute, and one check
 * after the last: payload hash, Content-MD5, checksum header or trailer. Source: s3-api.md §2.7, §3.2.
 */
import {
  CHECKSUM_ALGORITHMS,
  type ChecksumAlgorithm,
  checksumAlgorithmOfHeader,
  ChecksumError,
  type ChecksumName,
  checksumFromBase64,
  DIGEST,
} from "../codec/checksum.ts";
import type { ByteSource } from "../core/byte-stream.ts";
import type { Digests, ObjectBody } from "../object/types.ts";
import { ChunkedReader } from "./aws-chunked.ts";
import type { Call } from "./call.ts";
import { S3_ERRORS } from "./errors.ts";
import { checksumNameFrom } from "./headers.ts";
import { WireError } from "./wire-error.ts";

const NO_NAMES: readonly string[] = [];
const NO_TRAILERS: ReadonlyMap<string, string> = new Map();
const CHECKSUM_HEADER = /^x-amz-checksum-(?!algorithm$|mode$|type$)/;

interface Declared {
  readonly algorithm: ChecksumAlgorithm;
  /** null = comes in a trailer. */
  readonly value: string | null;
}

/** Payload bytes before they are checked. */
export interface RawBody extends ByteSource {
  readonly sizeBytes: number;
  /** There may be fewer. */
  readonly sizeIsMax: boolean;
  /** Known after the last byte. */
  readonly trailers?: ReadonlyMap<string, string>;
}

/** `raw`: what is checked, if not the request's own body. */
export function requestBody(
  call: Call,
  declared: Declared | null = declaredChecksum(call),
  raw: RawBody = ownBody(call),
): ObjectBody {
  return new CheckedBody(call, declared, raw);
}

class CheckedBody implements ObjectBody {
  readonly digests: number;
  private readonly md5: Buffer | null;
  private readonly sha256: string | null;
  private value: string | null;

  constructor(
    { request, identity: { payload } }: Call,
    private readonly declared: Declared | null,
    private readonly raw: RawBody,
  ) {
    this.md5 = contentMd5(request.headers.get("content-md5"));
    this.sha256 = payload.kind === "plain" ? payload.sha256 : null;
    this.value = declared?.value ?? null;
    this.digests =
      (this.sha256 === null ? 0 : DIGEST.sha256) |
      (this.md5 === null ? 0 : DIGEST.md5) |
      (declared === null ? 0 : declared.algorithm.flag);
  }

  get sizeBytes(): number {
    return this.raw.sizeBytes;
  }
  get sizeIsMax(): boolean {
    return this.raw.sizeIsMax;
  }
  get declares(): ChecksumName | null {
    return this.declared?.algorithm.name ?? null;
  }

  next(): Promise<Uint8Array | null> {
    return this.raw.next();
  }

  verify(digests: Digests): void {
    const { declared, md5, sha256, raw } = this;
    const computedSha256 = sha256 === null ? null : digests.sha256.toHex();
    if (computedSha256 !== sha256)
      throw new WireError(
        "XAmzContentSHA256Mismatch",
        "The provided 'x-amz-content-sha256' header does not match what was computed.",
        { clientSha256: sha256, computedSha256 },
      );
    if (md5 !== null && !md5.equals(digests.md5))
      throw new WireError("BadDigest", "The Content-MD5 you specified did not match what we received.", {
        expectedDigest: md5.toString("hex"),
        calculatedDigest: Buffer.from(digests.md5).toString("base64"),
      });
    if (declared === null) return;
    this.value ??= raw.trailers?.get(declared.algorithm.header) ?? null;
    if (this.value === null) throw new WireError("BadRequest", "The announced checksum trailer is missing.");
    verifyChecksum(declared.algorithm, this.value, digests);
  }

  checksum(): { readonly algorithm: ChecksumName; readonly value: string } | null {
    const { declared, value } = this;
    return declared === null || value === null ? null : { algorithm: declared.algorithm.name, value };
  }
}

function ownBody(call: Call): RawBody {
  const { headers, body } = call.request;
  const { payload } = call.identity;
  const sizeBytes = bodySize(call);
  if (payload.kind === "plain") return new ExactBody(body, sizeBytes);
  const chunked = new ChunkedReader({
    source: body,
    signer: payload.signed,
    trailer: payload.trailer,
    announced: announcedTrailers(headers.get("x-amz-trailer")),
  });
  return new ExactBody(chunked, sizeBytes, chunked.trailers);
}

export function verifyChecksum(algorithm: ChecksumAlgorithm, value: string, digests: Digests): void {
  const given = rawChecksum(algorithm, value);
  if (!Buffer.from(given).equals(digests[algorithm.digest]))
    throw new WireError("BadDigest", `The ${algorithm.name} you specified did not match the calculated checksum.`);
}

/** Throws when the value is none of the algorithm. */
export function rawChecksum(algorithm: ChecksumAlgorithm, value: string): Uint8Array {
  try {
    return checksumFromBase64(algorithm.name, value);
  } catch (cause) {
    if (cause instanceof ChecksumError)
      throw new WireError("BadDigest", `The ${algorithm.name} you specified is not one.`, {}, { cause });
    throw cause;
  }
}

/** The checksum of this request's body: a header, or a trailer to come. */
export function declaredChecksum(call: Call): Declared | null {
  const { headers } = call.request;
  refuseUnknownChecksums(headers);
  const found: Declared[] = [];
  for (const algorithm of CHECKSUM_ALGORITHMS) {
    const value = call.parameter(algorithm.header);
    if (value === undefined) continue;
    rawChecksum(algorithm, value);
    found.push({ algorithm, value });
  }
  for (const name of announcedTrailers(headers.get("x-amz-trailer"))) {
    const algorithm = checksumAlgorithmOfHeader(name);
    if (algorithm !== undefined) found.push({ algorithm, value: null });
  }
  if (found.length > 1) throw new WireError("InvalidArgument", "Only one checksum may be given.");
  return found[0] ?? null;
}

/** A checksum that cannot be verified must not pass for one that was. */
function refuseUnknownChecksums(headers: ReadonlyMap<string, string>): void {
  for (const name of headers.keys()) refuseUnknownChecksum(name);
  for (const name of announcedTrailers(headers.get("x-amz-trailer"))) refuseUnknownChecksum(name);
}

function refuseUnknownChecksum(name: string): void {
  if (CHECKSUM_HEADER.test(name) && checksumAlgorithmOfHeader(name) === undefined)
    checksumNameFrom(name.slice("x-amz-checksum-".length));
}

export function announcedTrailers(header: string | undefined): readonly string[] {
  if (header === undefined) return NO_NAMES;
  return header
    .split(",")
    .map((name) => name.trim().toLowerCase())
    .filter((name) => name !== "");
}

/** Does the client give a digest of its body, as some documents demand? */
export function hasBodyDigest(call: Call): boolean {
  const { headers } = call.request;
  return (
    headers.has("content-md5") ||
    [...headers.keys()].some((name) => name.startsWith("x-amz-checksum-")) ||
    announcedTrailers(headers.get("x-amz-trailer")).length > 0
  );
}

export function contentMd5(header: string | undefined): Buffer | null {
  if (header === undefined) return null;
  const raw = Buffer.from(header, "base64");
  if (raw.length !== 16 || raw.toString("base64") !== header)
    throw new WireError("InvalidDigest", "The Content-Md5 you specified is not valid.", { contentMd5: header });
  return raw;
}

/** Payload bytes, from the headers. */
function bodySize(call: Call): number {
  const { headers } = call.request;
  if (call.identity.payload.kind === "chunked") {
    const decoded = headers.get("x-amz-decoded-content-length");
    if (decoded === undefined)
      throw new WireError("MissingContentLength", "A chunked upload needs x-amz-decoded-content-length.");
    return parseLength(decoded);
  }
  const length = headers.get("content-length");
  if (length !== undefined) return parseLength(length);
  if (headers.has("transfer-encoding"))
    throw new WireError("MissingContentLength", "You must provide the Content-Length HTTP header.");
  return 0;
}

function parseLength(text: string): number {
  const length = Number(text);
  if (!/^\d{1,16}$/.test(text) || !Number.isSafeInteger(length))
    throw new WireError("InvalidArgument", "The content length is not a number.");
  return length;
}

/** Fewer or more bytes than promised are errors of the client. */
class ExactBody implements RawBody {
  readonly sizeIsMax = false;
  private left: number;

  constructor(
    private readonly source: ByteSource,
    readonly sizeBytes: number,
    readonly trailers: ReadonlyMap<string, string> = NO_TRAILERS,
  ) {
    this.left = sizeBytes;
  }

  next(): Promise<Uint8Array | null> {
    return this.source.next().then((chunk) => this.counted(chunk));
  }

  private counted(chunk: Uint8Array | null): Uint8Array | null {
    if (chunk === null) {
      if (this.left > 0)
        throw new WireError(
          "IncompleteBody",
          "You did not provide the number of bytes specified by the Content-Length HTTP header.",
        );
      return null;
    }
    this.left -= chunk.length;
    if (this.left < 0) throw new WireError("ExcessData", "More data provided than indicated content length.");
    return chunk;
  }
}

/** A small document, whole and checked. `checksumOf`: what x-amz-checksum headers are about, if not the document. */
export async function readDocument(
  call: Call,
  bytesMax: number,
  checksumOf: "document" | "object" = "document",
): Promise<Uint8Array> {
  const body = checksumOf === "document" ? requestBody(call) : requestBody(call, null);
  if (body.sizeBytes > bytesMax)
    throw new WireError("MaxMessageLengthExceeded", S3_ERRORS.MaxMessageLengthExceeded.message);
  const chunks: Uint8Array[] = [];
  // Copies, which slice() of a Buffer is not: a chunk is valid until the next one.
  for (let chunk = await body.next(); chunk !== null; chunk = await body.next()) chunks.push(new Uint8Array(chunk));
  const document = Buffer.concat(chunks);
  body.verify(call.digest(document, body.digests));
  return document;
}
