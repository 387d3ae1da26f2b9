import { expect, test } from "bun:test";
import { MsgpackReader } from "../../../src/core/msgpack.ts";
import { signatureOf, VersionHash } from "../../../src/storage/xl-meta-signature.ts";
import { type AnyVersion, decodeVersion, encodeVersion } from "../../../src/storage/xl-meta-version.ts";
import { fixtureJson, onFixtures, unhex } from "./xl-meta-fixtures.ts";

interface Hashed {
  readonly MetaSys: Readonly<Record<string, string>>;
  readonly MetaUsr: Readonly<Record<string, string>>;
}
interface Vectors {
  readonly mapHash: {
    readonly user: readonly { readonly map: Readonly<Record<string, string>>; readonly hash: string }[];
    readonly sys: readonly { readonly map: Readonly<Record<string, string>>; readonly hash: string }[];
    readonly xxh3: readonly { readonly inputHex: string; readonly xxh3_64: string }[];
    readonly xxh64: readonly { readonly inputHex: string; readonly xxh64: string }[];
  };
  readonly signature: {
    readonly objects: readonly {
      readonly object: Hashed;
      readonly hashedMsgpackHex: string;
      readonly signature: string;
    }[];
    readonly deleteMarkers: readonly { readonly hashedMsgpackHex: string; readonly signature: string }[];
  };
}
const VECTORS = fixtureJson<Vectors>("vectors.json", {
  mapHash: { user: [], sys: [], xxh3: [], xxh64: [] },
  signature: { objects: [], deleteMarkers: [] },
});

/** The body whose signed copy is `inner`. */
function bodyOf(type: 1 | 2, inner: Uint8Array): Uint8Array {
  const name = type === 1 ? "V2Obj" : "DelObj";
  return new Uint8Array(
    Buffer.concat([
      Buffer.from([0x82, 0xa4]),
      Buffer.from("Type"),
      Buffer.from([type, 0xa0 + name.length]),
      Buffer.from(name),
      inner,
    ]),
  );
}

onFixtures("the two hashes are XXH3 and XXH64 of the reference", () => {
  for (const { inputHex, xxh3_64 } of VECTORS.mapHash.xxh3)
    expect(Bun.hash.xxHash3(unhex(inputHex))).toBe(BigInt(`0x${xxh3_64}`));
  for (const { inputHex, xxh64 } of VECTORS.mapHash.xxh64)
    expect(Bun.hash.xxHash64(unhex(inputHex))).toBe(BigInt(`0x${xxh64}`));
});

onFixtures("maps hash to the known values in any order", () => {
  for (const { map, hash } of VECTORS.mapHash.user) {
    const entries = Object.entries(map);
    expect(new VersionHash().addUser(new Map(entries)).value).toBe(BigInt(`0x${hash}`));
    expect(new VersionHash().addUser(new Map(entries.reverse())).value).toBe(BigInt(`0x${hash}`));
  }
  for (const { map, hash } of VECTORS.mapHash.sys) {
    const bytes = new Map(Object.entries(map).map(([key, value]) => [key, new TextEncoder().encode(value)]));
    expect(new VersionHash().addSystem(bytes).value).toBe(BigInt(`0x${hash}`));
  }
  expect(new VersionHash().add(5n).add(0xffff_ffff_0000_0000n).value).toBe(0xffff_ffff_0000_0005n);
});

test.each(VECTORS.signature.objects.map((vector) => [vector.signature, vector] as const))(
  "object signature %s",
  (signature, vector) => {
    const signed = decodeVersion(bodyOf(1, unhex(vector.hashedMsgpackHex)));
    if (signed.type !== 1) throw new Error("not an object");
    const version: AnyVersion = {
      ...signed,
      erasureIndex: 3,
      partEtags: signed.partNumbers.map(() => ""),
      metaSys: new Map(Object.entries(vector.object.MetaSys).map(([key, value]) => [key, unhex(value)])),
      metaUsr: new Map(Object.entries(vector.object.MetaUsr)),
    };
    expect(signatureOf(version).toString(16).padStart(8, "0")).toBe(signature);
    expect(signatureOf(encodeVersion(version)).toString(16).padStart(8, "0")).toBe(signature);
  },
);

test.each(VECTORS.signature.deleteMarkers.map((vector) => [vector.signature, vector] as const))(
  "delete marker signature %s",
  (signature, vector) => {
    const version = decodeVersion(bodyOf(2, unhex(vector.hashedMsgpackHex)));
    expect(signatureOf(version).toString(16).padStart(8, "0")).toBe(signature);
    expect(new MsgpackReader(encodeVersion(version)).mapHeader()).toBe(2);
  },
);
