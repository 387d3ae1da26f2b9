/** Encrypted and compressed content and what describes it, damaged in every way: the right bytes, or a refusal in words. */
import { expect } from "bun:test";
import { openStream, sealStream } from "../../src/codec/dare.ts";
import { loadCodec } from "../../src/codec/native.ts";
import { NativePool } from "../../src/codec/pool.ts";
import { readIndex, S2_STREAM_START, startFor } from "../../src/codec/s2.ts";
import { BuiltinKms } from "../../src/kms/builtin-kms.ts";
import { KmsError } from "../../src/kms/kms.ts";
import { openDocument, sealDocument } from "../../src/kms/sealed-document.ts";
import { defaultEncryption } from "../../src/bucket/encryption.ts";
import { DECOMPRESS_BYTES, DecompressSink } from "../../src/object/decompress-sink.ts";
import { DECRYPT_BYTES_MAX, DecryptSink } from "../../src/object/decrypt-sink.ts";
import { ObjectError } from "../../src/object/errors.ts";
import { kmsContext, newObjectKey, openObjectKey } from "../../src/object/object-key.ts";
import { newTransforms } from "../../src/object/transforms.ts";
import { DigestLanes } from "../../src/erasure/digest-lanes.ts";
import { realClock } from "../../src/sys/clock.ts";
import { s2Room, step } from "../../src/sys/disk.ts";
import { realRng } from "../../src/sys/rng.ts";
import { fuzz, samplesOf } from "./fuzz.ts";

const codec = loadCodec();
const rng = realRng();
const pool = new NativePool(codec, { threads: 2, threadsMax: 2 });
const kms = BuiltinKms.parse("my-key:QaL+NF7RZ6QIBzS1WPIyovH3AwsdwjQRFQiJmRstrGU=", { codec, rng }) as BuiltinKms;
const lanes = new DigestLanes(pool, realClock());
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
const key = new Uint8Array(32).fill(7);
const plain = Uint8Array.from({ length: 90_000 }, (_, i) => (i % 251 < 200 ? i % 13 : i >> 4) & 0xff);
const sealed = sealStream(codec, key, new Uint8Array(12).fill(3), plain);

/** Whatever a sink passes on must be the beginning of what was stored. */
function collector(): { write(bytes: Uint8Array): Promise<void>; sent: number } {
  const sink = {
    sent: 0,
    write(bytes: Uint8Array): Promise<void> {
      expect(Buffer.compare(bytes, plain.subarray(sink.sent, sink.sent + bytes.length))).toBe(0);
      sink.sent += bytes.length;
      return Promise.resolve();
    },
  };
  return sink;
}

/** One run at a time: new ones for each would be garbage faster than it is collected. */
const decrypting = new Uint8Array(new ArrayBuffer(DECRYPT_BYTES_MAX));
const decompressing = new Uint8Array(new ArrayBuffer(DECOMPRESS_BYTES));

fuzz("an encrypted stream", {
  samples: [sealed, sealed.slice(0, 300)],
  errors: [ObjectError],
  words: ["\x20\0", "\x20\x01", "\x10\0", "\xff\xff"],
  async run(bytes, chance) {
    const whole = openStream(codec, key, bytes);
    if (whole !== null && whole.length > 0) expect(Buffer.compare(whole, plain)).toBe(0);
    using sink = new DecryptSink(pool, collector(), decrypting, {
      key,
      plainBytes: plain.length,
      offset: 0,
      length: plain.length,
    });
    if (bytes.length !== sealed.length) return;
    const cut = chance.below(bytes.length);
    await sink.write(bytes.subarray(0, cut));
    await sink.write(bytes.subarray(cut));
    await sink.end();
  },
});

