/** Data keys of a KMS over the network are remembered: shortly, few, each for its own master key, ciphertext and context. */
import { expect, test } from "bun:test";
import { CachedKms } from "../../../src/kms/cached-kms.ts";
import { type Kms, KmsError } from "../../../src/kms/kms.ts";

function setUp() {
  const clock = { now: 0, elapsedMs: () => clock.now };
  const asked: string[] = [];
  const inner = {
    kind: "kes",
    defaultKeyId: "k",
    decryptKey(keyId: string, ciphertext: Uint8Array) {
      asked.push(`${keyId} ${ciphertext.join()}`);
      if (keyId === "gone") return Promise.reject(new KmsError("KeyNotFound", "gone"));
      return Promise.resolve(new Uint8Array(32).fill(ciphertext[0] as number));
    },
  } as unknown as Kms;
  return { clock, asked, kms: new CachedKms(inner, clock) };
}
const of = (value: string): ReadonlyMap<string, string> => new Map([["bucket", value]]);

test("the same data key is asked for once while it is fresh, and wiping one answer wipes no other", async () => {
  const { clock, asked, kms } = setUp();
  const first = await kms.decryptKey("k", Uint8Array.of(7), of("a"));
  first.fill(0);
  const second = await kms.decryptKey("k", Uint8Array.of(7), of("a"));
  expect([second[0], asked.length]).toEqual([7, 1]);
  second.fill(0);
  clock.now = 9_999;
  expect((await kms.decryptKey("k", Uint8Array.of(7), of("a")))[0]).toBe(7);
  expect(asked).toHaveLength(1);
  clock.now = 10_000;
  expect((await kms.decryptKey("k", Uint8Array.of(7), of("a")))[0]).toBe(7);
  expect(asked).toHaveLength(2);
});

test("another key, ciphertext or context is another question, and a refusal is not remembered", async () => {
  const { asked, kms } = setUp();
  for (const [key, byte, context] of [
    ["k", 1, "a"],
    ["l", 1, "a"],
    ["k", 2, "a"],
    ["k", 1, "b"],
  ] as const)
    await kms.decryptKey(key, Uint8Array.of(byte), of(context));
  expect(asked).toHaveLength(4);
  for (let i = 0; i < 2; i++)
    expect(await kms.decryptKey("gone", Uint8Array.of(1), of("a")).catch((error: KmsError) => error.code)).toBe(
      "KeyNotFound",
    );
  expect(asked).toHaveLength(6);
});

test("no more than a bounded number is remembered", async () => {
  const { asked, kms } = setUp();
  for (let i = 0; i <= 1024; i++) await kms.decryptKey("k", Uint8Array.of(1), of(String(i)));
  await kms.decryptKey("k", Uint8Array.of(1), of("1024"));
  expect(asked).toHaveLength(1025);
  await kms.decryptKey("k", Uint8Array.of(1), of("0"));
  expect(asked).toHaveLength(1026);
});
