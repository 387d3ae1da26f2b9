/**
 * aws-chunked: `hexlen[;chunk-signature=…] CRLF data CRLF`…, a zero chunk, and trailers. Verifies chunk and trailer
 * signatures; yields payload views as they come. Errors are the wire's. Source: s3-api.md §2.7.
 */
import { createHash, type Hash } from "node:crypto";
import type { ByteSource } from "../core/byte-stream.ts";
import type { ChunkSigner } from "./authenticate.ts";
import { EMPTY_SHA256, hmacHex, sameSignature, sha256Hex } from "./sigv4.ts";
import { WireError } from "./wire-error.ts";

const LINE_BYTES_MAX = 4096;
const TRAILER_BYTES_MAX = 16 * 1024;
const CHUNK_BYTES_MAX = 16 * 1024 * 1024;
const TRAILING_LINE_END_BYTES_MAX = 4;

export interface ChunkedOptions {
  readonly source: ByteSource;
  readonly signer: ChunkSigner | null;
  readonly trailer: boolean;
  /** Names announced in x-amz-trailer, lower case. */
  readonly announced: readonly string[];
}

export class ChunkedReader implements ByteSource {
  /** Trailers, once the end was reached. */
  readonly trailers = new Map<string, string>();
  private pending: Uint8Array | null = null;
  private left = 0; // payload bytes of the current chunk
  private hash: Hash | null = null;
  private signature = "";
  private previous: string;
  private state: "header" | "data" | "end" = "header";
  private first = true;

  constructor(private readonly options: ChunkedOptions) {
    this.previous = options.signer?.seed ?? "";
  }

  async next(): Promise<Uint8Array | null> {
    for (;;) {
      if (this.state === "end") return null;
      if (this.state === "header") await this.header();
      if (this.state !== "data") continue;
      const chunk = this.pending ?? (await this.options.source.next());
      if (chunk === null) throw new WireError("IncompleteBody", "The body ended in the middle of a chunk.");
      const take = Math.min(chunk.length, this.left);
      const bytes = take === chunk.length ? chunk : chunk.subarray(0, take);
      this.pending = take === chunk.length ? null : chunk.subarray(take);
      this.left -= take;
      this.hash?.update(bytes);
      if (this.left === 0) {
        this.checkChunk();
        this.state = "header";
      }
      return bytes;
    }
  }

  private async header(): Promise<void> {
    if (!this.first && (await this.line(2)) !== "") throw malformed();
    this.first = false;
    const line = await this.line(LINE_BYTES_MAX);
    const match = /^([0-9a-fA-F]{1,16})(?:;chunk-signature=([0-9a-f]{64}))?(?:;.*)?$/.exec(line);
    if (match === null) throw malformed();
    const bytes = Number.parseInt(match[1] as string, 16);
    if (bytes > CHUNK_BYTES_MAX) throw new WireError("BadRequest", "A chunk is larger than 16 MiB.");
    const { signer } = this.options;
    if (signer !== null && match[2] === undefined) throw malformed();
    this.signature = match[2] ?? "";
    this.hash = signer === null ? null : createHash("sha256");
    if (bytes > 0) {
      this.left = bytes;
      this.state = "data";
      return;
    }
    this.checkChunk();
    await this.trailer();
    this.state = "end";
    await this.demandEnd();
  }

  /** minio-go ends its trailers with one line end too many; anything else after the last chunk is too much. */
  private async demandEnd(): Promise<void> {
    let bytes = 0;
    let rest = this.pending ?? (await this.options.source.next());
    this.pending = null;
    for (; rest !== null; rest = await this.options.source.next()) {
      bytes += rest.length;
      if (bytes > TRAILING_LINE_END_BYTES_MAX || rest.some((byte) => byte !== 13 && byte !== 10))
        throw new WireError("ExcessData", "More data provided than indicated content length.");
    }
  }

  private checkChunk(): void {
    const { signer } = this.options;
    if (signer === null || this.hash === null) return;
    const digest = this.hash.digest("hex");
    const wanted = hmacHex(
      signer.key,
      `AWS4-HMAC-SHA256-PAYLOAD\n${signer.date}\n${signer.scope}\n${this.previous}\n${EMPTY_SHA256}\n${digest}`,
    );
    if (!sameSignature(wanted, this.signature))
      throw new WireError("SignatureDoesNotMatch", "A chunk's signature does not match.");
    this.previous = wanted;
    this.hash = null;
  }

  private async trailer(): Promise<void> {
    const { signer, announced } = this.options;
    if (!this.options.trailer) {
      const end = await this.line(2, true);
      if (end !== "" && end !== null) throw malformed();
      return;
    }
    let canonical = "";
    let signature: string | null = null;
    let hadEmptyLine = false;
    for (let bytes = 0; ; ) {
      const line = await this.line(LINE_BYTES_MAX, true);
      if (line === null) break;
      if (line === "") {
        // minio-go has an empty line between its trailers, if any, and their signature.
        if (signer === null || signature !== null || hadEmptyLine) break;
        hadEmptyLine = true;
        continue;
      }
      bytes += line.length;
      const colon = line.indexOf(":");
      if (colon < 0 || bytes > TRAILER_BYTES_MAX) throw malformed();
      const name = line.slice(0, colon).trim().toLowerCase();
      const value = line.slice(colon + 1).trim();
      if (name === "x-amz-trailer-signature") {
        signature = value;
        continue;
      }
      if (!announced.includes(name)) throw malformed();
      this.trailers.set(name, value);
      canonical += `${name}:${value}\n`;
    }
    if (announced.some((name) => !this.trailers.has(name)) || (signer === null && announced.length === 0))
      throw malformed();
    if (signer === null) return;
    const wanted = hmacHex(
      signer.key,
      `AWS4-HMAC-SHA256-TRAILER\n${signer.date}\n${signer.scope}\n${this.previous}\n${sha256Hex(canonical)}`,
    );
    if (signature === null || !sameSignature(wanted, signature))
      throw new WireError("SignatureDoesNotMatch", "The trailer's signature does not match.");
  }

  /** A line without its end, CRLF or LF. `atEnd`: null when the body ends here. */
  private async line(max: number): Promise<string>;
  private async line(max: number, atEnd: true): Promise<string | null>;
  private async line(max: number, atEnd = false): Promise<string | null> {
    const pieces: Uint8Array[] = [];
    let length = 0;
    for (;;) {
      const chunk = this.pending ?? (await this.options.source.next());
      this.pending = null;
      if (chunk === null) {
        if (atEnd && length === 0) return null;
        throw new WireError("IncompleteBody", "The body ended before its last chunk.");
      }
      const end = chunk.indexOf(10);
      const piece = end < 0 ? chunk : chunk.subarray(0, end);
      length += piece.length;
      if (length > max) throw malformed();
      pieces.push(new Uint8Array(piece)); // a copy, which slice() of a Buffer is not
      if (end < 0) continue;
      this.pending = end + 1 < chunk.length ? chunk.subarray(end + 1) : null;
      const text = Buffer.concat(pieces).toString("latin1");
      return text.endsWith("\r") ? text.slice(0, -1) : text;
    }
  }
}

function malformed(): WireError {
  return new WireError("BadRequest", "The chunked encoding of the body is malformed.");
}
