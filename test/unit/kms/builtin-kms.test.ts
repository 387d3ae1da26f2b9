/** BuiltinKms and sealed documents: published and MinIO-made bytes, both ways, and what must not open. */
import { expect, test } from "bun:test";
import { loadCodec } from "../../../src/codec/native.ts";
import { BuiltinKms } from "../../../src/kms/builtin-kms.ts";
import { contextText, KmsError } from "../../../src/kms/kms.ts";
import { isSealedDocument, openDocument, sealDocument } from "../../../src/kms/sealed-document.ts";
import { realRng } from "../../../src/sys/rng.ts";

const means = { codec: loadCodec(), rng: realRng() };
const KEY = "my-key:QaL+NF7RZ6QIBzS1WPIyovH3AwsdwjQRFQiJmRstrGU=";
const kms = BuiltinKms.parse(KEY, means) as BuiltinKms;
const context = new Map([["bucket", "bucket/a/b"]]);

function codeOf(error: unknown): string {
  return error instanceof KmsError ? error.code : String(error);
}

test.each([
  "",
  "id",
  "id:",
  ":QaL+NF7RZ6QIBzS1WPIyovH3AwsdwjQRFQiJmRstrGU=",
  "id:QaL+NF7R",
  "id:QaL+NF7RZ6QIBzS1WPIyovH3AwsdwjQRFQiJmRstrGU",
  "id:QaL+NF7RZ6QIBzS1WPIyovH3AwsdwjQRFQiJmRstrGU==",
])("%p is not a master key", (text) => {
  expect(BuiltinKms.parse(text, means)).toBeNull();
});

test("a data key opens under its context and no other, and a changed one does not open", async () => {
  const key = await kms.generateKey(null, context);
  expect(key.ciphertext.length).toBe(76);
  expect(await kms.decryptKey("my-key", key.ciphertext, context)).toEqual(key.plaintext);
  for (const wrong of [new Map([["bucket", "bucket/a/c"]]), new Map<string, string>()])
    expect(await kms.decryptKey("my-key", key.ciphertext, wrong).catch(codeOf)).toBe("CannotDecrypt");
  for (let i = 0; i < key.ciphertext.length; i++) {
    const changed = key.ciphertext.slice();
    changed[i] = (changed[i] as number) ^ 1;
    expect(await kms.decryptKey("my-key", changed, context).catch(codeOf)).toBe("CannotDecrypt");
  }
  expect(await kms.decryptKey("my-key", new Uint8Array(27), context).catch(codeOf)).toBe("CannotDecrypt");
  expect(await kms.decryptKey("other", key.ciphertext, context).catch(codeOf)).toBe("KeyNotFound");
  expect(await kms.generateKey("other", context).catch(codeOf)).toBe("KeyNotFound");
});

test("a ChaCha20 data key of an older release opens", async () => {
  // The published pair of MinIO's JSON form.
  const old = BuiltinKms.parse("my-key:eEm+JI9/q4JhH8QwKvf3LKo4DEBl6QbfvAl1CAbMIv8=", means) as BuiltinKms;
  const ciphertext = Buffer.from(
    '{"aead":"ChaCha20Poly1305","iv":"JbI+vwvYww1lCb5VpkAFuQ==","nonce":"ARjIjJxBSD541Gz8","bytes":"KCbEc2sA0TLvA7aWTWa23AdccVfJMpOxwgG8hm+4PaNrxYfy1xFWZg2gEenVrOgv"}',
  );
  const key = await old.decryptKey("my-key", ciphertext, new Map());
  expect(Buffer.from(key).toString("base64")).toBe("zmS7NrG765UZ0ZN85oPjybelxqVvpz01vxsSpOISy2M=");
});

test("a context is JSON with names in byte order and MinIO's escapes", () => {
  expect(contextText(new Map())).toBe("{}");
  expect(
    contextText(
      new Map([
        ["b", 'a"\\\n\t\r\u0008'],
        ["B", "<&>\u2028\u007fé\ud800"],
      ]),
    ),
  ).toBe('{"B":"\\u003c\\u0026\\u003e\\u2028\u007fé\ufffd","b":"a\\"\\\\\\n\\t\\r\\u0008"}');
});

test.each([0, 1, 16_383, 16_384, 16_385, 50_000])("a document of %p bytes is sealed and opened", async (bytes) => {
  const plaintext = means.rng.fill(new Uint8Array(bytes));
  const path = "config/iam/users/u/identity.json";
  const sealed = await sealDocument(kms, means, path, plaintext);
  expect(isSealedDocument(sealed)).toBe(true);
  expect(await openDocument(kms, means.codec, path, sealed)).toEqual(plaintext);
  expect(await openDocument(kms, means.codec, "config/iam/users/v/identity.json", sealed).catch(codeOf)).toBe(
    "CannotDecrypt",
  );
  for (let i = 0; i < sealed.length; i += 1 + Math.floor(sealed.length / 150)) {
    const changed = sealed.slice();
    changed[i] = (changed[i] as number) ^ 1;
    const outcome = await openDocument(kms, means.codec, path, changed).catch(codeOf);
    // The last character of base64 has bits that mean nothing: such a change may open, to the same bytes.
    if (typeof outcome === "string") expect(["CannotDecrypt", "KeyNotFound"]).toContain(outcome);
    else expect(outcome).toEqual(plaintext);
  }
  for (const cut of [0, 4, 5, 60, sealed.length - 1])
    expect(await openDocument(kms, means.codec, path, sealed.subarray(0, cut)).catch(codeOf)).toBe("CannotDecrypt");
});
