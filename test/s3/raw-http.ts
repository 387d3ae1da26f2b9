/**
 * One HTTP/1.1 exchange over a raw socket: the request's bytes are exactly those given, the answer is read by its
 * Content-Length or its chunks. For what clients may not send and libraries tidy up. Bytes; milliseconds.
 */
import { connect } from "node:net";

const ANSWER_MS_MAX = 15_000;

export interface RawAnswer {
  readonly status: number;
  /** Lower-case names; repeated headers joined with ", ". */
  readonly headers: ReadonlyMap<string, string>;
  /** As on the wire. */
  readonly headerNames: readonly string[];
  readonly body: Buffer;
  /** Fewer bytes than Content-Length said. */
  readonly isCut: boolean;
}

/** Sends the pieces and closes the sending side at once; resolves when the other side closed too. */
export function sendAndLeave(
  address: { readonly host: string; readonly port: number },
  pieces: readonly (string | Uint8Array)[],
): Promise<void> {
  return new Promise((resolve) => {
    const socket = connect(address.port, address.host);
    socket.on("connect", () => {
      for (const piece of pieces) socket.write(typeof piece === "string" ? Buffer.from(piece, "latin1") : piece);
      socket.end();
    });
    socket.on("data", () => socket.destroy());
    socket.on("error", () => resolve());
    socket.on("close", () => resolve());
  });
}

/** Sends the pieces in order; fails when no whole answer comes in time. */
export function exchange(
  address: { readonly host: string; readonly port: number },
  pieces: readonly (string | Uint8Array)[],
  isHead = false,
): Promise<RawAnswer> {
  return new Promise((resolve, reject) => {
    const socket = connect(address.port, address.host);
    let received: Buffer = Buffer.alloc(0);
    const timer = setTimeout(() => {
      socket.destroy();
      reject(new Error(`no answer within ${ANSWER_MS_MAX} ms; got ${received.toString("latin1").slice(0, 200)}`));
    }, ANSWER_MS_MAX);
    const finish = (isEnd: boolean): void => {
      const answer = parseAnswer(received, isHead, isEnd);
      if (answer === null) {
        if (!isEnd) return;
        clearTimeout(timer);
        reject(new Error(`the connection ended without an answer: ${received.toString("latin1").slice(0, 200)}`));
        return;
      }
      clearTimeout(timer);
      socket.destroy();
      resolve(answer);
    };
    socket.on("connect", () => {
      for (const piece of pieces) socket.write(typeof piece === "string" ? Buffer.from(piece, "latin1") : piece);
    });
    socket.on("data", (chunk: Buffer) => {
      received = Buffer.concat([received, chunk]);
      finish(false);
    });
    socket.on("close", () => finish(true));
    socket.on("error", () => finish(true));
  });
}

function parseAnswer(received: Buffer, isHead: boolean, isEnd: boolean): RawAnswer | null {
  let bytes = received;
  for (;;) {
    const end = bytes.indexOf("\r\n\r\n");
    if (end < 0) return null;
    const [first = "", ...lines] = bytes.subarray(0, end).toString("latin1").split("\r\n");
    const status = Number(/^HTTP\/1\.1 (\d{3})/.exec(first)?.[1]);
    bytes = bytes.subarray(end + 4);
    if (status === 100) continue;
    const headers = new Map<string, string>();
    const headerNames: string[] = [];
    for (const line of lines) {
      const colon = line.indexOf(":");
      const name = line.slice(0, colon);
      const value = line.slice(colon + 1).trim();
      headerNames.push(name);
      const known = headers.get(name.toLowerCase());
      headers.set(name.toLowerCase(), known === undefined ? value : `${known}, ${value}`);
    }
    if (headers.get("transfer-encoding") === "chunked" && !isHead) {
      const body = withoutChunks(bytes);
      if (body === null && !isEnd) return null;
      return { status, headers, headerNames, body: body ?? Buffer.alloc(0), isCut: body === null };
    }
    const length = isHead || status === 204 || status === 304 ? 0 : Number(headers.get("content-length") ?? 0);
    if (bytes.length < length && !isEnd) return null;
    return { status, headers, headerNames, body: Buffer.from(bytes.subarray(0, length)), isCut: bytes.length < length };
  }
}

/** The body of a chunked answer; null = its last chunk is not there. */
function withoutChunks(bytes: Buffer): Buffer | null {
  const pieces: Buffer[] = [];
  for (let at = 0; ; ) {
    const line = bytes.indexOf("\r\n", at);
    const size = line < 0 ? Number.NaN : Number.parseInt(bytes.toString("latin1", at, line), 16);
    if (size === 0) return Buffer.concat(pieces);
    if (!(line + 4 + size <= bytes.length)) return null;
    pieces.push(bytes.subarray(line + 2, line + 2 + size));
    at = line + 4 + size;
  }
}
