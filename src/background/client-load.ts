/** ClientLoad: how many requests of clients are being served now, so that background work gives way to them. */
import type { HttpExchange } from "../sys/http.ts";

type Handler = (exchange: HttpExchange) => Promise<void>;

export class ClientLoad {
  inFlight = 0;

  counted(handle: Handler): Handler {
    return async (exchange) => {
      this.inFlight++;
      try {
        await handle(exchange);
      } finally {
        this.inFlight--;
      }
    };
  }
}
