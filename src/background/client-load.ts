/** ClientLoad: requests of clients, those that are being served and all so far, so that background work gives way to them. */
import type { HttpExchange } from "../sys/http.ts";

type Handler = (exchange: HttpExchange) => Promise<void>;

export class ClientLoad {
  inFlight = 0;
  begun = 0;

  counted(handle: Handler): Handler {
    return async (exchange) => {
      this.inFlight++;
      this.begun++;
      try {
        await handle(exchange);
      } finally {
        this.inFlight--;
      }
    };
  }
}
