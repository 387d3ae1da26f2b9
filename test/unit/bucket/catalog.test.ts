/** What the catalog knows without asking the drives, and for how long. */
import { expect, test } from "bun:test";
import { BucketCatalog } from "../../../src/bucket/catalog.ts";
import type { Store } from "../../../src/erasure/store.ts";
import type { Clock } from "../../../src/sys/clock.ts";

function catalogOf(...names: readonly string[]): { catalog: BucketCatalog; clock: { ms: number } } {
  const clock = { ms: 0 };
  const store = {
    listBuckets: () => Promise.resolve(names.map((name) => ({ name, createdNs: 1n }))),
    readDocument: () => Promise.resolve(null),
    writeDocument: () => Promise.resolve(),
  };
  const times = { elapsedMs: () => clock.ms, nowNs: () => 1n };
  return { catalog: new BucketCatalog(store as Partial<Store> as Store, times as Partial<Clock> as Clock), clock };
}

test("a bucket is known from when it was looked up, for two seconds", async () => {
  const { catalog, clock } = catalogOf("b");
  expect(catalog.known("b")).toBeNull();
  const looking = catalog.get("b");
  expect(catalog.known("b")).toBeNull();
  const bucket = await looking;
  expect(bucket?.name).toBe("b");
  expect(catalog.known("b")).toBe(bucket);
  clock.ms = 1_999;
  expect(catalog.known("b")).toBe(bucket);
  clock.ms = 2_000;
  expect(catalog.known("b")).toBeNull();
});

test("a bucket that changed, and one that is not there, are not known", async () => {
  const { catalog } = catalogOf("b");
  const bucket = await catalog.get("b");
  if (bucket === null) throw new Error("the bucket is not there");
  await catalog.setDocument(bucket, "policy", Buffer.from("{}"));
  expect(catalog.known("b")).toBeNull();
  expect(await catalog.get("c")).toBeNull();
  expect(catalog.known("c")).toBeNull();
});
