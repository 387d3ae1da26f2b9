/** Compressed input. node:zlib inflates gzip in its own threads; what is held is bounded by buffers, not by the file. */
import { createGunzip } from "node:zlib";
import type { ByteSink } from "../../core/byte-stream.ts";
import { pipeContent } from "../pipe-content.ts";
import { type Packing, type UnpackMeans, unpackStream } from "../unpack-stream.ts";
import { SelectError } from "./errors.ts";

/**
 * Runs `produce` into a decompressor whose output goes to `consume`, chunk by chunk. The first failure of either ends both,
 * that of the consumer before that of the producer, which may be its echo.
 */
export async function gunzip(
  produce: (sink: ByteSink) => Promise<void>,
  consume: (bytes: Uint8Array) => Promise<void>,
): Promise<void> {
  const inflate = createGunzip();
  // The callback of a write that is under way when the stream breaks is never called: its end is told by "close".
  let broken: ((error: Error) => void) | null = null;
  inflate.on("close", () => broken?.(new Closed()));
  const write = (bytes: Uint8Array): Promise<void> =>
    new Promise((resolve, reject) => {
      broken = reject;
      inflate.write(bytes, (error) => (error ? reject(error) : resolve()));
    });
  const produced = produce({ write }).then(
    () => {
      inflate.end();
      return null;
    },
    (error: unknown) => {
      inflate.destroy();
      return { error };
    },
  );
  const consumed = consumeAll(inflate, consume).then(
    () => null,
    (error: unknown) => {
      inflate.destroy();
      return { error };
    },
  );
  const [failedOutput, failedInput] = [await consumed, await produced];
  const failure =
    failedOutput !== null && !isPremature(failedOutput.error) ? failedOutput : (failedInput ?? failedOutput);
  if (failure !== null) throw failure.error;
}

/** The same for the other formats. */
export async function unpack(
  means: UnpackMeans,
  packing: Packing,
  produce: (sink: ByteSink) => Promise<void>,
  consume: (bytes: Uint8Array) => Promise<void>,
): Promise<void> {
  await using packed = pipeContent({ stream: produce }, 0, 1);
  await using plain = await unpackStream(means, packed, () => notIn(packing), packing);
  for (let bytes = await plain.next(); bytes !== null; bytes = await plain.next()) await consume(bytes);
}

async function consumeAll(
  inflate: AsyncIterable<unknown>,
  consume: (bytes: Uint8Array) => Promise<void>,
): Promise<void> {
  const chunks = inflate[Symbol.asyncIterator]();
  for (;;) {
    const { done, value } = await chunks.next().catch((error: unknown) => {
      throw asSelectError(error);
    });
    if (done === true) return;
    await consume(value as Uint8Array);
  }
}

class Closed extends Error {}

/** The stream was taken down from the other side. */
function isPremature(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "ERR_STREAM_PREMATURE_CLOSE";
}

function asSelectError(error: unknown): unknown {
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  if (code === "Z_BUF_ERROR")
    return new SelectError("TruncatedInput", "Object decompression failed: the compressed data ends too early.");
  return code.startsWith("Z_") ? notIn("gzip") : error;
}

function notIn(packing: Packing): SelectError {
  return new SelectError(
    "InvalidCompressionFormat",
    `The file is not in the compression format that was given: ${packing.toUpperCase()}.`,
  );
}
