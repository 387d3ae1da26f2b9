/**
 * multipart/form-data of a POST upload, read as it arrives: the fields before the file, then the file's bytes as a source.
 * Bounded: fields, their number, names and headers; the file's bytes pass through. What follows the file is read and ignored.
 * Field names are lower case, values are bytes read as UTF-8. Bytes. Source: s3-api.md §2.9, RFC 7578.
 */
import type { ByteSource } from "../core/byte-stream.ts";
import { WireError } from "./wire-error.ts";

const FIELDS_MAX = 1000;
const FIELD_BYTES_MAX = 1024 * 1024;
const ALL_FIELDS_BYTES_MAX = 10 * 1024 * 1024;
const PART_HEADER_BYTES_MAX = 8 * 1024;
const PREAMBLE_BYTES_MAX = 8 * 1024;
const ROOM_BYTES_MIN = 16 * 1024;
const EMPTY = Buffer.alloc(0);

export interface Form {
  readonly fields: ReadonlyMap<string, string>;
  /** As the client calls its file, without folders; "" = no name. */
  readonly fileName: string;
  /** Ends where the file ends, after all of the body was read. */
  readonly file: ByteSource;
  /** Bytes of the body before the first one of the file. */
  readonly bytesBefore: number;
  /** Bytes that follow the file at least. */
  readonly bytesAfterMin: number;
}

