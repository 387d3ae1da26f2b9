/**
 * Members of a zip archive that is an object: found, listed and read by ranges. Memory holds the archive's tail, one record of the
 * directory, a page of names and one block of content, and for a while where members are (zip-members.ts); nothing is unpacked that
 * nobody reads. Permissions, versions, encryption and conditions are the archive's. Throws ObjectError. Source: s3-api.md §4.21.
 */
import { createInflateRaw, createZstdDecompress } from "node:zlib";
import { DIGEST, Digest } from "../codec/checksum.ts";
import type { ByteSource } from "../core/byte-stream.ts";
import { compareKeys } from "../core/key-order.ts";
import type { ObjectContext } from "./context.ts";
import { ObjectError } from "./errors.ts";
import { pipeContent } from "./pipe-content.ts";
import { throughTransform } from "./transform-source.ts";
import type { OpenedObject } from "./types.ts";
import {
  brokenArchive,
  DirectoryParser,
  type DirectoryPlace,
  findDirectory,
  findDirectory64,
  LOCAL_HEADER_BYTES,
  localHeaderBytes,
  TAIL_BYTES_MAX,
  ZIP64_END_BYTES,
  type ZipMember,
} from "./zip-directory.ts";
import { type KnownMembers, memberName, type MemberPlace } from "./zip-members.ts";

const STORED = 0;
const DEFLATED = 8;
const ZSTD = 93;
const METHODS: ReadonlySet<number> = new Set([STORED, DEFLATED, ZSTD]);
/** Deflate's limit: what says more is not what it holds. */
const DEFLATE_GROWTH_MAX = 1032;
const DIRECTORY_STEP_BYTES = 256 * 1024;

const ARCHIVE = ".zip/";

/** `a.zip/b` as `a.zip` and `b`; null: the key names no archive. */
export function splitArchiveKey(key: string): { readonly archive: string; readonly inner: string } | null {
  const at = key.indexOf(ARCHIVE);
  if (at < 0) return null;
  return { archive: key.slice(0, at + ARCHIVE.length - 1), inner: key.slice(at + ARCHIVE.length) };
}

export type Archive = Pick<OpenedObject, "info" | "stream">;

/** The first file of this name, or null. `known`: where others of the archive may have been seen. */
export async function findMember(
  archive: Archive,
  name: string,
  known: KnownMembers | null = null,
): Promise<MemberPlace | null> {
  const wanted = Buffer.from(name, "utf8");
  const members = known?.get(archive.info) ?? null;
  if (members !== null) return members.get(memberName(wanted)) ?? null;
  using collector = known?.collect(archive.info) ?? null;
  let found: MemberPlace | null = null;
  await readDirectory(archive, (member) => {
    if (!isShown(member)) return;
    if (found === null && wanted.equals(member.name)) found = { ...member };
    collector?.add(member);
  });
  collector?.finish();
  return found;
}

export interface ListedMember {
  /** Of the archive: whole, or a common prefix. */
  readonly name: string;
  /** null = a common prefix. */
  readonly sizeBytes: number | null;
}

export interface ListMembersRequest {
  readonly prefix: string;
  readonly delimiter: string;
  /** Names strictly after this one, and not below it if it is a common prefix. */
  readonly after: string;
  readonly limit: number;
}

/** The next names in order, one more than the page to know whether there are more. */
export async function listMembers(
  archive: Archive,
  request: ListMembersRequest,
): Promise<{ readonly members: readonly ListedMember[]; readonly isTruncated: boolean }> {
  const { prefix, delimiter, after, limit } = request;
  const page: ListedMember[] = [];
  const afterPrefix = delimiter !== "" && after.endsWith(delimiter) ? after : null;
  await readDirectory(archive, (member) => {
    if (!isShown(member)) return;
    const whole = Buffer.from(member.name).toString("utf8");
    if (!whole.startsWith(prefix)) return;
    const cut = delimiter === "" ? -1 : whole.indexOf(delimiter, prefix.length);
    const name = cut < 0 ? whole : whole.slice(0, cut + delimiter.length);
    if (compareKeys(name, after) <= 0 || (afterPrefix !== null && name.startsWith(afterPrefix))) return;
    insert(page, { name, sizeBytes: cut < 0 ? member.sizeBytes : null }, limit + 1);
  });
  return { members: page.slice(0, limit), isTruncated: limit > 0 && page.length > limit };
}

/** Into the sorted page, if it is among the first `max`. Of one name the first counts. */
function insert(page: ListedMember[], member: ListedMember, max: number): void {
  let low = 0;
  let high = page.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (compareKeys((page[middle] as ListedMember).name, member.name) < 0) low = middle + 1;
    else high = middle;
  }
  if (low >= max || page[low]?.name === member.name) return;
  page.splice(low, 0, member);
  if (page.length > max) page.pop();
}

