/**
 * XlMeta: one object's versions on one drive, as a value that can be changed and written back. Pure, no I/O.
 * `decode` reads every container version, `encode` writes the current one; bodies of versions that are not touched are
 * copied as they are. Everything handed out or taken in is a view: do not reuse the buffers. Times are ns since 1970.
 * Throws FormatError on bytes that cannot be read. Source: docs/format.md §5.8, §5.9.
 */
import { type Container, readContainer, writeContainer, type XlVersion } from "./xl-meta-container.ts";
import { compareHeaders, headerOf, sameId, type XlHeader } from "./xl-meta-header.ts";
import { InlineSection } from "./xl-meta-inline.ts";
import { type AnyVersion, dataDirOf, decodeVersion, encodeVersion } from "./xl-meta-version.ts";

const INTERNAL_PREFIX = "x-minio-internal-";
const ZERO_DATA_DIR = "00000000-0000-0000-0000-000000000000";

/** Lives as long as the buffers. */
const SHARED = new WeakMap<Uint8Array, XlMeta>();

/** True for metadata keys that are kept in MetaSys. */
export function isInternalKey(key: string): boolean {
  return key.slice(0, INTERNAL_PREFIX.length).toLowerCase() === INTERNAL_PREFIX;
}

export interface SetVersionResult {
  readonly version: XlVersion;
  /** What had the same id. */
  readonly replaced: XlVersion | undefined;
  /** Data directory of `replaced` that nothing refers to any more; "" = none. */
  readonly freedDataDir: string;
}

export class XlMeta {
  readonly #versions: XlVersion[];
  readonly #inline: InlineSection;

  private constructor(container: Container) {
    this.#versions = container.versions;
    this.#inline = container.inline;
  }

  static decode(bytes: Uint8Array): XlMeta {
    return new XlMeta(readContainer(bytes));
  }

  /** The same, once for each buffer: what several look at on the way of one read. Not to be changed by anybody. */
  static shared(bytes: Uint8Array): XlMeta {
    const known = SHARED.get(bytes);
    if (known !== undefined) return known;
    const fresh = XlMeta.decode(bytes);
    SHARED.set(bytes, fresh);
    return fresh;
  }

  /** One version and no inline data. */
  static of(version: XlVersion): XlMeta {
    return new XlMeta({ versions: [version], inline: new InlineSection(new Uint8Array(0)) });
  }

  static empty(): XlMeta {
    return new XlMeta({ versions: [], inline: new InlineSection(new Uint8Array(0)) });
  }

  /** Newest first, free versions included. */
  get versions(): readonly XlVersion[] {
    return this.#versions;
  }

