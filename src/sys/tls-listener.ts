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

export function tlsListener(http: Server, certificates: CertificateFolder): TlsListener {
  const sockets = new Set<TLSSocket>();
  const { cert, key } = certificates.main;
  const server = createServer(
    {
      cert,
      key,
      minVersion: "TLSv1.2",
      ALPNProtocols: ["http/1.1"],
      handshakeTimeout: HANDSHAKE_MS,
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
