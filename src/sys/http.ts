/**
 * The HTTP edge: node:http as Bun implements it (ADR 0001), behind an interface of our own. Keeps the raw URL and header
 * order for signatures, exact Content-Length, back pressure both ways, and answers `100-continue` only when the body is
 * first asked for. A response that cannot be finished destroys its connection. Bytes; milliseconds.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import type { ByteSink, ByteSource } from "../core/byte-stream.ts";
import type { Cancellation } from "../core/cancellation.ts";
import { DeadlineWatch } from "../core/deadline-watch.ts";
import { OperatingError } from "../core/errors.ts";
import { AnswerTurns } from "./answer-turns.ts";
import type { CertificateFolder } from "./tls.ts";
import { type ClientCertificate, clientCertificateOf, pauseSocketWithBody, tlsListener } from "./tls-listener.ts";

/** A block of an answer may take so many body idle times: a reader of a few KB/s is slow, not gone. */
const STALLED = 5;
const HEADER_CHECK_MS_MAX = 5_000;

export class HttpError extends OperatingError<"ClientGone" | "BodyTimeout" | "CannotListen"> {}

export interface HttpRequest {
  readonly method: string;
  /** As on the wire, before "?". */
  readonly rawPath: string;
  /** As on the wire, after "?"; "" = none. */
  readonly rawQuery: string;
  /** Lower-case name -> value; repeated headers joined with ",". */
  readonly headers: ReadonlyMap<string, string>;
  readonly remoteAddress: string;
  readonly isTls: boolean;
  /** What TLS says of the certificate that the client showed; null = none, or none was asked for. */
  readonly clientCertificate: ClientCertificate | null;
  /** The body's bytes; null `Content-Length` and no chunked coding = no body. */
  readonly body: ByteSource;
  /** Over when the client went away. */
  readonly signal: Cancellation;
}

export interface HttpResponder {
  /** Sends a whole response, and resolves when that is done: `body` is not to change before. It is not sent for HEAD, its length is. */
  send(status: number, headers: HeaderList, body: Uint8Array | string): Promise<void>;
  /** Sends the head; the body of exactly `length` bytes (null = of any) follows through the sink, then `end`. */
  start(status: number, headers: HeaderList, length: number | null): ByteSink;
  end(): Promise<void>;
  /** Breaks the connection: what was promised cannot be kept. */
  destroy(): void;
  readonly headSent: boolean;
  readonly bytesSent: number;
}
export type Header = readonly [name: string, value: string];
export type HeaderList = readonly Header[];

export interface HttpExchange {
  readonly request: HttpRequest;
  readonly response: HttpResponder;
}

export interface HttpServerOptions {
  readonly host: string;
  readonly port: number;
  readonly tls: CertificateFolder | null;
  /** Clients are asked for a certificate, which these authorities (PEM; null = the system's) may have issued. */
  readonly clientAuthorities?: readonly string[] | null | undefined;
  /** Bytes of all headers together. */
  readonly headerBytesMax: number;
  /** A body that sends nothing for so long, or up to a quarter more, is given up; so is, after five times as long, an answer of which nothing is read. */
  readonly bodyIdleMs: number;
  /** From the first byte of a request to the end of its headers: longer is answered 408. */
  readonly headerMs: number;
  /** A connection without a request is closed after so long. */
  readonly idleMs: number;
  /** Open at once; one more is closed at once. */
  readonly connectionsMax: number;
  readonly handle: (exchange: HttpExchange) => Promise<void>;
  readonly failed: (error: unknown) => void;
}
/** One timer for the bodies of all requests that are waited for. */
interface ServingOptions extends HttpServerOptions {
  readonly bodyIdle: DeadlineWatch;
  readonly turns: AnswerTurns;
}
export interface RunningServer {
  readonly port: number;
  readonly inFlight: number;
  /** Handshakes from now on use the folder's present main certificate. */
  certificatesRenewed(): void;
  /** Stops accepting, refuses what comes on open connections, waits for requests in flight up to `timeoutMs`, then closes. True = all finished. */
  stop(timeoutMs: number): Promise<boolean>;
}

