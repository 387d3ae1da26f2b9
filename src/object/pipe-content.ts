/**
 * pipeContent: a version's bytes as a body for another write, for copies. The reader's blocks are handed over one at a time: the
 * writer's call of `next` is what lets the reader go on, so nothing piles up. Disposed, the reader ends too, wherever it is: a
 * copy that fails must not keep the memory of what it was reading.
 */
import type { ByteSource } from "../core/byte-stream.ts";
import type { Content } from "./content.ts";

export interface PipedContent extends ByteSource, AsyncDisposable {}

class Ended extends Error {}

export function pipeContent(reader: Pick<Content, "stream">, offset: number, length: number): PipedContent {
  let ready: Uint8Array | null = null;
  let taken: PromiseWithResolvers<void> | null = null;
  let waiting: (() => void) | null = null;
  let isFinished = false;
  let isClosed = false;
  let failure: unknown = null;
  let running: Promise<void> | null = null;
  const wake = (): void => {
    const resume = waiting;
    waiting = null;
    resume?.();
  };
  const write = async (bytes: Uint8Array): Promise<void> => {
    if (isClosed) throw new Ended("nobody reads on");
    const handed = Promise.withResolvers<void>();
    ready = bytes;
    taken = handed;
    wake();
    await handed.promise;
  };
  const end = (error: unknown): void => {
    failure = error;
    isFinished = true;
    wake();
  };
  const start = (): Promise<void> =>
    reader.stream({ write }, offset, length).then(
      () => end(null),
      (error: unknown) => end(error),
    );
  return {
    async next() {
      if (length === 0) return null;
      if (running === null) running = start();
      else if (ready === null) taken?.resolve(); // the chunk given out before may be reused now
      for (;;) {
        if (ready !== null) {
          const bytes: Uint8Array = ready;
          ready = null;
          return bytes;
        }
        if (failure !== null) throw failure;
        if (isFinished) return null;
        await new Promise<void>((resolve) => {
          waiting = resolve;
        });
      }
    },
    async [Symbol.asyncDispose]() {
      isClosed = true;
      taken?.reject(new Ended("nobody reads on")); // nothing, if that chunk was read
      await running;
    },
  };
}
