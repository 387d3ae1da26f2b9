/**
 * PutTemplate: a version on its way to the drives of a set, encoded once. A drive's copy differs in its shard number and, where they
 * are inline, its data. The same goes for the whole xl.meta of a key that has nothing but this version, as most have: it is
 * copied, not encoded. Bytes as XlMeta.encode writes them (docs/format.md §5.8).
 */
import { assert } from "../core/assert.ts";
import { MsgpackWriter } from "../core/msgpack.ts";
import type { DataSource, LoneVersion, PutChange } from "./drive.ts";
import { CHECKSUM_BYTES, PAYLOAD_AT, payloadChecksum, writeContainer } from "./xl-meta-container.ts";
import { headerOf, type XlHeader } from "./xl-meta-header.ts";
import { InlineSection } from "./xl-meta-inline.ts";
import { encodeObjectVersionTemplate, type ObjectVersion, type ObjectVersionTemplate } from "./xl-meta-version.ts";
import { XlMeta } from "./xl-meta.ts";

const NOTHING = new Uint8Array(0);

export class PutTemplate {
  readonly header: XlHeader;
  /** The version as the only one of its key, without inline data: for who follows the changes. */
  readonly parsed: XlMeta;
  private readonly encoded: ObjectVersionTemplate;
  private file: LoneFile | null = null;

  constructor(readonly version: ObjectVersion) {
    this.header = headerOf(version);
    this.encoded = encodeObjectVersionTemplate(version);
    this.parsed = XlMeta.of({ header: this.header, body: this.encoded.body, decoded: version });
  }

  /** For the drive with that shard, 1..k+m. */
  changeFor(shard: number, data: DataSource): PutChange {
    return new TemplatePut(this, shard, data);
  }

  bodyOf(shard: number): Uint8Array {
    return this.encoded.withIndex(shard);
  }

  /** xl.meta of a key that has only this version, with so many bytes of inline data; -1 = none. */
  fileOf(inlineBytes: number): LoneFile {
    if (this.file?.inlineBytes !== inlineBytes) this.file = new LoneFile(this.header, this.encoded, inlineBytes);
    return this.file;
  }
}

class TemplatePut implements PutChange, LoneVersion {
  readonly kind = "put";

  constructor(
    readonly template: PutTemplate,
    private readonly shard: number,
    readonly data: DataSource,
  ) {}

  get header(): XlHeader {
    return this.template.header;
  }
  get versionId(): string {
    return this.template.version.versionId;
  }
  get dataDir(): string {
    return this.template.version.dataDir;
  }
  get body(): Uint8Array {
    return this.template.bodyOf(this.shard);
  }
  get alone(): LoneVersion {
    return this;
  }
  get parsed(): XlMeta {
    return this.template.parsed;
  }
  get length(): number {
    return this.file.head.length + this.inline.length;
  }
  writeTo(target: Uint8Array, at: number): void {
    this.file.writeTo(target, at, { shard: this.shard, inline: this.inline });
  }

  private get file(): LoneFile {
    return this.template.fileOf(this.data.kind === "inline" ? this.data.bytes.length : -1);
  }
  private get inline(): Uint8Array {
    return this.data.kind === "inline" ? this.data.bytes : NOTHING;
  }
}

/** The file for inline data of one length; -1 = none. */
class LoneFile {
  /** All but the inline data, of shard 1. */
  readonly head: Uint8Array;
  private readonly payloadEnd: number;
  private readonly indexAt: number;

  constructor(
    header: XlHeader,
    { body, indexOffset }: ObjectVersionTemplate,
    readonly inlineBytes: number,
  ) {
    const versions = writeContainer([{ header, body }], new InlineSection(NOTHING));
    this.payloadEnd = versions.length - CHECKSUM_BYTES;
    this.indexAt = this.payloadEnd - body.length + indexOffset; // the body is what the payload ends with
    const writer = new MsgpackWriter(versions.length + 64);
    writer.raw(versions);
    if (inlineBytes >= 0) InlineSection.writeHead(writer, header.versionId, inlineBytes);
    this.head = writer.finish();
  }

  writeTo(target: Uint8Array, at: number, own: { readonly shard: number; readonly inline: Uint8Array }): void {
    assert(own.shard >= 1 && own.shard <= 0x7f, "a shard number fits a template");
    const { head } = this;
    target.set(head, at);
    target[at + this.indexAt] = own.shard;
    const end = at + this.payloadEnd;
    const sum = payloadChecksum(target.subarray(at + PAYLOAD_AT, end));
    target[end + 1] = sum >>> 24;
    target[end + 2] = sum >>> 16;
    target[end + 3] = sum >>> 8;
    target[end + 4] = sum;
    target.set(own.inline, at + head.length);
  }
}