export async function startHttpServer(options: HttpServerOptions): Promise<RunningServer> {
  const running = new Set<NodeExchange>();
  const bodyIdle = new DeadlineWatch((ms, run) => setTimeout(run, ms).unref(), options.bodyIdleMs);
  const turns = new AnswerTurns((answer, error) => {
    answer.destroy();
    options.failed(error);
  });
  const serving: ServingOptions = { ...options, bodyIdle, turns };
  let stopping = false;
  const onRequest = (message: IncomingMessage, reply: ServerResponse): void => {
    if (stopping) {
      refuseWhileStopping(reply);
      return;
    }
    const exchange = new NodeExchange(message, reply, serving);
    if (options.tls !== null && exchange.request.body !== EMPTY) pauseSocketWithBody(message);
    running.add(exchange);
    exchange.served = serve(exchange, reply, options, running);
  };
  const server = createServer(
    {
      maxHeaderSize: options.headerBytesMax,
      optimizeEmptyRequests: true, // nobody reads a body that is not there
      requestTimeout: 0,
      headersTimeout: options.headerMs,
      keepAliveTimeout: options.idleMs,
      connectionsCheckingInterval: Math.min(options.headerMs, HEADER_CHECK_MS_MAX),
    },
    onRequest,
  );
  boundConnections(server, options.connectionsMax);
  server.on("checkContinue", (message, reply) => {
    // There is nothing to ask for. But botocore takes a final answer without it for that of its next request too, and hangs.
    if (message.headers["content-length"] === "0") reply.writeContinue();
    onRequest(message, reply);
  });
  server.on("connect", (_message, socket) => {
    socket.end("HTTP/1.1 405 Method Not Allowed\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"); // this is no proxy
  });
  server.setTimeout(0); // a body may pause for long while others have the drives; bodyIdleMs is the limit
  const tls = options.tls === null ? null : tlsListener(server, options.tls, options.clientAuthorities);
  const listenPlain = (): Promise<number> =>
    new Promise((resolve, reject) => {
      server.once("error", reject);
      server.listen(options.port, options.host, () => resolve((server.address() as AddressInfo).port));
    });
  const listening = tls === null ? listenPlain() : tls.listen(options.port, options.host);
  const port = await listening.catch((error: unknown) => {
    throw cannotListen(options, error);
  });
  return {
    port,
    get inFlight() {
      return running.size;
    },
    certificatesRenewed: () => tls?.useMain(),
    async stop(timeoutMs) {
      stopping = true;
      if (tls === null) server.close();
      else tls.close();
      const finished = await allWithin(running, timeoutMs);
      if (tls === null) server.closeAllConnections();
      else tls.destroySockets();
      return finished;
    },
  };
}

/** TLS connections too: they are handed to the server. */
function boundConnections(server: Server, max: number): void {
  let open = 0;
  server.on("connection", (socket: Socket) => {
    open++;
    socket.once("close", () => open--);
    if (open > max) socket.destroy();
  });
}

function cannotListen({ host, port }: HttpServerOptions, error: unknown): HttpError {
  const words = error instanceof Error ? error.message : String(error);
  return new HttpError("CannotListen", `--address ${host}:${port} cannot be listened on: ${words}`, { host, port });
}

/** True when all settled in time. */
async function allWithin(exchanges: ReadonlySet<NodeExchange>, timeoutMs: number): Promise<boolean> {
  const { promise: late, resolve } = Promise.withResolvers<boolean>();
  const timer = setTimeout(() => resolve(false), timeoutMs);
  const all = Promise.all(Array.from(exchanges, ({ served }) => served));
  const finished = await Promise.race([all.then(() => true), late]);
  clearTimeout(timer);
  return finished;
}

function refuseWhileStopping(reply: ServerResponse): void {
  reply.writeHead(503, ["Connection", "close", "Retry-After", "1", "Content-Length", "0"]);
  reply.end();
}

/** Resolves when the response is over: when its bytes left us, not when the handler returned. Then it is not among `running` any more. */
async function serve(
  exchange: NodeExchange,
  reply: ServerResponse,
  options: HttpServerOptions,
  running: Set<NodeExchange>,
): Promise<void> {
  try {
    await options.handle(exchange);
  } catch (error) {
    exchange.response.destroy();
    options.failed(error);
  }
  if (!reply.writableFinished && !reply.destroyed) await ended(reply);
  running.delete(exchange);
}

function ended(reply: ServerResponse): Promise<void> {
  return new Promise<void>((resolve) => {
    reply.on("finish", resolve);
    reply.on("close", resolve);
  });
}

class NodeExchange implements HttpExchange {
  readonly request: NodeRequest;
  readonly response: NodeResponder;
  /** Until the response is over. */
  served: Promise<void> | null = null;

