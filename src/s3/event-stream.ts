/**
 * AWS's event stream, as SelectObjectContent answers: frames of headers and payload with two CRC32, big-endian:
 * length (4), length of headers (4), CRC of these 8 (4), headers, payload, CRC of all before (4).
 * Source: s3-api.md §4.20.
 */
import { crc32 } from "node:zlib";

const PRELUDE_BYTES = 12;
const CRC_BYTES = 4;
const TYPE_STRING = 7;

export type EventHeaders = readonly (readonly [name: string, value: string])[];

export function eventFrame(headers: EventHeaders, payload: Uint8Array): Uint8Array {
  const encoded = headers.map(([name, value]) => [Buffer.from(name), Buffer.from(value)] as const);
  const headersBytes = encoded.reduce((sum, [name, value]) => sum + 1 + name.length + 3 + value.length, 0);
  const frame = Buffer.allocUnsafe(PRELUDE_BYTES + headersBytes + payload.length + CRC_BYTES);
  frame.writeUInt32BE(frame.length, 0);
  frame.writeUInt32BE(headersBytes, 4);
  frame.writeUInt32BE(crc32(frame.subarray(0, 8)), 8);
  let at = PRELUDE_BYTES;
  for (const [name, value] of encoded) {
    at = frame.writeUInt8(name.length, at);
    at += name.copy(frame, at);
    at = frame.writeUInt8(TYPE_STRING, at);
    at = frame.writeUInt16BE(value.length, at);
    at += value.copy(frame, at);
  }
  frame.set(payload, at);
  frame.writeUInt32BE(crc32(frame.subarray(0, frame.length - CRC_BYTES)), frame.length - CRC_BYTES);
  return frame;
}

const NOTHING = new Uint8Array(0);
const event = (type: string, contentType: string | null): EventHeaders => [
  [":event-type", type],
  ...(contentType === null ? [] : ([[":content-type", contentType]] as const)),
  [":message-type", "event"],
];
const RECORDS = event("Records", "application/octet-stream");

export function recordsFrame(payload: Uint8Array): Uint8Array {
  return eventFrame(RECORDS, payload);
}
export function continuationFrame(): Uint8Array {
  return eventFrame(event("Cont", null), NOTHING);
}
export function endFrame(): Uint8Array {
  return eventFrame(event("End", null), NOTHING);
}
/** Progress and Stats: a small XML document. */
export function countsFrame(
  type: "Progress" | "Stats",
  counts: { readonly scanned: number; readonly processed: number; readonly returned: number },
): Uint8Array {
  const inner = `<BytesScanned>${counts.scanned}</BytesScanned><BytesProcessed>${counts.processed}</BytesProcessed><BytesReturned>${counts.returned}</BytesReturned>`;
  const document = `<?xml version="1.0" encoding="UTF-8"?><${type}>${inner}</${type}>`;
  return eventFrame(event(type, "text/xml"), Buffer.from(document));
}
/** A failure after the head was sent; nothing follows. */
export function errorFrame(code: string, message: string): Uint8Array {
  const headers: EventHeaders = [
    [":error-code", code],
    [":error-message", message],
    [":message-type", "error"],
  ];
  return eventFrame(headers, NOTHING);
}
