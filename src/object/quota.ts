/**
 * The quota of a bucket, where a write may end it. What all versions hold the key indexes sum up exactly; what writes under way will
 * hold is reserved here, from before the sum is asked for until the write is in it or has failed. Each write counts those that came
 * before it: so together they never go over the quota, and none is refused for bytes that are counted twice. Source: s3-api.md §4.23.
 */
import type { Bucket } from "../bucket/catalog.ts";
import { quotaBytes } from "../bucket/quota.ts";
import type { ObjectContext } from "./context.ts";
import { ObjectError } from "./errors.ts";

/** Room that a write was given; released when it ended, either way. */
export interface Room extends Disposable {
  /** From here on the bytes may be in the sum already. */
  committing(): void;
}

interface Reservation {
  readonly bytes: number;
  isCommitting: boolean;
  isOver: boolean;
  readonly ended: PromiseWithResolvers<void>;
}

/** Reservations by bucket, in the order in which they came. Those of buckets without a quota are not there. */
export class QuotaLedger {
  private readonly buckets = new Map<string, Set<Reservation>>();

  /** null: it does not fit. `used`: what the bucket holds, null = nobody knows. */
  async reserve(
    bucket: string,
    bytes: number,
    limit: number,
    used: () => Promise<number | null>,
  ): Promise<Room | null> {
    const all = this.buckets.get(bucket) ?? new Set();
    this.buckets.set(bucket, all);
    const before = [...all];
    const own: Reservation = { bytes, isCommitting: false, isOver: false, ended: Promise.withResolvers<void>() };
    all.add(own);
    const room: Room = {
      committing() {
        own.isCommitting = true;
      },
      [Symbol.dispose]: () => this.release(bucket, all, own),
    };
    try {
      if (await fits({ before, bytes, limit, used })) return room;
    } catch (error) {
      room[Symbol.dispose]();
      throw error;
    }
    room[Symbol.dispose]();
    return null;
  }

  private release(bucket: string, all: Set<Reservation>, own: Reservation): void {
    own.isOver = true;
    all.delete(own);
    if (all.size === 0 && this.buckets.get(bucket) === all) this.buckets.delete(bucket);
    own.ended.resolve();
  }
}

/** A write that commits while the sum is taken may be in both: then it is waited for, which is short, and the sum taken again. */
async function fits(asked: {
  readonly before: readonly Reservation[];
  readonly bytes: number;
  readonly limit: number;
  readonly used: () => Promise<number | null>;
}): Promise<boolean> {
  for (let before = asked.before; ; ) {
    const reserved = before.reduce((sum, { bytes }) => sum + bytes, 0);
    const used = await asked.used();
    if (used === null || used + reserved + asked.bytes <= asked.limit) return true;
    if (used + asked.bytes > asked.limit) return false;
    const unsure = before.filter((other) => other.isCommitting || other.isOver);
    if (unsure.length === 0) return false;
    await Promise.all(unsure.map((other) => other.ended.promise));
    before = before.filter((other) => !other.isOver);
  }
}

/** Throws QuotaExceeded. Without waiting where there is no quota, as nearly always. */
export function takeRoom(ctx: ObjectContext, bucket: Bucket, sizeBytes: number): Room | Promise<Room> {
  const limit = quotaBytes(bucket.metadata.documents.quota);
  return limit === null ? FREE : takeRoomBelow(limit, ctx, bucket, sizeBytes);
}

async function takeRoomBelow(limit: number, ctx: ObjectContext, bucket: Bucket, sizeBytes: number): Promise<Room> {
  const used = async (): Promise<number | null> => (await ctx.store.usage(bucket.name))?.bytes ?? null;
  const room = await ctx.quotas.reserve(bucket.name, sizeBytes, limit, used);
  if (room === null) throw new ObjectError("QuotaExceeded", "Bucket quota exceeded", { bucket: bucket.name });
  return room;
}

const FREE: Room = { committing: nothing, [Symbol.dispose]: nothing };
function nothing(): void {
  /* deliberately nothing: the bucket has no quota */
}
