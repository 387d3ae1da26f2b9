/**
 * SelectObjectContent without the wire: opens the object, reads what the scan range asks for, and runs the statement over it
 * as it comes. Nothing is held but what SelectRun holds. Bytes.
 */
import type { Cancellation } from "../../core/cancellation.ts";
import type { ByteSink } from "../../core/byte-stream.ts";
import type { ObjectContext } from "../context.ts";
import { openObject } from "../get-object.ts";
import type { Packing } from "../unpack-stream.ts";
import type { OpenedObject } from "../types.ts";
import { gunzip, unpack } from "./decompress.ts";
import { SelectError } from "./errors.ts";
import type { OutputFormat } from "./output-format.ts";
import { ScanRange } from "./scan-range.ts";
import { headerOf, type InputFormat, SelectRun } from "./select-run.ts";
import type { Statement } from "./statement.ts";
import { RECORD_CHARACTERS_MAX } from "./value.ts";

export interface SelectObjectRequest {
  readonly bucket: string;
  readonly key: string;
  readonly versionId?: string;
  /** The client's key, if it sent one. */
  readonly customerKey?: Uint8Array | undefined;
  readonly signal: Cancellation;
  readonly statement: Statement;
  readonly input: InputFormat;
  /** null = not compressed. */
  readonly packing: Packing | null;
  readonly output: OutputFormat;
  /** Offsets, both inclusive; `first` null = the last `last` bytes. */
  readonly scanRange: { readonly first: number | null; readonly last: number | null } | null;
}

export interface SelectProgress {
  /** Of the object as stored. */
  readonly bytesScanned: number;
  /** After decompression. */
  readonly bytesProcessed: number;
}

export interface SelectReceiver {
  /** A block of the answer. */
  records(text: string): Promise<void>;
  /** Called now and then. */
  progress(progress: SelectProgress): Promise<void>;
}

export async function selectObject(
  ctx: ObjectContext,
  request: SelectObjectRequest,
  receiver: SelectReceiver,
): Promise<SelectProgress> {
  const { bucket, key, versionId, signal } = request;
  await using opened = await openObject(ctx, {
    bucket,
    key,
    versionId,
    customerKey: request.customerKey,
    conditions: {},
  });
  const sizeBytes = opened.info.sizeBytes;
  const range = scanRangeOf(request, sizeBytes);
  const run = new SelectRun({
    statement: request.statement,
    input: request.input,
    output: request.output,
    header: range?.skipsFirst === true ? await headerBefore(opened, request.input, sizeBytes) : null,
    nowMs: ctx.clock.nowMs(),
    elapsedMs: () => ctx.clock.elapsedMs(),
    yieldNow: () => ctx.clock.yieldNow(),
    emit: (text) => receiver.records(text),
  });
  const count = { bytesScanned: 0, bytesProcessed: 0 };
  const consume = async (bytes: Uint8Array): Promise<void> => {
    signal.throwIfAborted();
    count.bytesProcessed += bytes.length;
    await run.push(bytes);
    await receiver.progress(count);
    if (run.finished) throw new Finished();
  };
  const produce = (sink: ByteSink): Promise<void> => readAll(opened, range, sizeBytes, sink, count);
  try {
    if (run.finished) throw new Finished();
    if (request.packing === null) await produce({ write: consume });
    else if (request.packing === "gzip") await gunzip(produce, consume);
    else await unpack(ctx, request.packing, produce, consume);
  } catch (error) {
    if (!(error instanceof Finished)) throw error;
  }
  await run.end();
  return count;
}

/** Reading ends here, and it is no failure. */
class Finished extends Error {}

/** A read that breaks is tried again with other drives, whoever broke it: here the first failure stays the answer. */
function onceFailed(write: ByteSink["write"]): ByteSink["write"] {
  let failure: { readonly error: unknown } | null = null;
  return async (bytes) => {
    if (failure !== null) throw failure.error;
    try {
      await write(bytes);
    } catch (error) {
      failure = { error };
      throw error;
    }
  };
}

async function readAll(
  opened: OpenedObject,
  range: ScanRange | null,
  sizeBytes: number,
  sink: ByteSink,
  count: { bytesScanned: number },
): Promise<void> {
  const write = onceFailed(async (bytes) => {
    count.bytesScanned += bytes.length;
    const wanted = range === null ? bytes : range.take(bytes);
    if (wanted.length > 0) await sink.write(wanted);
    if (range?.finished === true) throw new Finished();
  });
  const from = range?.readFrom ?? 0;
  if (from >= sizeBytes) return;
  const { inline } = opened;
  if (inline === null) await opened.stream({ write }, from, sizeBytes - from);
  else await write(inline.subarray(from));
  const rest = range?.rest() ?? null;
  if (rest !== null && rest.length > 0) await sink.write(rest);
}

function scanRangeOf(request: SelectObjectRequest, sizeBytes: number): ScanRange | null {
  const { scanRange, input, packing } = request;
  if (scanRange === null) return null;
  const isSupported =
    packing === null && (input.kind === "csv" ? !input.csv.allowQuotedRecordDelimiter : input.type === "LINES");
  if (!isSupported)
    throw new SelectError(
      "UnsupportedScanRangeInput",
      "A scan range is possible for uncompressed CSV without quoted record delimiters and for JSON in lines.",
    );
  const { first, last } = scanRange;
  const start = first ?? Math.max(0, sizeBytes - (last ?? 0));
  const end = first === null || last === null ? sizeBytes - 1 : Math.min(last, sizeBytes - 1);
  if (start > end || start >= sizeBytes)
    throw new SelectError("InvalidScanRange", "The scan range is not valid for the size of the object.");
  const delimiter = input.kind === "csv" ? input.csv.recordDelimiter : "\n";
  return new ScanRange(start, end, Buffer.from(delimiter));
}

/** The header of a file of which a later part is read; without FileHeaderInfo=USE, no names. */
async function headerBefore(
  opened: OpenedObject,
  input: InputFormat,
  sizeBytes: number,
): Promise<readonly string[] | null> {
  if (input.kind !== "csv" || input.header === "NONE") return null;
  if (input.header === "IGNORE") return [];
  const length = Math.min(sizeBytes, RECORD_CHARACTERS_MAX);
  let read: Uint8Array = new Uint8Array(0);
  let header: readonly string[] | null = null;
  const write = onceFailed((bytes) => {
    read = Buffer.concat([read, bytes]);
    header = headerOf(read, input.csv, false);
    return header === null ? Promise.resolve() : Promise.reject(new Finished());
  });
  try {
    const { inline } = opened;
    if (inline === null) await opened.stream({ write }, 0, length);
    else await write(inline.subarray(0, length));
  } catch (error) {
    if (!(error instanceof Finished)) throw error;
  }
  return header ?? headerOf(read, input.csv, true) ?? [];
}
