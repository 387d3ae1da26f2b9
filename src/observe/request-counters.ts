/**
 * RequestCounters: what requests came, how they ended, how long they took and how much they carried, by API and by bucket.
 * The request path only adds to plain numbers; names and labels are made when somebody scrapes (metrics.ts).
 * Bounded: a bucket gets counters with its first success (so made-up names cost nothing), up to BUCKETS_MAX of them.
 */

/** Upper bounds in seconds; a ninth slot is "+Inf". */
export const TTFB_SECONDS = [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10] as const;
export const BUCKETS_MAX = 1000;

export type Rejection = "auth" | "header" | "timestamp" | "invalid";

export interface ApiCounter {
  total: number;
  errors4xx: number;
  errors5xx: number;
  canceled: number;
  inflight: number;
  seconds: number;
  /** Not cumulative: each request is in one slot. */
  readonly slots: Float64Array;
}
export interface BucketCounter {
  readonly apis: Map<string, ApiCounter>;
  bytesIn: number;
  bytesOut: number;
}

export class RequestCounters {
  readonly apis = new Map<string, ApiCounter>();
  readonly buckets = new Map<string, BucketCounter>();
  readonly rejected: Record<Rejection, number> = { auth: 0, header: 0, timestamp: 0, invalid: 0 };
  bytesIn = 0;
  bytesOut = 0;
  /** Requests of buckets that got no counters of their own. */
  bucketsLeftOut = 0;

  begin(api: string): void {
    this.api(api).inflight++;
  }

  /** The end of a request that `begin` announced. */
  end(api: string, bucket: string, status: number, seconds: number, bytesIn: number, bytesOut: number): void {
    const counter = this.api(api);
    if (counter.inflight > 0) counter.inflight--;
    count(counter, status, seconds);
    this.bytesIn += bytesIn;
    this.bytesOut += bytesOut;
    if (bucket === "") return;
    const known = this.buckets.get(bucket) ?? this.admit(bucket, status);
    if (known === null) return;
    let own = known.apis.get(api);
    if (own === undefined) known.apis.set(api, (own = freshCounter()));
    count(own, status, seconds);
    known.bytesIn += bytesIn;
    known.bytesOut += bytesOut;
  }

  canceled(api: string, bucket: string): void {
    this.api(api).canceled++;
    const own = this.buckets.get(bucket)?.apis.get(api);
    if (own !== undefined) own.canceled++;
  }

  private admit(bucket: string, status: number): BucketCounter | null {
    if (status >= 400) return null;
    if (this.buckets.size >= BUCKETS_MAX) {
      this.bucketsLeftOut++;
      return null;
    }
    const fresh: BucketCounter = { apis: new Map(), bytesIn: 0, bytesOut: 0 };
    this.buckets.set(bucket, fresh);
    return fresh;
  }

  private api(name: string): ApiCounter {
    let counter = this.apis.get(name);
    if (counter === undefined) this.apis.set(name, (counter = freshCounter()));
    return counter;
  }
}

function freshCounter(): ApiCounter {
  return {
    total: 0,
    errors4xx: 0,
    errors5xx: 0,
    canceled: 0,
    inflight: 0,
    seconds: 0,
    slots: new Float64Array(TTFB_SECONDS.length + 1),
  };
}

function count(counter: ApiCounter, status: number, seconds: number): void {
  counter.total++;
  if (status >= 500) counter.errors5xx++;
  else if (status >= 400) counter.errors4xx++;
  counter.seconds += seconds;
  let slot = 0;
  while (slot < TTFB_SECONDS.length && seconds > (TTFB_SECONDS[slot] as number)) slot++;
  counter.slots[slot] = (counter.slots[slot] as number) + 1;
}
