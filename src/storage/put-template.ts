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

  /** xl.meta of a key that has only this version. */
  fileOf(shard: number, inline: Uint8Array | null): Uint8Array {
    if (this.file?.inlineBytes !== (inline?.length ?? -1))
      this.file = new LoneFile(this.header, this.encoded, inline?.length ?? -1);
    return this.file.of(shard, inline ?? NOTHING);
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
  encode(): Uint8Array {
    return this.template.fileOf(this.shard, this.data.kind === "inline" ? this.data.bytes : null);
  }
}

/** The file for inline data of one length; -1 = none. */
class LoneFile {
  /** All but the inline data, of shard 1. */
  private readonly head: Uint8Array;
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

  of(shard: number, inline: Uint8Array): Uint8Array {
    assert(shard >= 1 && shard <= 0x7f, `shard number ${shard} does not fit a template`);
    const { head, payloadEnd } = this;
    const file = new Uint8Array(head.length + inline.length);
    file.set(head);
    file[this.indexAt] = shard;
    const sum = payloadChecksum(file.subarray(PAYLOAD_AT, payloadEnd));
    file[payloadEnd + 1] = sum >>> 24;
    file[payloadEnd + 2] = sum >>> 16;
    file[payloadEnd + 3] = sum >>> 8;
    file[payloadEnd + 4] = sum;
    file.set(inline, head.length);
    return file;
  }
}
