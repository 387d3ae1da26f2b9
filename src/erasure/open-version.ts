/**
 * Opening a version for reading. Inline data is verified and put together at once; files are streamed block by block.
 * If what the first drives gave is not enough, the key is read from all of them, once.
 */
import { decodeInline } from "../codec/bitrot.ts";
import type { ByteSink } from "../core/byte-stream.ts";
import type { ErasureSet } from "./erasure-set.ts";
import type { ObjectPath } from "../storage/drive.ts";
import { streamShards } from "./read-shards.ts";
import { type KeyReading, pickVersion, readKey, readKeyPatiently } from "./read-version.ts";
import { type ShardSources, shardSources } from "./stored-version.ts";
import type { MergedVersion } from "./quorum.ts";
import type { StoredVersion, VersionReader } from "./store.ts";

export interface OpenedData {
  readonly inline: Uint8Array | null;
  stream(sink: ByteSink, offset: number, length: number): Promise<void>;
}

/** Of a version that has none. */
export const NO_DATA: OpenedData = { inline: null, stream: () => Promise.resolve() };

/** Null: the version is not there any more. A promise only where more drives must be asked. */
export function openData(
  set: ErasureSet,
  reading: KeyReading,
  merged: MergedVersion,
): OpenedData | Promise<OpenedData | null> {
  const sources = shardSources(reading, merged);
  if (sources.sizeBytes === 0) return new DataInMemory(new Uint8Array(0));
  const content = inlineContent(set, sources);
  if (content !== null) return new DataInMemory(content);
  return isInline(sources) ? openMixed(set, reading, merged) : new DataInFiles(set, reading, merged);
}

export class DataInMemory implements OpenedData {
  constructor(readonly inline: Uint8Array) {}

  stream(sink: ByteSink, offset: number, length: number): Promise<void> {
    return length === 0 ? Promise.resolve() : sink.write(this.inline.subarray(offset, offset + length));
  }
}

class DataInFiles implements OpenedData {
  readonly inline = null;

  constructor(
    private readonly set: ErasureSet,
    private readonly reading: KeyReading,
    private readonly merged: MergedVersion,
  ) {}

  stream(sink: ByteSink, offset: number, length: number): Promise<void> {
    return streamFiles(this.set, this.reading, this.merged, sink, { offset, length });
  }
}

/** A version whose files stay until it is disposed. */
export class PinnedVersion implements VersionReader {
  constructor(
    readonly version: StoredVersion,
    private readonly data: OpenedData,
    private readonly pin: Disposable,
  ) {}

  get inline(): Uint8Array | null {
    return this.data.inline;
  }

  stream(sink: ByteSink, offset: number, length: number): Promise<void> {
    return this.data.stream(sink, offset, length);
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.pin[Symbol.dispose]();
    return Promise.resolve();
  }
}

/** Some shards are inline, but too few good ones among the drives asked so far: all are asked, then mixed with files. */
async function openMixed(set: ErasureSet, reading: KeyReading, merged: MergedVersion): Promise<OpenedData | null> {
  const all = reading.partial ? await readKeyPatiently(set, reading.key) : reading;
  const again = pickVersion(all, merged.header.versionId)?.found;
  if (again?.header.modTime !== merged.header.modTime) return null;
  const fuller = shardSources(all, again);
  const whole = inlineContent(set, fuller) ?? (await mixedContent(set, fuller));
  return new DataInMemory(whole);
}

function isInline(sources: ShardSources): boolean {
  return sources.inline.some((data) => data !== undefined);
}

function inlineContent(set: ErasureSet, sources: ShardSources): Uint8Array | null {
  const { k, m, blockBytes } = sources.layout;
  let have = 0;
  for (const data of sources.inline) if (data !== undefined) have++;
  if (have < k) return null;
  const { data, bad } = decodeInline(set.resources.codec, sources.inline, {
    sizeBytes: sources.sizeBytes,
    k,
    m,
    blockBytes,
  });
  if (bad.length > 0)
    set.resources.damage.report({ bucket: sources.layout.key.bucket, path: sources.layout.key.path, why: "shard" });
  return data;
}

