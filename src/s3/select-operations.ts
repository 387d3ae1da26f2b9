/**
 * SelectObjectContent on the wire: the request's document in, an event stream out. The head is sent with the first frame: a
 * failure before it is an ordinary error, one after it a frame of the stream, then the end. Source: s3-api.md §4.20.
 */
import { type SelectProgress, selectObject } from "../object/select/select-object.ts";
import type { ByteSink } from "../core/byte-stream.ts";
import { HttpError } from "../sys/http.ts";
import type { Call, Reply } from "./call.ts";
import { readingKeyFrom } from "./encryption-headers.ts";
import { errorCodeOf, errorMessageOf, errorStatusOf } from "./error-reply.ts";
import { continuationFrame, countsFrame, endFrame, errorFrame, recordsFrame } from "./event-stream.ts";
import { refuseUnsupported, versionIdFrom } from "./headers.ts";
import { readDocument } from "./request-body.ts";
import { parseSelectRequest } from "./select-request.ts";
import { WireError } from "./wire-error.ts";

/** An expression of 256 KiB, all of it escaped, and the rest. */
const DOCUMENT_BYTES_MAX = 2 * 1024 * 1024;
const FRAME_PAYLOAD_BYTES_MAX = 128 * 1024;
const PROGRESS_MS = 1000;
/** Without a frame for so long, one says that work goes on. */
const SILENCE_MS = 5000;

export async function selectObjectContent(call: Call): Promise<Reply | null> {
  if (call.query.get("select-type") !== "2")
    throw new WireError("InvalidRequest", "The select-type of SelectObjectContent must be 2.");
  if (call.request.headers.has("range"))
    throw new WireError("UnsupportedRangeHeader", "A Range header is not supported for this operation.");
  refuseUnsupported(call);
  const request = parseSelectRequest(await readDocument(call, DOCUMENT_BYTES_MAX));
  const versionId = versionIdFrom(call.query.get("versionId"));
  const stream = new SelectStream(call, request.withProgress);
  try {
    const counts = await selectObject(
      call.objects,
      {
        bucket: call.bucket,
        key: call.key,
        signal: call.request.signal,
        customerKey: readingKeyFrom(call),
        ...request,
        ...(versionId === undefined ? {} : { versionId }),
      },
      stream,
    );
    await stream.finish(counts);
  } catch (error) {
    // What the client cannot be told, or what needs the log, is the pipeline's.
    if (!call.response.headSent || error instanceof HttpError || errorStatusOf(errorCodeOf(error)) >= 500) throw error;
    await stream.fail(errorCodeOf(error), errorMessageOf(error));
  }
  return null;
}

class SelectStream {
  private sink: ByteSink | null = null;
  private returned = 0;
  private lastFrameMs: number;
  private lastProgressMs: number;

  constructor(
    private readonly call: Call,
    private readonly withProgress: boolean,
  ) {
    this.lastFrameMs = this.lastProgressMs = call.objects.clock.elapsedMs();
  }

  async records(text: string): Promise<void> {
    const bytes = Buffer.from(text, "utf8");
    for (let from = 0; from < bytes.length; ) {
      const to = endOfCharacter(bytes, Math.min(from + FRAME_PAYLOAD_BYTES_MAX, bytes.length));
      await this.write(recordsFrame(bytes.subarray(from, to)));
      this.returned += to - from;
      from = to;
    }
  }

  async progress(counts: SelectProgress): Promise<void> {
    const now = this.call.objects.clock.elapsedMs();
    if (this.withProgress && now - this.lastProgressMs >= PROGRESS_MS) await this.showProgress(counts);
    else if (now - this.lastFrameMs >= SILENCE_MS) await this.write(continuationFrame());
  }

  async finish(counts: SelectProgress): Promise<void> {
    if (this.withProgress) await this.showProgress(counts);
    await this.write(countsFrame("Stats", this.counts(counts)));
    await this.write(endFrame());
    await this.call.response.end();
  }

  async fail(code: string, message: string): Promise<void> {
    await this.write(errorFrame(code, message));
    await this.call.response.end();
  }

  private async showProgress(counts: SelectProgress): Promise<void> {
    this.lastProgressMs = this.call.objects.clock.elapsedMs();
    await this.write(countsFrame("Progress", this.counts(counts)));
  }

  private counts({ bytesScanned, bytesProcessed }: SelectProgress): Parameters<typeof countsFrame>[1] {
    return { scanned: bytesScanned, processed: bytesProcessed, returned: this.returned };
  }

  private async write(frame: Uint8Array): Promise<void> {
    this.sink ??= this.call.response.start(
      200,
      [["Content-Type", "application/octet-stream"], ...this.call.commonHeaders],
      null,
    );
    await this.sink.write(frame);
    this.lastFrameMs = this.call.objects.clock.elapsedMs();
  }
}

/** A place at or before `at` that is not inside of a UTF-8 character, so that each payload can be decoded alone. */
function endOfCharacter(bytes: Uint8Array, at: number): number {
  let end = at;
  while (end < bytes.length && ((bytes[end] as number) & 0xc0) === 0x80) end--;
  return end;
}
