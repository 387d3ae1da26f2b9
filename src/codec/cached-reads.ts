/**
 * CachedReads: reads of SQLite on this thread that take only what the kernel has in memory (native/sqlite-cached.c). SQLite loads the codec's
 * library once more, as its extension, and opens files through the layer that it adds.
 */
import type { Codec } from "./native.ts";

export class CachedReads {
  readonly extension: { readonly library: string; readonly entryPoint: string };
  private readonly span = new BigInt64Array(new ArrayBuffer(1024));

  constructor(private readonly codec: Codec) {
    this.extension = { library: codec.library, entryPoint: "sherd_sqlite_cached" };
  }

  /** The layer's name, once the extension is loaded. */
  get layer(): string {
    const name = new Uint8Array(new ArrayBuffer(1024));
    this.codec.symbols.sherd_cached_vfs(this.codec.ptr(name));
    return new TextDecoder().decode(name.subarray(0, name.indexOf(0)));
  }

  /** From here to `stop` a read that would wait for the drive fails. */
  start(): void {
    this.codec.symbols.sherd_only_cached(1);
  }
  stop(): void {
    this.codec.symbols.sherd_only_cached(0);
  }

  /** Before `stop`: what a read failed for, by an open descriptor; null = none did. */
  missed(): { readonly descriptor: number; readonly offset: number; readonly bytes: number } | null {
    const descriptor = this.codec.symbols.sherd_cached_missed(this.codec.ptr(this.span));
    return descriptor < 0 ? null : { descriptor, offset: Number(this.span[0]), bytes: Number(this.span[1]) };
  }
}
