/** Zip archives, damaged in every way: members or an ObjectError; nothing is read outside of the archive, no more given than was said. */
import { expect } from "bun:test";
import type { ByteSink } from "../../src/core/byte-stream.ts";
import { loadCodec } from "../../src/codec/native.ts";
import type { ObjectContext } from "../../src/object/context.ts";
import { ObjectError } from "../../src/object/errors.ts";
import type { VersionInfo } from "../../src/object/types.ts";
import { type Archive, findMember, listMembers, openMember } from "../../src/object/zip-archive.ts";
import { zipOf } from "../s3/zip-writer.ts";
import { type Chance, fuzz } from "./fuzz.ts";

const MEMBERS = [
  { name: "a", content: "x".repeat(600) },
  { name: "b/c", content: "stored", method: 0 },
  { name: "b/", mode: 0o40755 },
  { name: "z", content: Buffer.alloc(50_000, "zip") },
];
const NAMES = MEMBERS.map(({ name }) => name);
const codec = loadCodec();

function archiveOf(bytes: Uint8Array, chance: Chance): Archive {
  return {
    info: { sizeBytes: bytes.length } as VersionInfo,
    async stream(sink: ByteSink, offset: number, length: number) {
      if (!(offset >= 0 && length >= 0 && offset + length <= bytes.length))
        throw new Error(`read of ${length} bytes from ${offset} in ${bytes.length}`);
      for (let at = offset; at < offset + length; ) {
        const end = Math.min(offset + length, at + 1 + chance.below(3000));
        await sink.write(bytes.slice(at, end));
        at = end;
      }
    },
  };
}

fuzz("zip archives", {
  samples: [
    zipOf(MEMBERS),
    zipOf(MEMBERS, { comment: "PK\x05\x06" }),
    zipOf(
      MEMBERS.map((member) => ({ ...member, zip64: true })),
      { zip64: true },
    ),
    zipOf(MEMBERS, { prefix: Buffer.from("before") }),
  ].map((b) => new Uint8Array(b)),
  errors: [ObjectError],
  words: [
    "PK\x01\x02",
    "PK\x03\x04",
    "PK\x05\x06",
    "PK\x06\x06",
    "PK\x06\x07",
    "\xff\xff\xff\xff",
    "\x01\0\x18\0",
    "b/c",
  ],
  async run(input, chance) {
    const archive = archiveOf(input, chance);
    const { members } = await listMembers(archive, {
      prefix: "",
      delimiter: chance.pick(["", "/"]),
      after: "",
      limit: 3,
    });
    expect(members.length).toBeLessThanOrEqual(3);
    const member = await findMember(archive, chance.pick(NAMES));
    if (member === null) return;
    const ctx = { codec } as ObjectContext;
    await using content = await openMember(ctx, archive, member);
    let total = 0;
    for (let chunk = await content.next(); chunk !== null; chunk = await content.next()) total += chunk.length;
    expect(total).toBe(member.sizeBytes);
  },
});
