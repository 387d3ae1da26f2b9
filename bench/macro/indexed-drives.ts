/**
 * Key indexes of many keys, written directly to drives that a server made: the objects themselves are not there. What starts and
 * lists does not look for them; what reads or heals them would.
 */
import { indexRow } from "../../src/storage/index-row.ts";
import { KeyIndex } from "../../src/storage/key-index.ts";
import { SummaryCache } from "../../src/storage/version-summary.ts";
import { XlMeta } from "../../src/storage/xl-meta.ts";
import { SqliteTables } from "../../src/sys/sqlite-tables.ts";

export const PREFIXES = 100;
const ROWS_AT_ONCE = 8_192;

function object(): XlMeta {
  const meta = XlMeta.empty();
  meta.setVersion({
    type: 1,
    versionId: "null",
    dataDir: "0b9a3d2e-4b2c-4d5e-8f60-718293a4b5c6",
    dataShards: 2,
    parityShards: 2,
    blockSizeBytes: 1_048_576,
    erasureIndex: 1,
    distribution: [1, 2, 3, 4],
    partNumbers: [1],
    partEtags: null,
    partSizes: [4096],
    partActualSizes: [4096],
    partIndices: null,
    sizeBytes: 4096,
    modTime: 1_764_000_000_123_456_789n,
    metaSys: new Map(),
    metaUsr: new Map([
      ["etag", "d41d8cd98f00b204e9800998ecf8427e"],
      ["content-type", "binary/octet-stream"],
    ]),
  });
  return meta;
}

/** Of the bucket `listed`, which the server made; it must be stopped. */
export async function writeIndexes(drives: readonly string[], keys: number): Promise<void> {
  const tables = new SqliteTables();
  const failed = (error: unknown): never => {
    throw error;
  };
  const indexes: KeyIndex[] = [];
  for (const drive of drives) {
    const opened = await KeyIndex.open(tables, `${drive}/.minio.sys/sherd/index.db`, failed);
    if (typeof opened === "string") throw new Error(`${drive}: the index is ${opened}`);
    indexes.push(opened);
  }
  const [meta, summaries] = [object(), new SummaryCache()];
  for (let from = 0; from < keys; from += ROWS_AT_ONCE) {
    const rows = Array.from({ length: Math.min(ROWS_AT_ONCE, keys - from) }, (_, i) => {
      const number = from + i;
      const path = `prefix-${String(Math.floor((number * PREFIXES) / keys)).padStart(3, "0")}/object-${String(number).padStart(9, "0")}`;
      return indexRow({ bucket: "listed", path }, meta, 1n, summaries);
    });
    for (const index of indexes) index.note(rows, index.position());
    for (const index of indexes) await index.flushed();
  }
  for (const index of indexes) {
    await index.sync();
    await index.close();
  }
  await tables.close();
}
