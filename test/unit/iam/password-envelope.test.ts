/** The admin API's envelope and the stream inside it, against vectors of MinIO's SDK and its recorded payloads. */
import { describe, expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { loadCodec } from "../../../src/codec/native.ts";
import { PasswordEnvelope, SealError } from "../../../src/iam/password-envelope.ts";
import { realRng } from "../../../src/sys/rng.ts";

const envelope = new PasswordEnvelope(loadCodec({ tier: -1 }), realRng());
const SALT = Uint8Array.from({ length: 32 }, (_, i) => i);
const NONCE = Uint8Array.from({ length: 8 }, (_, i) => 0xa0 + i);
const headOf = (algorithm: number): Uint8Array => Uint8Array.of(...SALT, algorithm, ...NONCE);
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");

describe.each([
  // algorithm, {"a":1} after salt and nonce, SHA-256 of 20,000 zero bytes sealed
  [
    0,
    "1395fac1ef7af1c0008a1e7b70f246f189e1f01c687d65",
    "e381f3266f2864798bcc47c394ceccaef9e9fa5833218cc6e36ec518093896a6",
  ],
  [
    1,
    "195218bd2777e8f3eb37f83e9d2c2b8bab51183b2c6ea7",
    "b8e83bbf023c591f0f7d47692383a708163bdf9809c03b5cf8f79b05bc046726",
  ],
  [
    2,
    "4a722345280ca4569c8036bdf4b850aa761f3df1b7752f",
    "39fd874814ee087b0fe23e95a16fa566f343e662c20b2118ed52aa6f8122afeb",
  ],
] as const)("algorithm %p", (algorithm, small, large) => {
  test("a payload is sealed to the SDK's bytes and opens again", async () => {
    const sealed = await envelope.sealWith(headOf(algorithm), "minioadmin", Buffer.from('{"a":1}'));
    expect(hex(sealed.subarray(41))).toBe(small);
    expect(Buffer.from(await envelope.open("minioadmin", sealed)).toString()).toBe('{"a":1}');
  });

  test("several segments are as the SDK's", async () => {
    const sealed = await envelope.sealWith(headOf(algorithm), "minioadmin", new Uint8Array(20_000));
    expect(sealed.length).toBe(20_073);
    expect(createHash("sha256").update(sealed).digest("hex")).toBe(large);
  });
});

test("another password, another algorithm and a cut payload are refused, not opened", async () => {
  const sealed = await envelope.seal("minioadmin", Buffer.from("text"));
  expect(envelope.open("minioadmin2", sealed)).rejects.toThrow(SealError);
  expect(envelope.open("minioadmin", sealed.subarray(0, 50))).rejects.toThrow(SealError);
  expect(envelope.open("minioadmin", sealed.with(32, 3))).rejects.toThrow(SealError);
});
