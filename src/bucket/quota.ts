/**
 * The quota of a bucket: a hard limit of bytes over all versions, as MinIO stores it. Pure. A document that cannot be read is no
 * quota, as in MinIO. Source: s3-api.md §4.23.
 */
export interface Quota {
  /** Bytes, under its older and its newer name; 0 = none. */
  readonly quota: number;
  readonly size: number;
  readonly rate: number;
  readonly requests: number;
  readonly quotatype?: string;
}

/** null = none. */
export function quotaOf(document: Uint8Array): Quota | null {
  if (document.length === 0) return null;
  try {
    const { quota, size, rate, requests, quotatype } = JSON.parse(Buffer.from(document).toString("utf8")) as Quota;
    const bytes = (value: unknown): number => (typeof value === "number" && value > 0 ? value : 0);
    const sums = { quota: bytes(quota), size: bytes(size), rate: bytes(rate), requests: bytes(requests) };
    return typeof quotatype === "string" && quotatype !== "" ? { ...sums, quotatype } : sums;
  } catch (error) {
    if (error instanceof SyntaxError || error instanceof TypeError) return null;
    throw error;
  }
}

/** Bytes that the bucket may hold; null = any. */
export function quotaBytes(document: Uint8Array): number | null {
  const quota = quotaOf(document);
  const bytes = quota === null ? 0 : quota.size || quota.quota;
  return bytes > 0 && quota?.quotatype !== "fifo" ? bytes : null;
}