/** The boundary of a Content-Type; null = it is not a form. */
export function formBoundary(contentType: string | undefined): string | null {
  const match = /^multipart\/form-data\s*;(?:[^"]*;)?\s*boundary=(?:"([^"]{1,70})"|([^\s;"]{1,70}))/i.exec(
    contentType ?? "",
  );
  return match === null ? null : (match[1] ?? (match[2] as string));
}

/** Reads up to the file, which there must be. */
export async function openForm(body: ByteSource, boundary: string): Promise<Form> {
  const reader = new FormReader(body, boundary);
  await reader.skipPreamble();
  const fields = new Map<string, string>();
  let bytes = 0;
  while (await reader.hasNextPart()) {
    const { name, fileName } = await reader.partHeader();
    if (name === "file")
      return {
        fields,
        fileName,
        file: reader.content(),
        bytesBefore: reader.consumed,
        bytesAfterMin: reader.delimiterBytes + 2,
      };
    const value = await reader.value();
    bytes += name.length + value.length;
    if (fields.size >= FIELDS_MAX || bytes > ALL_FIELDS_BYTES_MAX)
      throw new WireError("EntityTooLarge", "The form has too many fields, or too long ones.");
    if (fields.has(name)) throw new WireError("InvalidArgument", `The form has more than one field ${name}.`);
    fields.set(name, value);
  }
  throw new WireError("InvalidArgument", "POST requires exactly one file upload per request.");
}

class FormReader {
  private room: Buffer = EMPTY;
  /** Received, not used yet: a piece of the room. */
  private held: Buffer = EMPTY;
  private readonly delimiter: Buffer;
  private taken = 0;

  constructor(
    private readonly source: ByteSource,
    private readonly boundary: string,
  ) {
    this.delimiter = Buffer.from(`\r\n--${boundary}`, "latin1");
  }

  get consumed(): number {
    return this.taken;
  }
  get delimiterBytes(): number {
    return this.delimiter.length;
  }

  async skipPreamble(): Promise<void> {
    await this.atLeast(this.delimiter.length);
    if (this.held.subarray(0, this.delimiter.length - 2).toString("latin1") === `--${this.boundary}`) {
      this.take(this.delimiter.length - 2);
      return;
    }
    await this.until(this.delimiter, PREAMBLE_BYTES_MAX, "The form does not begin with its boundary.");
  }

  /** After a boundary: a part, or the end. */
  async hasNextPart(): Promise<boolean> {
    await this.atLeast(2);
    const two = this.take(2).toString("latin1");
    if (two === "\r\n") return true;
    if (two === "--") return false;
    throw malformedForm("A boundary of the form does not end its line.");
  }

  async partHeader(): Promise<{ readonly name: string; readonly fileName: string }> {
    const lines = await this.until(
      Buffer.from("\r\n\r\n"),
      PART_HEADER_BYTES_MAX,
      "The header of a part of the form is too long.",
    );
    const disposition = lines
      .toString("utf8")
      .split("\r\n")
      .find((line) => /^content-disposition\s*:/i.test(line));
    if (disposition === undefined || !/^[^:]*:\s*form-data\s*(;|$)/i.test(disposition))
      throw malformedForm("A part of the form has no Content-Disposition of form-data.");
    const name = parameter(disposition, "name");
    if (name === null || name === "") throw malformedForm("A part of the form has no name.");
    const fileName = parameter(disposition, "filename") ?? "";
    return {
      name: name.toLowerCase(),
      fileName: fileName.slice(Math.max(...["/", "\\"].map((c) => fileName.lastIndexOf(c))) + 1),
    };
  }

  async value(): Promise<string> {
    const bytes = await this.until(this.delimiter, FIELD_BYTES_MAX, "A field of the form is too long.");
    try {
      return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
    } catch (cause) {
      throw new WireError("InvalidArgument", "A field of the form is not UTF-8.", {}, { cause });
    }
  }

  /** The bytes up to the next boundary; after them the rest of the body is read. */
  content(): ByteSource {
    let isOver = false;
    let bytes = this.held;
    let isFirst = true;
    return {
      next: async () => {
        while (!isOver) {
          if (!isFirst) bytes = await this.heldAndMore();
          isFirst = false;
          const end = bytes.indexOf(this.delimiter);
          if (end >= 0) {
            isOver = true;
            this.held = EMPTY;
            const last = Buffer.from(bytes.subarray(0, end)); // its chunk is gone when the rest is read
            await this.drain(bytes.subarray(end + this.delimiter.length));
            if (last.length > 0) return last;
            break;
          }
          const sure = bytes.length - this.openTail(bytes);
          this.held = Buffer.from(bytes.subarray(sure));
          if (sure > 0) return bytes.subarray(0, sure);
        }
        return null;
      },
    };
  }

  /** Bytes at the end that may be the beginning of a delimiter. */
  private openTail(bytes: Buffer): number {
    const from = Math.max(0, bytes.length - this.delimiter.length + 1);
    for (let at = bytes.indexOf(13, from); at >= 0; at = bytes.indexOf(13, at + 1)) {
      const tail = bytes.subarray(at);
      if (tail.equals(this.delimiter.subarray(0, tail.length))) return tail.length;
    }
    return 0;
  }

  private async drain(after: Uint8Array): Promise<void> {
    let first = Buffer.from(after.subarray(0, 2));
    for (let chunk = await this.source.next(); chunk !== null; chunk = await this.source.next())
      if (first.length < 2) first = Buffer.concat([first, chunk.subarray(0, 2 - first.length)]);
    const end = first.toString("latin1");
    if (end !== "--" && end !== "\r\n") throw malformedForm("The boundary after the file does not end its line.");
  }

  private async heldAndMore(): Promise<Buffer> {
    const chunk = await this.source.next();
    if (chunk === null) throw ended();
    const more = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
    if (this.held.length === 0) return more;
    const { held } = this;
    this.held = EMPTY;
    return Buffer.concat([held, more]);
  }

  /** What precedes `mark`; both are consumed. */
  private async until(mark: Buffer, bytesMax: number, tooLong: string): Promise<Buffer> {
    let from = 0;
    for (;;) {
      const at = this.held.indexOf(mark, from);
      if (at > bytesMax) throw new WireError("EntityTooLarge", tooLong);
      if (at >= 0) {
        const found = this.take(at);
        this.take(mark.length);
        return found;
      }
      if (this.held.length > bytesMax + mark.length) throw new WireError("EntityTooLarge", tooLong);
      from = Math.max(0, this.held.length - mark.length + 1);
      await this.more();
    }
  }

  private async atLeast(bytes: number): Promise<void> {
    while (this.held.length < bytes) await this.more();
  }

  private async more(): Promise<void> {
    const chunk = await this.source.next();
    if (chunk === null) throw ended();
    // Room is doubled, so that a body in many small pieces is not copied again for each of them.
    const bytes = this.held.length + chunk.length;
    const start = this.held.byteOffset - this.room.byteOffset;
    if (this.held.length === 0 || start + bytes > this.room.length) {
      this.room = Buffer.allocUnsafeSlow(Math.max(2 * bytes, ROOM_BYTES_MIN));
      this.held.copy(this.room);
      this.held = this.room.subarray(0, this.held.length);
    }
    const from = this.held.byteOffset - this.room.byteOffset;
    this.room.set(chunk, from + this.held.length);
    this.held = this.room.subarray(from, from + bytes);
  }

  private take(bytes: number): Buffer {
    const taken = this.held.subarray(0, bytes);
    this.held = this.held.subarray(bytes);
    this.taken += bytes;
    return taken;
  }
}

/** A parameter of a Content-Disposition, quoted or not. */
function parameter(disposition: string, name: string): string | null {
  const match = new RegExp(`;\\s*${name}\\s*=\\s*(?:"((?:[^"\\\\]|\\\\.)*)"|([^;"\\s]+))`, "i").exec(disposition);
  if (match === null) return null;
  return match[1] === undefined ? (match[2] as string) : match[1].replaceAll('\\"', '"');
}

function malformedForm(message: string): WireError {
  return new WireError("MalformedPOSTRequest", message);
}

function ended(): WireError {
  return new WireError("IncompleteBody", "The body of your POST request ends before the form does.");
}
