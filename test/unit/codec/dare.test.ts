/** DARE streams and both ciphers, on every tier of this CPU: published vectors, the runtime's AES, every size around a border. */
import { describe, expect, test } from "bun:test";
import { createCipheriv, createHash } from "node:crypto";
import { openStream, plainSize, sealedSize, sealStream } from "../../../src/codec/dare.ts";
import { loadCodec, TIER_NAMES } from "../../../src/codec/native.ts";
import { openSmall, sealSmall } from "../../../src/codec/small-aead.ts";

const hex = (text: string): Uint8Array => new Uint8Array(Buffer.from(text.replaceAll(" ", ""), "hex"));
const pattern = (bytes: number): Uint8Array => Uint8Array.from({ length: bytes }, (_, i) => (i * 7 + (i >> 8)) & 0xff);
const BORDER = 64 * 1024;
const tiers = [...new Set([0, 1, 2, 3, 4].map((tier) => loadCodec({ tier }).tier))];

describe.each(tiers)("on tier %p", (tier) => {
  const codec = loadCodec({ tier });
  expect(TIER_NAMES[codec.tier]).toBeDefined();

  test("AES-256-GCM gives the runtime's bytes at every length", () => {
    const key = pattern(32);
    for (let bytes = 0; bytes < 1200; bytes += bytes < 300 ? 1 : 37) {
      const nonce = pattern(12 + bytes).subarray(bytes);
      const aad = pattern(bytes % 41);
      const aes = createCipheriv("aes-256-gcm", key, nonce);
      aes.setAAD(aad);
      const expected = Buffer.concat([aes.update(pattern(bytes)), aes.final(), aes.getAuthTag()]);
      const how = { cipher: "AES-256-GCM" as const, key, nonce };
      const sealed = sealSmall(codec, how, pattern(bytes), aad);
      expect(Buffer.from(sealed).equals(expected)).toBe(true);
      expect(openSmall(codec, how, sealed, aad)).toEqual(pattern(bytes));
      sealed[bytes % sealed.length] = (sealed[bytes % sealed.length] as number) ^ 0x80;
      expect(openSmall(codec, how, sealed, aad)).toBeNull();
    }
  });

  test("ChaCha20-Poly1305 gives the vector of RFC 8439 §2.8.2", () => {
    const how = {
      cipher: "ChaCha20-Poly1305" as const,
      key: Uint8Array.from({ length: 32 }, (_, i) => 0x80 + i),
      nonce: hex("070000004041424344454647"),
    };
    const text = Buffer.from(
      "Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, sunscreen would be it.",
    );
    const aad = hex("50515253c0c1c2c3c4c5c6c7");
    const sealed = sealSmall(codec, how, text, aad);
    expect(Buffer.from(sealed.subarray(0, 16)).toString("hex")).toBe("d31a8d34648e60db7b86afbc53ef7ec2");
    expect(Buffer.from(sealed.subarray(-16)).toString("hex")).toBe("1ae10b594f09e26a7e902ecbd0600691");
    expect(openSmall(codec, how, sealed, aad)).toEqual(new Uint8Array(text));
  });

  test("a ChaCha20-Poly1305 message of each length opens, and its bytes do not depend on the tier", () => {
    const portable = loadCodec({ tier: 0 });
    for (let bytes = 0; bytes < 3000; bytes += bytes < 200 ? 1 : 61) {
      const how = { cipher: "ChaCha20-Poly1305" as const, key: pattern(32), nonce: pattern(12) };
      const sealed = sealSmall(codec, how, pattern(bytes), pattern(bytes % 19));
      expect(sealed).toEqual(sealSmall(portable, how, pattern(bytes), pattern(bytes % 19)));
      expect(openSmall(codec, how, sealed, pattern(bytes % 19))).toEqual(pattern(bytes));
    }
  });

  test.each([1, 2, 15, 16, 17, BORDER - 1, BORDER, BORDER + 1, 2 * BORDER - 1, 2 * BORDER, 2 * BORDER + 1])(
    "a stream of %p bytes is sealed and opened, and any changed byte is noticed",
    (bytes) => {
      const sealed = sealStream(codec, pattern(32), pattern(12), pattern(bytes));
      expect(sealed.length).toBe(sealedSize(bytes));
      expect(plainSize(sealed.length)).toBe(bytes);
      expect(Bun.hash(openStream(codec, pattern(32), sealed) ?? "")).toBe(Bun.hash(pattern(bytes)));
      for (const at of [0, 1, 2, 3, 4, 9, 15, 16, sealed.length - 17, sealed.length - 1, BORDER + 31, BORDER + 40]) {
        if (at < 0 || at >= sealed.length) continue;
        sealed[at] = (sealed[at] as number) ^ 1;
        expect(openStream(codec, pattern(32), sealed)).toBeNull();
        sealed[at] = (sealed[at] as number) ^ 1;
      }
      expect(openStream(codec, createHash("sha256").digest(), sealed)).toBeNull();
    },
  );

  test("packages that were cut off, swapped or left out are noticed", () => {
    const sealed = sealStream(codec, pattern(32), pattern(12), pattern(3 * BORDER));
    const size = BORDER + 32;
    const [a, b, c] = [0, 1, 2].map((i) => sealed.slice(i * size, (i + 1) * size)) as [Buffer, Buffer, Buffer];
    const joined = (...parts: Uint8Array[]): Uint8Array => new Uint8Array(Buffer.concat(parts));
    expect(openStream(codec, pattern(32), joined(a, b, c))).not.toBeNull();
    for (const wrong of [joined(a, b), joined(b, a, c), joined(a, c), joined(b, c), joined(c), joined(a, b, b)])
      expect(openStream(codec, pattern(32), wrong)).toBeNull();
  });

  test("a sealed ETag of the published vector opens", () => {
    const sealed = hex(
      "20000f00f2cc184414bc982927ec56abb7e18426faa205558982e9a8125c1370a9cf5754406e428b3343f21ee1125965",
    );
    const key = new Uint8Array(new Bun.CryptoHasher("sha256", new Uint8Array(32)).update("SSE-etag").digest());
    expect(Buffer.from(openStream(codec, key, sealed) ?? []).toString("hex")).toBe("6d6cdccb9a7498c871bde8eab2f49141");
  });
});

test("sizes that no stream has are none", () => {
  for (const bytes of [1, 31, 32, BORDER + 33, BORDER + 63, BORDER + 64]) expect(plainSize(bytes)).toBeNull();
  expect(plainSize(33)).toBe(1);
  expect(plainSize(BORDER + 32)).toBe(BORDER);
  expect(plainSize(BORDER + 65)).toBe(BORDER + 1);
});
