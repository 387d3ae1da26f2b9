/**
 * TlsListener: TLS in front of a node:http server, with a certificate chosen for each handshake. Bun's node:https takes
 * certificates at `listen` only and one at that; its node:tls asks `SNICallback` each time and can change its default, so
 * the handshake is done there and the socket is handed to the HTTP server (ADR 0006). Owns the sockets and their back
 * pressure, which a socket handed over that way does not have by itself.
 */
import type { IncomingMessage, Server } from "node:http";
import { createServer, type TLSSocket } from "node:tls";
import type { CertificateFolder } from "./tls.ts";

const HANDSHAKE_MS = 30_000;

export interface TlsListener {
  listen(port: number, host: string): Promise<number>;
  /** The default certificate of new handshakes; SNI asks the folder by itself. */
  useMain(): void;
  /** Stops accepting; connections stay. */
  close(): void;
  destroySockets(): void;
}

export function tlsListener(
  http: Server,
  certificates: CertificateFolder,
  clientAuthorities: readonly string[] | null | undefined,
): TlsListener {
  const sockets = new Set<TLSSocket>();
  const { cert, key } = certificates.main;
  const server = createServer(
    {
      cert,
      key,
      minVersion: "TLSv1.2",
      ALPNProtocols: ["http/1.1"],
      handshakeTimeout: HANDSHAKE_MS,
      // Asked for, not demanded: nearly all clients have none.
      ...(clientAuthorities === undefined ? {} : { requestCert: true, rejectUnauthorized: false }),
      ...(clientAuthorities === undefined || clientAuthorities === null ? {} : { ca: [...clientAuthorities] }),
      SNICallback: (name, found) => found(null, certificates.pairFor(name).context),
    },
    (socket) => {
      sockets.add(socket);
      socket.once("close", () => sockets.delete(socket));
      http.emit("connection", socket);
    },
  );
  server.on("tlsClientError", () => undefined); // a client that does not like us is no event of ours
  return {
    listen: (port, host) =>
      new Promise((resolve, reject) => {
        server.once("error", reject);
        server.listen(port, host, () => resolve((server.address() as { port: number }).port));
      }),
    useMain() {
      const main = certificates.main;
      server.setSecureContext({ cert: main.cert, key: main.key, minVersion: "TLSv1.2" });
    },
    close: () => {
      server.close();
    },
    destroySockets: () => {
      for (const socket of sockets) socket.destroy();
    },
  };
}

export interface ClientCertificate {
  readonly commonName: string;
  readonly expiresMs: number;
  /** Issued by an authority that is trusted here, for clients. */
  readonly isTrusted: boolean;
}

const CLIENT_AUTH = "1.3.6.1.5.5.7.3.2";

export function clientCertificateOf(socket: unknown): ClientCertificate | null {
  const tls = socket as Partial<TLSSocket>;
  const certificate = tls.getPeerX509Certificate?.();
  if (certificate === undefined || certificate.ca) return null;
  const subject = tls.getPeerCertificate?.(false).subject as { CN?: unknown } | undefined;
  return {
    commonName: typeof subject?.CN === "string" ? subject.CN : "",
    expiresMs: Date.parse(certificate.validTo),
    isTrusted: tls.authorized === true && (certificate.keyUsage ?? []).includes(CLIENT_AUTH),
  };
}

/** A body that nobody reads stops its socket, or the socket reads on into memory. Call it before the body is touched. */
export function pauseSocketWithBody(message: IncomingMessage): void {
  const { socket } = message;
  if (message.complete) return;
  socket.pause();
  message.on("pause", () => {
    if (!message.complete) socket.pause();
  });
  message.on("resume", () => socket.resume());
  message.once("end", () => socket.resume()); // the next request's bytes
  message.once("close", () => socket.resume());
}
