/**
 * A byte source that runs through a transform of the runtime (inflate, zstd), whose work is done in the runtime's threads. Back
 * pressure goes through. Bytes.
 */
import { once } from "node:events";
import type { Transform } from "node:stream";
import type { ByteSource } from "../core/byte-stream.ts";

export interface TransformedSource extends ByteSource, AsyncDisposable {}

/** `broken` makes the error of input that the transform cannot read; the source's own errors come as they are. */
export function throughTransform(
  source: ByteSource,
  transform: Transform,
  broken: (cause: unknown) => Error,
): TransformedSource {
  const chunks = transform[Symbol.asyncIterator]() as AsyncIterator<Uint8Array>;
  let failure: unknown = null;
  const pump = async (): Promise<void> => {
    try {
      for (let chunk = await source.next(); chunk !== null; chunk = await source.next()) {
        if (transform.destroyed) return;
        // A copy: the chunk is gone when the next one is asked for, the transform may still read it.
        if (!transform.write(new Uint8Array(chunk)))
          await Promise.race([once(transform, "drain"), once(transform, "close")]);
      }
      transform.end();
    } catch (error) {
      failure = error;
      transform.destroy();
    }
  };
  const pumped = pump();
  return {
    async next() {
      try {
        const { value, done } = await chunks.next();
        if (done !== true) return value;
      } catch (cause) {
        if (failure === null) throw broken(cause);
      }
      if (failure !== null) throw failure;
      return null;
    },
    async [Symbol.asyncDispose]() {
      const isOver = transform.writableFinished;
      transform.destroy();
      if (isOver) await pumped; // else it waits for a client of whom no more is wanted
    },
  };
}