const chunk = new Uint8Array(new ArrayBuffer(s2Room(plain.length)));
const { results } = await pool.run([step.s2Chunk(plain, chunk)]);
const stream = new Uint8Array(Buffer.concat([S2_STREAM_START, chunk.subarray(0, results[0])]));
fuzz("a compressed stream", {
  samples: [stream],
  errors: [ObjectError],
  words: ["\xff\x06\0\0S2sTwO", "\xff\x06\0\0sNaPpY", "\xfe\x01\0\0", "\0\xff\xff\xff", "\x01\x05\0\0", "\x99\0\0\0"],
  async run(bytes, chance) {
    const sink = new DecompressSink(pool, collector(), decompressing, { skip: 0, left: plain.length });
    const cut = chance.below(bytes.length + 1);
    await sink.write(bytes.subarray(0, cut));
    await sink.write(bytes.subarray(cut));
    await sink.end();
  },
});

fuzz("an index of a compressed stream", {
  samples: samplesOf("\x80\x80\x80\x0a\xc0\x84\x3d\x80\x80\x80\x01\x0a\0\0\x80\x01\x80\x01\x80\x01\x80\x01"),
  errors: [],
  run(bytes, chance) {
    const entries = readIndex(bytes);
    for (const [i, entry] of (entries ?? []).entries()) {
      expect(Number.isSafeInteger(entry.plainOffset) && Number.isSafeInteger(entry.storedOffset)).toBe(true);
      expect(entry.plainOffset).toBeGreaterThan(entries?.[i - 1]?.plainOffset ?? -1);
    }
    const offset = chance.below(1 << 30);
    expect(startFor(bytes, offset).plainOffset).toBeLessThanOrEqual(offset);
  },
});

const place = { bucket: "box", key: "a//b/" };
const kinds = [
  { kind: "SSE-S3" as const },
  { kind: "SSE-C" as const, key },
  { kind: "SSE-KMS" as const, keyId: null, context: Buffer.from('{"a":"b"}').toString("base64") },
];
const made = await Promise.all(kinds.map((kind) => newObjectKey(transforms, place, kind)));
fuzz("the metadata of a sealed key", {
  samples: made.flatMap(({ metaSys }) => [...metaSys.values()].map((value) => new Uint8Array(value))),
  errors: [ObjectError],
  words: ["DARE-SHA256", "DAREv2-HMAC-SHA256", "my-key", "{}", "=="],
  async run(bytes, chance) {
    const which = chance.below(made.length);
    const { metaSys, objectKey } = made[which] as (typeof made)[number];
    const names = [...metaSys.keys()];
    const name = chance.pick(names);
    const changed = new Map(metaSys).set(name, bytes);
    if (chance.below(4) === 0) changed.delete(chance.pick(names));
    const opened = await openObjectKey(transforms, place, changed, which === 1 ? key : null);
    expect(Buffer.compare(opened, objectKey)).toBe(0);
  },
});

const document = await sealDocument(kms, { codec, rng }, "config/iam/x", plain.subarray(0, 17_000));
fuzz("a sealed document", {
  samples: [document, document.slice(0, 400)],
  errors: [KmsError],
  words: ['"keyid"', '"algorithm":"ChaCha20-Poly1305"', "\x01\0\0\0\0", "null"],
  async run(bytes) {
    const opened = await openDocument(kms, codec, "config/iam/x", bytes);
    expect(Buffer.compare(opened, plain.subarray(0, 17_000))).toBe(0);
  },
});

fuzz("a client's encryption context and a bucket's default", {
  samples: samplesOf(
    Buffer.from('{"a":"b","c":"d"}').toString("base64"),
    "<ServerSideEncryptionConfiguration><Rule><ApplyServerSideEncryptionByDefault><SSEAlgorithm>aws:kms</SSEAlgorithm><KMSMasterKeyID>k</KMSMasterKeyID></ApplyServerSideEncryptionByDefault></Rule></ServerSideEncryptionConfiguration>",
  ),
  errors: [ObjectError],
  run(bytes) {
    const text = Buffer.from(bytes).toString("latin1");
    try {
      defaultEncryption(bytes);
    } catch (error) {
      if (!(error instanceof Error) || !error.message.startsWith("the bucket's stored")) throw error;
    }
    kmsContext(place, text);
  },
});