/** As MinIO: files of a method that can be read. */
function isShown({ isFile, method }: ZipMember): boolean {
  return isFile && METHODS.has(method);
}

async function readDirectory(archive: Archive, visit: (member: ZipMember) => void): Promise<void> {
  const parser = await directoryOf(archive, visit);
  if (parser === null) return;
  const { place, into } = parser;
  await using bytes = pipeContent(archive, place.offset, place.sizeBytes);
  for (let chunk = await bytes.next(); chunk !== null; chunk = await bytes.next())
    for (let at = 0; at < chunk.length; at += DIRECTORY_STEP_BYTES)
      into.push(chunk.subarray(at, at + DIRECTORY_STEP_BYTES));
  into.end();
}

async function directoryOf(
  archive: Archive,
  visit: (member: ZipMember) => void,
): Promise<{ readonly place: DirectoryPlace; readonly into: DirectoryParser } | null> {
  const { sizeBytes } = archive.info;
  const tailBytes = Math.min(sizeBytes, TAIL_BYTES_MAX);
  const tail = await bytesOf(archive, sizeBytes - tailBytes, tailBytes);
  const { place, moreAt } = findDirectory(tail, sizeBytes);
  const found =
    place ?? (moreAt === null ? null : findDirectory64(await bytesOf(archive, moreAt, ZIP64_END_BYTES), moreAt));
  if (found === null || found.sizeBytes === 0) return null;
  return { place: found, into: new DirectoryParser(found, visit) };
}

async function bytesOf(archive: Archive, offset: number, length: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(length);
  let at = 0;
  await using source = pipeContent(archive, offset, length);
  for (let chunk = await source.next(); chunk !== null; chunk = await source.next()) {
    bytes.set(chunk, at);
    at += chunk.length;
  }
  return bytes;
}

/**
 * The member's content, exactly `sizeBytes` long: the last piece is given out when its CRC-32 is known to be right, so that a reader
 * who has all of it has what was packed.
 */
export async function openMember(
  ctx: ObjectContext,
  archive: Archive,
  member: MemberPlace,
): Promise<ByteSource & AsyncDisposable> {
  demandReadable(member);
  const header = await bytesOf(archive, member.offset, LOCAL_HEADER_BYTES);
  const start = member.offset + localHeaderBytes(header);
  if (start + member.storedBytes > archive.info.sizeBytes) throw brokenArchive("a member ends after the archive");
  const stored = pipeContent(archive, start, member.storedBytes);
  const broken = (cause: unknown): Error => brokenArchive("a member is damaged", cause);
  const inflate =
    member.method === DEFLATED ? createInflateRaw() : member.method === ZSTD ? createZstdDecompress() : null;
  const content = inflate === null ? stored : throughTransform(stored, inflate, broken);
  const checked = new CheckedContent(new Digest(ctx.codec, DIGEST.crc32), content, member);
  return {
    next: () => checked.next(),
    async [Symbol.asyncDispose]() {
      if (inflate !== null) await content[Symbol.asyncDispose]();
      await stored[Symbol.asyncDispose]();
    },
  };
}

function demandReadable({ isEncrypted, method, storedBytes, sizeBytes }: MemberPlace): void {
  if (isEncrypted) throw new ObjectError("InvalidRequest", "The member of the zip archive is encrypted.");
  if (method === STORED && storedBytes !== sizeBytes) throw brokenArchive("a member's two sizes differ");
  if (method === DEFLATED && sizeBytes > storedBytes * DEFLATE_GROWTH_MAX)
    throw brokenArchive("a member says that it is larger than it can be");
}

class CheckedContent implements ByteSource {
  private left: number;
  private ready: Uint8Array | null = null;

  constructor(
    private readonly digest: Digest,
    private readonly content: ByteSource,
    private readonly member: MemberPlace,
  ) {
    this.left = member.sizeBytes;
  }

  /** One piece behind what is read. */
  async next(): Promise<Uint8Array | null> {
    for (;;) {
      const given = this.ready;
      const chunk = await this.content.next();
      if (chunk !== null) {
        if (chunk.length > this.left) throw brokenArchive("a member is longer than it says");
        this.left -= chunk.length;
        this.digest.update(chunk);
        this.ready = chunk.length === 0 ? given : new Uint8Array(chunk);
        if (given !== null && chunk.length > 0) return given;
        continue;
      }
      this.ready = null;
      if (given !== null || this.left > 0) this.verify();
      return given;
    }
  }

  private verify(): void {
    if (this.left > 0) throw brokenArchive("a member is shorter than it says");
    const { crc32 } = this.digest.final();
    if (new DataView(crc32.buffer, crc32.byteOffset, 4).getUint32(0) !== this.member.crc32)
      throw brokenArchive("a member's checksum does not match");
  }
}
