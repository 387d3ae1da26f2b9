/**
 * pipeContent: a version's bytes as a body for another write, for copies. The reader's blocks are handed over one at a
 * time: the writer's call of `next` is what lets the reader go on, so nothing piles up.
 */
import type { ByteSource } from "../core/byte-stream.ts";
import type { Content } from "./content.ts";

export function pipeContent(reader: Pick<Content, "stream">, offset: number, length: number): ByteSource {
  let ready: { readonly bytes: Uint8Array; readonly taken: () => void } | null = null;
  let waiting: (() => void) | null = null;
  let finished = false;
  let failure: unknown = null;
  let started = false;
  let current: (() => void) | null = null;
  const wake = (): void => {
    const resume = waiting;
    waiting = null;
    resume?.();
  };
  const start = (): void => {
    started = true;
    const write = async (bytes: Uint8Array): Promise<void> => {
      const { promise, resolve } = Promise.withResolvers<void>();
      ready = { bytes, taken: resolve };
      wake();
      await promise;
    };
    reader.stream({ write }, offset, length).then(
      () => {
        finished = true;
        wake();
      },
      (error: unknown) => {
        failure = error;
        finished = true;
        wake();
      },
    );
  };
  return {
    async next() {
      if (length === 0) return null;
      if (!started) start();
      current?.(); // the chunk given out before may be reused now
      current = null;
      for (;;) {
        if (ready !== null) {
          const { bytes, taken } = ready as { bytes: Uint8Array; taken: () => void };
          ready = null;
          current = taken;
          return bytes;
        }
        if (failure !== null) throw failure;
        if (finished) return null;
        await new Promise<void>((resolve) => {
          waiting = resolve;
        });
      }
    },
  };
}
