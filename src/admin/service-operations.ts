/** Admin API: restart and stop of the server. Source: admin API §3.1. */
import { type AdminCall, type AdminReply, emptyReply, jsonReply } from "./call.ts";
import { AdminError } from "./errors.ts";

const ACTIONS = { restart: "ServiceRestart", stop: "ServiceStop" } as const;

export function service(call: AdminCall): Promise<AdminReply> {
  const action = call.optional("action");
  if (action === "freeze" || action === "unfreeze")
    throw new AdminError("NotImplemented", "Freezing the server is not implemented.");
  if (action !== "restart" && action !== "stop")
    throw new AdminError("MalformedPOSTRequest", `Unrecognized service action ${action} requested`);
  call.demand(ACTIONS[action]);
  const dryRun = call.optional("dry-run") === "true";
  if (!dryRun) call.context.control(action);
  if (call.optional("type") !== "2") return Promise.resolve(emptyReply());
  return Promise.resolve(jsonReply({ action, dryRun, results: [{ host: call.context.server.endpoint }] }));
}