  /** Versions that clients can see. */
  get visibleCount(): number {
    let count = 0;
    for (const { header } of this.#versions) if (!header.isFreeVersion) count++;
    return count;
  }

  encode(): Uint8Array {
    return writeContainer(this.#versions, this.#inline);
  }

  /** By "null" or UUID text. */
  find(versionId: string): XlVersion | undefined {
    const at = this.#indexOf(versionId);
    return at < 0 ? undefined : this.#versions[at];
  }

  /** The newest version that is no free version. */
  latest(): XlVersion | undefined {
    return this.#versions.find(({ header }) => !header.isFreeVersion);
  }

  /** This drive's shard stream with its hashes; keyed by version id, on very old files by data directory. */
  inlineData(versionId: string): Uint8Array | undefined {
    const found = this.#inline.get(versionId);
    if (found !== undefined || this.#inline.keys().length === 0) return found;
    const version = this.find(versionId);
    const dataDir = version === undefined ? "" : dataDirOf(version.body);
    return dataDir === "" ? undefined : this.#inline.get(dataDir);
  }

  /** Adds or replaces by id, and with it the inline data: none given, none kept. */
  setVersion(version: AnyVersion, inline?: Uint8Array): SetVersionResult {
    return this.setEncoded({ header: headerOf(version), body: encodeVersion(version) }, inline);
  }

  /** setVersion of a body made elsewhere. Pass its header if it is known: it is the same on every drive. */
  putBody(body: Uint8Array, inline?: Uint8Array, header?: XlHeader): SetVersionResult {
    return this.setEncoded({ header: header ?? headerOf(decodeVersion(body)), body }, inline);
  }

  setEncoded(version: XlVersion, inline?: Uint8Array): SetVersionResult {
    const { versionId } = version.header;
    const replaced = this.find(versionId);
    const freed = replaced === undefined ? "" : this.dataDirFreedBy(versionId);
    this.#put(version);
    if (inline !== undefined) this.#inline.set(versionId, inline);
    else if (replaced !== undefined) this.#inline.delete(versionId);
    const isKept = freed !== "" && freed === dataDirOf(version.body);
    return { version, replaced, freedDataDir: isKept ? "" : freed };
  }

  /** Takes the version and its inline data out; ask dataDirFreedBy before. */
  removeVersion(versionId: string): XlVersion | undefined {
    const at = this.#indexOf(versionId);
    if (at < 0) return undefined;
    this.#inline.delete(versionId);
    return this.#versions.splice(at, 1)[0];
  }

  /**
   * Merges metadata into a version; null removes a key. Body keys that we do not know, data and inline data stay.
   * Returns what it replaced, undefined if the id is not here. Delete markers take internal keys, legacy versions others.
   */
  patchMeta(
    versionId: string,
    metaUsr: ReadonlyMap<string, string | null>,
    metaSys: ReadonlyMap<string, Uint8Array | null>,
    modTime?: bigint,
  ): XlVersion | undefined {
    const found = this.find(versionId);
    if (found === undefined) return undefined;
    const old = decodeVersion(found.body);
    const time = { modTime: modTime ?? old.modTime };
    let next: AnyVersion;
    if (old.type === 1)
      next = { ...old, ...time, metaUsr: merged(old.metaUsr, metaUsr), metaSys: merged(old.metaSys, metaSys) };
    else if (old.type === 2) next = { ...old, ...time, metaSys: merged(old.metaSys, metaSys) };
    else next = { ...old, ...time, meta: merged(old.meta, metaUsr) };
    this.#put({ header: headerOf(next), body: encodeVersion(next) });
    return found;
  }

  /**
   * How many other versions use `dataDir`; 0 if the version's data are inline. Only objects with data of their own count.
   */
  sharedDataDirCount(versionId: string, dataDir: string): number {
    if (this.#inline.get(versionId) !== undefined) return 0;
    let count = 0;
    for (const { header, body } of this.#versions) {
      if (header.type !== 1 || !header.usesDataDir || header.versionId === versionId) continue;
      if (dataDirOf(body) === dataDir) count++;
    }
    return count;
  }

  /** The data directory that goes when this version is removed or replaced; "" = none (inline, tiered, shared, marker). */
  dataDirFreedBy(versionId: string): string {
    const version = this.find(versionId);
    const dataDir = version === undefined ? "" : this.#ownDataDir(version);
    return dataDir === "" || this.sharedDataDirCount(versionId, dataDir) > 0 ? "" : dataDir;
  }

  /** Data directories that versions refer to, without those of inline data. */
  dataDirs(): ReadonlySet<string> {
    const out = new Set<string>();
    for (const version of this.#versions) {
      const dataDir = this.#ownDataDir(version);
      if (dataDir !== "") out.add(dataDir);
    }
    return out;
  }

  #ownDataDir({ header, body }: XlVersion): string {
    if (header.type === 3) return dataDirOf(body);
    if (header.type !== 1 || !header.usesDataDir) return "";
    if (header.isInline && this.#inline.get(header.versionId) !== undefined) return "";
    const dataDir = dataDirOf(body);
    return dataDir === ZERO_DATA_DIR ? "" : dataDir;
  }

  #indexOf(versionId: string): number {
    const versions = this.#versions;
    for (let at = 0; at < versions.length; at++) if (versions[at]?.header.versionId === versionId) return at;
    return -1;
  }

  #put(version: XlVersion): void {
    const versions = this.#versions;
    const at = versions.findIndex(({ header }) => sameId(header, version.header));
    if (at >= 0) {
      versions[at] = version;
      versions.sort((a, b) => compareHeaders(a.header, b.header));
      return;
    }
    const before = versions.findIndex(({ header }) => header.modTime <= version.header.modTime);
    versions.splice(before < 0 ? versions.length : before, 0, version);
  }
}

function merged<V>(base: ReadonlyMap<string, V>, changes: ReadonlyMap<string, V | null>): ReadonlyMap<string, V> {
  const out = new Map(base);
  for (const [key, value] of changes) {
    if (value === null) out.delete(key);
    else out.set(key, value);
  }
  return out;
}
