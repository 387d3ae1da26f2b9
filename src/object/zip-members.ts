/**
 * KnownMembers: where the members of zip archives are that were read lately, so that who reads many of one archive makes its
 * directory be read once. What is known is that of one version of the archive, by all that tells it from another: a new one is
 * never looked up by what an old one had. Bounded in bytes; what was not asked for longest goes first.
 */
import type { VersionInfo } from "./types.ts";
import type { ZipMember } from "./zip-directory.ts";

export type MemberPlace = Omit<ZipMember, "name">;

/** By the bytes of their names, as latin1. */
export type Members = ReadonlyMap<string, MemberPlace>;

const BYTES_MAX = 32 * 1024 * 1024;
/** Of one archive; the members of a larger one are looked for in its directory each time. */
const ARCHIVE_BYTES_MAX = 8 * 1024 * 1024;
/** Of a member beside its name, about. */
const MEMBER_BYTES = 256;
/** Directories that are taken down at the same time; others are read without. */
const COLLECTING_MAX = 4;

export class KnownMembers {
  private readonly archives = new Map<string, { readonly members: Members; readonly bytes: number }>();
  private bytes = 0;
  private collecting = 0;

  get(archive: VersionInfo): Members | null {
    const name = nameOf(archive);
    const known = this.archives.get(name);
    if (known === undefined) return null;
    this.archives.delete(name); // to the end of the order
    this.archives.set(name, known);
    return known.members;
  }

  /**
   * To take down what a directory says while it is read. Null: as many are under way as may be, or the archive is under a key of
   * the client, of which nothing is kept. Dispose it.
   */
  collect(archive: VersionInfo): MemberCollector | null {
    if (this.collecting === COLLECTING_MAX || archive.encryption?.kind === "SSE-C") return null;
    this.collecting++;
    return new MemberCollector(
      (members, bytes) => this.keep(nameOf(archive), members, bytes),
      () => this.collecting--,
    );
  }

  private keep(name: string, members: Members, bytes: number): void {
    this.drop(name);
    this.archives.set(name, { members, bytes });
    this.bytes += bytes;
    for (const oldest of this.archives.keys()) {
      if (this.bytes <= BYTES_MAX) return;
      this.drop(oldest);
    }
  }

  private drop(name: string): void {
    this.bytes -= this.archives.get(name)?.bytes ?? 0;
    this.archives.delete(name);
  }
}

export class MemberCollector implements Disposable {
  private members: Map<string, MemberPlace> | null = new Map();
  private bytes = 0;

  constructor(
    private readonly keep: (members: Members, bytes: number) => void,
    private readonly done: () => void,
  ) {}

  /** The first of a name counts. */
  add({ name, ...place }: ZipMember): void {
    if (this.members === null) return;
    const text = memberName(name);
    if (this.members.has(text)) return;
    this.members.set(text, place);
    this.bytes += MEMBER_BYTES + text.length;
    if (this.bytes > ARCHIVE_BYTES_MAX) this.members = null;
  }

  /** The directory was read to its end, and was right. */
  finish(): void {
    if (this.members !== null) this.keep(this.members, this.bytes);
  }

  [Symbol.dispose](): void {
    this.done();
  }
}

export function memberName(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("latin1");
}

function nameOf({ bucket, key, versionId, modTimeNs, etag, sizeBytes }: VersionInfo): string {
  return [bucket, key, versionId, modTimeNs, etag, sizeBytes].join("\0");
}
