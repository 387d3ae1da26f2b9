/**
 * Byte streams inside the server: two plain async interfaces that carry back pressure by being awaited.
 * Chunks are views that are valid until the next call; their sizes are whatever the socket gave.
 */
export interface ByteSource {
  /** The next bytes, or null at the end. Throws when the stream broke or failed its own checks. */
  next(): Promise<Uint8Array | null>;
}

export interface ByteSink {
  /** Resolves when `bytes` may be reused by the caller. Rejects when the receiver is gone. */
  write(bytes: Uint8Array): Promise<void>;
}

/** A source over bytes in memory. */
export function sourceOf(bytes: Uint8Array): ByteSource {
  let left: Uint8Array | null = bytes.length > 0 ? bytes : null;
  return {
    next() {
      const out = left;
      left = null;
      return Promise.resolve(out);
    },
  };
}