  constructor(message: IncomingMessage, reply: ServerResponse, options: ServingOptions) {
    this.request = new NodeRequest(message, reply, options);
    this.response = new NodeResponder(message, reply, options.turns, options.bodyIdleMs * STALLED);
  }
}

class NodeRequest implements HttpRequest, Cancellation {
  readonly method: string;
  readonly rawPath: string;
  readonly rawQuery: string;
  readonly headers: ReadonlyMap<string, string>;
  readonly isTls: boolean;
  readonly body: ByteSource;

  constructor(
    private readonly message: IncomingMessage,
    private readonly reply: ServerResponse,
    private readonly options: ServingOptions,
  ) {
    const url = message.url ?? "/";
    const question = url.indexOf("?");
    this.method = message.method ?? "GET";
    this.rawPath = question < 0 ? url : url.slice(0, question);
    this.rawQuery = question < 0 ? "" : url.slice(question + 1);
    this.headers = headersOf(message.rawHeaders);
    this.isTls = options.tls !== null;
    const hasBody = this.headers.has("transfer-encoding") || (this.headers.get("content-length") ?? "0") !== "0";
    this.body = hasBody ? new NodeBody(message, reply, { idle: options.bodyIdle, headers: this.headers }) : EMPTY;
  }

  get remoteAddress(): string {
    return this.message.socket.remoteAddress ?? "";
  }

  get clientCertificate(): ClientCertificate | null {
    return this.options.clientAuthorities === undefined ? null : clientCertificateOf(this.message.socket);
  }

  get signal(): Cancellation {
    return this;
  }

  /** Looked at, not listened for: an AbortController and its listeners cost more than the rest of a request's objects. */
  throwIfAborted(): void {
    if (this.reply.destroyed && !this.reply.writableFinished) throw new HttpError("ClientGone", "the client went away");
  }
}

const EMPTY: ByteSource = { next: () => Promise.resolve(null) };

/** Lower-case name -> value; `raw` has names and values in turn. */
function headersOf(raw: readonly string[]): Map<string, string> {
  const headers = new Map<string, string>();
  for (let i = 0; i + 1 < raw.length; i += 2) headers.set((raw[i] as string).toLowerCase(), raw[i + 1] as string);
  return headers.size * 2 === raw.length ? headers : joinHeaders(raw);
}

/** The same where some came more than once. */
function joinHeaders(raw: readonly string[]): Map<string, string> {
  const headers = new Map<string, string>();
  for (let i = 0; i + 1 < raw.length; i += 2) {
    const name = (raw[i] as string).toLowerCase();
    const value = raw[i + 1] as string;
    const known = headers.get(name);
    headers.set(name, known === undefined ? value : `${known},${value}`);
  }
  return headers;
}

/** The request's bytes with back pressure: at most what the socket gave at once is held. */
class NodeBody implements ByteSource {
  private started = false;
  private ended = false;
  private error: Error | null = null;
  private readonly chunks: Uint8Array[] = [];
  /** Handed out; its bytes are valid until the next call. */
  private lent: Uint8Array | null = null;
  private wake: (() => void) | null = null;
  /** Bytes to come; NaN = their end is told. */
  private left: number;
  private readonly isSmall: boolean;

  constructor(
    private readonly message: IncomingMessage,
    private readonly reply: ServerResponse,
    private readonly about: { readonly idle: DeadlineWatch; readonly headers: ReadonlyMap<string, string> },
  ) {
    const isChunked = about.headers.has("transfer-encoding");
    this.left = isChunked ? Number.NaN : Number(about.headers.get("content-length"));
    this.isSmall = this.left <= SMALL_BODY_BYTES;
  }

  next(): Promise<Uint8Array | null> {
    if (!this.started) this.start();
    if (this.lent !== null && !this.isSmall) giveBack(this.lent);
    this.lent = null;
    return this.isAnswerable ? this.answer() : this.more().then(() => this.answer());
  }

  private get isAnswerable(): boolean {
    return this.chunks.length > 0 || this.error !== null || this.ended;
  }

  private answer(): Promise<Uint8Array | null> {
    const chunk = this.chunks.shift() ?? null;
    if (chunk === null && this.error !== null) return Promise.reject(this.error);
    this.lent = chunk;
    return Promise.resolve(chunk);
  }

  /** Until there is an answer. */
  private more(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const { idle } = this.about;
    const waiting = idle.begin(() => {
      this.error = new HttpError("BodyTimeout", `the request body stopped for ${idle.deadlineMs} ms`);
      this.notify();
    });
    this.wake = () => {
      idle.end(waiting);
      resolve();
    };
    this.message.resume();
    return promise;
  }

