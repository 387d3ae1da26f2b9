/** What is known of archives that were read: how often they are read, of which version it is, and how much is kept. */
import { expect, test } from "bun:test";
import { loadCodec } from "../../../src/codec/native.ts";
import type { ByteSink } from "../../../src/core/byte-stream.ts";
import type { ObjectContext } from "../../../src/object/context.ts";
import type { VersionInfo } from "../../../src/object/types.ts";
import { type Archive, findMember, openMember } from "../../../src/object/zip-archive.ts";
import { KnownMembers } from "../../../src/object/zip-members.ts";
import { zipOf } from "../../s3/zip-writer.ts";

const ctx = { codec: loadCodec() } as ObjectContext;
const COUNT = 1000;
const nameOf = (i: number): string => `folder/${i}`.padEnd(80, "-");
const large = zipOf(Array.from({ length: COUNT }, (_, i) => ({ name: nameOf(i), content: `content ${i}` })));

function archiveOf(bytes: Uint8Array, says: Partial<VersionInfo> = {}): Archive & { reads: number; bytes: number } {
  const info = { bucket: "b", key: "a.zip", versionId: "null", modTimeNs: 1n, etag: "e", encryption: null, ...says };
  return {
    info: { ...info, sizeBytes: bytes.length } as VersionInfo,
    reads: 0,
    bytes: 0,
    async stream(sink: ByteSink, offset: number, length: number) {
      this.reads++;
      this.bytes += length;
      await sink.write(bytes.slice(offset, offset + length));
    },
  };
}

async function textOf(archive: Archive, name: string, known: KnownMembers): Promise<string | null> {
  const member = await findMember(archive, name, known);
  if (member === null) return null;
  await using source = await openMember(ctx, archive, member);
  const chunks: Uint8Array[] = [];
  for (let chunk = await source.next(); chunk !== null; chunk = await source.next()) chunks.push(chunk.slice());
  return Buffer.concat(chunks).toString();
}

test("who reads every member of an archive makes its directory be read once", async () => {
  const known = new KnownMembers();
  const archive = archiveOf(large);
  for (let i = 0; i < COUNT; i++) expect(await textOf(archive, nameOf(i), known)).toBe(`content ${i}`);
  expect(await textOf(archive, "none", known)).toBeNull();
  expect(archive.reads).toBe(2 + 2 * COUNT); // the tail and the directory; of each member its header and its content
  expect(archive.bytes).toBeLessThan(3 * large.length);
});

test("what tells one version of an archive from another tells them here", async () => {
  const known = new KnownMembers();
  const old = archiveOf(zipOf([{ name: "n", content: "1" }]));
  expect(await textOf(old, "n", known)).toBe("1");
  const bytes = zipOf([{ name: "m", content: "2" }]);
  expect(bytes.length).toBe(old.info.sizeBytes);
  const others: Partial<VersionInfo>[] = [
    { bucket: "c" },
    { key: "b.zip" },
    { versionId: "11111111-1111-4111-8111-111111111111" },
    { modTimeNs: 2n },
    { etag: "f" },
  ];
  for (const says of others) {
    const other = archiveOf(bytes, says);
    expect([await textOf(other, "n", known), await textOf(other, "m", known)]).toEqual([null, "2"]);
  }
  expect(await textOf(old, "n", known)).toBe("1");
});

test("memory is bounded: what was not asked for longest goes, and a directory that is too large is not kept", async () => {
  const known = new KnownMembers();
  const archives = Array.from({ length: 120 }, (_, i) => archiveOf(large, { key: `${i}.zip` }));
  const readsFor = async (archive: Archive & { reads: number }): Promise<number> => {
    const before = archive.reads;
    await findMember(archive, nameOf(3), known);
    return archive.reads - before;
  };
  for (const archive of archives) {
    expect(await readsFor(archive)).toBe(2);
    expect(await readsFor(archives[0] as (typeof archives)[0])).toBe(0); // asked for all the time
  }
  expect(await readsFor(archives[1] as (typeof archives)[0])).toBe(2);
  expect(await readsFor(archives[119] as (typeof archives)[0])).toBe(0);
  const huge = archiveOf(zipOf(Array.from({ length: 33_000 }, (_, i) => ({ name: `${i}`, method: 0 }))));
  for (let i = 0; i < 2; i++) expect(await readsFor(huge)).toBe(2);
});

test("nothing is kept of a directory that is broken, nor of an archive under a client's key", async () => {
  const known = new KnownMembers();
  const broken = Buffer.from(large);
  broken[broken.lastIndexOf(Buffer.from("PK\x01\x02"))] = 0;
  for (let i = 0; i < 10; i++) {
    const failure = await findMember(archiveOf(broken), nameOf(1), known).catch((error: unknown) => error);
    expect(failure).toMatchObject({ code: "InvalidRequest" });
  }
  const secret = archiveOf(large, {
    etag: "s",
    encryption: { kind: "SSE-C", keyId: "", context: "", customerKeyMd5: "m" },
  });
  for (let i = 0; i < 2; i++) expect(await findMember(secret, nameOf(1), known)).not.toBeNull();
  expect(secret.reads).toBe(4);
  const good = archiveOf(large);
  for (let i = 0; i < 2; i++) expect(await findMember(good, nameOf(1), known)).not.toBeNull(); // and it still takes down others
  expect(good.reads).toBe(2);
});
