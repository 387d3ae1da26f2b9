/** Object keys: bound to their path and kind, opened with the client's or the KMS's key, and what MinIO left of old contexts. */
import { expect, test } from "bun:test";
import { loadCodec } from "../../../src/codec/native.ts";
import { NativePool } from "../../../src/codec/pool.ts";
import { DigestLanes } from "../../../src/erasure/digest-lanes.ts";
import { BuiltinKms } from "../../../src/kms/builtin-kms.ts";
import { ObjectError } from "../../../src/object/errors.ts";
import {
  isSealedEtag,
  KMS_CONTEXT,
  newObjectKey,
  opaqueEtag,
  openObjectKey,
  partKey,
  sealEtag,
  shownEtag,
} from "../../../src/object/object-key.ts";
import { newTransforms } from "../../../src/object/transforms.ts";
import type { Encryption } from "../../../src/object/types.ts";
import { realClock } from "../../../src/sys/clock.ts";
import { realRng } from "../../../src/sys/rng.ts";

const codec = loadCodec();
const rng = realRng();
const pool = new NativePool(codec, { threads: 1, threadsMax: 1 });
const lanes = new DigestLanes(pool, realClock());
const kms = BuiltinKms.parse("my-key:QaL+NF7RZ6QIBzS1WPIyovH3AwsdwjQRFQiJmRstrGU=", { codec, rng });
const transforms = newTransforms(
  { codec, jobs: pool, rng, lanes, kms },
  {
    kmsAutoEncryption: false,
    compressionEnable: false,
    compressionExtensions: [],
    compressionTypes: [],
    compressionEncrypted: false,
  },
);
const place = { bucket: "box", key: "a/b" };
const KEY = new Uint8Array(32).fill(9);
const context = Buffer.from('{"a":"<1>"}').toString("base64");
const code = (error: unknown): string => (error instanceof ObjectError ? error.code : String(error));

test.each([
  [{ kind: "SSE-S3" }],
  [{ kind: "SSE-KMS", keyId: "my-key", context }],
  [{ kind: "SSE-C", key: KEY }],
] as readonly [Encryption][])("%p: the key opens at its own place only", async (encryption) => {
  const { objectKey, metaSys } = await newObjectKey(transforms, place, encryption);
  const customer = encryption.kind === "SSE-C" ? KEY : null;
  expect(await openObjectKey(transforms, place, metaSys, customer)).toEqual(objectKey);
  expect(await openObjectKey(transforms, { bucket: "box", key: "a//b" }, metaSys, customer)).toEqual(objectKey);
  for (const other of [
    { bucket: "box", key: "a/c" },
    { bucket: "bax", key: "a/b" },
  ])
    expect(await openObjectKey(transforms, other, metaSys, customer).catch(code)).toBe(
      encryption.kind === "SSE-C" ? "WrongKey" : "ObjectTampered",
    );
});

test("SSE-C needs the key, and the right one", async () => {
  const { metaSys } = await newObjectKey(transforms, place, { kind: "SSE-C", key: KEY });
  expect(await openObjectKey(transforms, place, metaSys, null).catch(code)).toBe("InvalidRequest");
  expect(await openObjectKey(transforms, place, metaSys, new Uint8Array(32)).catch(code)).toBe("WrongKey");
});

test("a copy in which MinIO left the source's context, though it was sealed without, is read", async () => {
  const { objectKey, metaSys } = await newObjectKey(transforms, place, { kind: "SSE-KMS", keyId: null, context: "" });
  const stale = new Map(metaSys).set(KMS_CONTEXT, Buffer.from(context));
  expect(await openObjectKey(transforms, place, stale, null)).toEqual(objectKey);
});

test("the key of a part is the published one", () => {
  const zero = new Uint8Array(32);
  expect(Buffer.from(partKey(zero, 1)).toString("hex")).toBe(
    "a3e7181c6eed030fd52f79537c56c4d07da92e56d374ff1dd2043350785b37d8",
  );
});

test("a sealed ETag shows the MD5 for SSE-S3 and its last digits for the others", () => {
  const md5 = rng.fill(new Uint8Array(16));
  const sealed = sealEtag(transforms, KEY, md5);
  expect(isSealedEtag(sealed)).toBe(true);
  expect(sealEtag(transforms, KEY, md5)).toBe(sealed); // a part that is sent again keeps its ETag
  expect(sealEtag(transforms, KEY, rng.fill(new Uint8Array(16))).slice(-32)).not.toBe(sealed.slice(-32));
  expect(shownEtag(codec, "SSE-S3", KEY, sealed)).toBe(Buffer.from(md5).toString("hex"));
  expect(shownEtag(codec, "SSE-C", KEY, sealed)).toBe(sealed.slice(-32));
  expect(shownEtag(codec, "SSE-KMS", KEY, sealed)).toBe(opaqueEtag(sealed));
  const multipart = `${"0".repeat(32)}-7`;
  expect(shownEtag(codec, "SSE-S3", KEY, multipart)).toBe(multipart);
  expect(() => shownEtag(codec, "SSE-S3", new Uint8Array(32), sealed)).toThrow(ObjectError);
});