  private start(): void {
    this.started = true;
    if (this.about.headers.get("expect")?.toLowerCase() === "100-continue") this.reply.writeContinue();
    this.message.on("data", (chunk: Uint8Array) => {
      // A plain view: `slice` of a Buffer does not copy, and whoever keeps bytes must be able to.
      this.chunks.push(new Uint8Array(chunk.buffer, chunk.byteOffset, chunk.byteLength));
      this.left -= chunk.byteLength;
      if (this.left === 0) this.ended = true;
      else this.message.pause();
      this.notify();
    });
    this.message.on("end", () => {
      this.ended = true;
      this.notify();
    });
    const broke = (): void => {
      if (this.ended) return;
      this.error ??= new HttpError("ClientGone", "the client went away in the middle of its body");
      this.notify();
    };
    this.message.on("aborted", broke);
    this.message.on("error", broke);
    this.message.on("close", broke);
  }

  private notify(): void {
    const wake = this.wake;
    this.wake = null;
    wake?.();
  }
}

/** What is received of such a body is left to the garbage collector: that costs less than to give it back. */
const SMALL_BODY_BYTES = 16 * 1024;

/**
 * Frees a chunk's memory at once. Left to the garbage collector, every received byte lands in fresh pages: a quarter of the
 * JavaScript thread's time for large uploads, and memory that grows until a collection.
 */
function giveBack(chunk: Uint8Array): void {
  const { buffer } = chunk;
  if (buffer instanceof ArrayBuffer && buffer.byteLength === chunk.byteLength && !buffer.detached) buffer.transfer(0);
}

class NodeResponder implements HttpResponder, ByteSink {
  headSent = false;
  bytesSent = 0;
  private gone = false;

  constructor(
    private readonly message: IncomingMessage,
    private readonly reply: ServerResponse,
    private readonly turns: AnswerTurns,
    private readonly stallMs: number,
  ) {
    reply.on("error", ignored);
  }

  send(status: number, headers: HeaderList, body: Uint8Array | string): Promise<void> {
    const length = typeof body === "string" ? Buffer.byteLength(body) : body.length;
    this.head(status, headers, length);
    const isEmpty = this.message.method === "HEAD" || status === 304 || status === 204 || length === 0;
    this.bytesSent += length;
    return this.turns.end(this.reply, isEmpty ? undefined : body);
  }

  start(status: number, headers: HeaderList, length: number | null): ByteSink {
    this.head(status, headers, length);
    if (this.message.method !== "HEAD") this.noteErrors();
    return this;
  }

  private noteErrors(): void {
    this.reply.on("error", () => {
      this.gone = true;
    });
  }

  end(): Promise<void> {
    if (this.bytesSent === 0) return this.turns.end(this.reply);
    this.reply.end();
    return Promise.resolve();
  }

  destroy(): void {
    this.reply.destroy();
    this.message.socket?.destroy();
  }

  /** One by one, in their order: a flat list for `writeHead` costs more, which takes each name away first. */
  private head(status: number, headers: HeaderList, length: number | null): void {
    this.headSent = true;
    for (const [name, value] of headers) this.reply.appendHeader(name, value);
    if (length !== null && status !== 204 && status !== 304) this.reply.appendHeader("Content-Length", String(length));
    this.reply.writeHead(status);
  }

  /** Of a body that was started. */
  async write(bytes: Uint8Array): Promise<void> {
    if (this.gone || this.reply.destroyed) throw new HttpError("ClientGone", "the client went away");
    const room = this.reply.write(bytes);
    this.bytesSent += bytes.length;
    if (!room) await this.drained();
  }

  private drained(): Promise<void> {
    return new Promise<void>((resolve, reject) => {
      // What is sent waits in memory that others want.
      const timer = setTimeout(() => {
        done();
        this.destroy();
        reject(new HttpError("ClientGone", `the client read nothing for ${this.stallMs} ms`));
      }, this.stallMs);
      const done = (): void => {
        clearTimeout(timer);
        this.reply.off("drain", drained);
        this.reply.off("close", closed);
      };
      const drained = (): void => {
        done();
        resolve();
      };
      const closed = (): void => {
        done();
        reject(new HttpError("ClientGone", "the client went away"));
      };
      this.reply.on("drain", drained);
      this.reply.on("close", closed);
    });
  }
}

function ignored(): void {
  /* deliberately nothing: who writes is told, and a response that nobody waits for is over */
}