/** Shards partly in xl.meta and partly in files (drives written by different releases): small, so read whole. */
async function mixedContent(set: ErasureSet, sources: ShardSources): Promise<Uint8Array> {
  const { layout } = sources;
  const part = layout.parts[0]?.number ?? 1;
  const streams = await Promise.all(
    layout.places.map(async (place, shard) => {
      const inline = sources.inline[shard];
      if (inline !== undefined || place === null) return inline;
      return await readShardFile(set, sources, { position: place.position, dataDir: place.dataDir, part });
    }),
  );
  const { k, m, blockBytes } = layout;
  const { data } = decodeInline(set.resources.codec, streams, { sizeBytes: sources.sizeBytes, k, m, blockBytes });
  if (data === null) return await collect(set, sources);
  return data;
}

async function readShardFile(
  set: ErasureSet,
  sources: ShardSources,
  file: { position: number; dataDir: string; part: number },
): Promise<Uint8Array | undefined> {
  const { k, blockBytes, key } = sources.layout;
  const full = Math.ceil(blockBytes / k);
  const frames: { slot: Uint8Array; offset: number }[] = [];
  const blocks = Math.ceil(sources.sizeBytes / blockBytes);
  const lastShard = Math.ceil((sources.sizeBytes - (blocks - 1) * blockBytes) / k);
  const stream = new Uint8Array(new ArrayBuffer((blocks - 1) * (32 + full) + 32 + lastShard + 1024));
  for (let b = 0; b < blocks; b++)
    frames.push({
      slot: stream.subarray(b * (32 + full), b * (32 + full) + 32 + (b === blocks - 1 ? lastShard : full)),
      offset: b * (32 + full),
    });
  const outcome = await set.drives[file.position]?.readFrames(
    { ...key, dataDir: file.dataDir, part: file.part },
    frames,
  );
  return outcome?.ok === true ? stream.subarray(0, (blocks - 1) * (32 + full) + 32 + lastShard) : undefined;
}

async function collect(set: ErasureSet, sources: ShardSources): Promise<Uint8Array> {
  const out = new Uint8Array(sources.sizeBytes);
  let at = 0;
  const sink: ByteSink = {
    write(bytes) {
      out.set(bytes, at);
      at += bytes.length;
      return Promise.resolve();
    },
  };
  await streamShards(set, sources.layout, { offset: 0, length: sources.sizeBytes }, sink);
  return out;
}

async function streamFiles(
  set: ErasureSet,
  reading: KeyReading,
  merged: MergedVersion,
  sink: ByteSink,
  range: { offset: number; length: number },
): Promise<void> {
  let sent = 0;
  const counting: ByteSink = {
    async write(bytes) {
      await sink.write(bytes);
      sent += bytes.length;
    },
  };
  let known = reading;
  let found = merged;
  for (const ask of [askAll, readKeyPatiently, null]) {
    const rest = { offset: range.offset + sent, length: range.length - sent };
    const canAskMore = ask !== null && isIncomplete(known);
    try {
      await streamShards(set, shardSources(known, found).layout, { ...rest, canAskMore }, counting);
      return;
    } catch (error) {
      // The drives asked first hold the data shards; the others are known only when all are asked, or waited for.
      if (!canAskMore || sent === range.length) throw error;
      const more = await ask(set, reading.key);
      const again = pickVersion(more, merged.header.versionId)?.found;
      if (again === undefined || again.header.modTime !== merged.header.modTime) throw error;
      known = more;
      found = again;
    }
  }
}

function askAll(set: ErasureSet, key: ObjectPath): Promise<KeyReading> {
  return readKey(set, key, true);
}

/** Drives were not asked, or not waited for. */
function isIncomplete({ partial, states }: KeyReading): boolean {
  return partial || states.includes(undefined);
}
