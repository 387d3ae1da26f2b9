/**
 * The spine of the admin API: version, operation, authentication, permission, handler, and one exit that writes the answer or the
 * JSON error. Source: admin API §1.
 */
import { AssertionError } from "../core/assert.ts";
import { IamError } from "../iam/iam-error.ts";
import type { Log } from "../observe/log.ts";
import type { HttpExchange, HttpRequest } from "../sys/http.ts";
import { AdminCall, type AdminReply, type AdminRequest } from "./call.ts";
import type { AdminContext } from "./context.ts";
import { ADMIN_ERRORS, AdminError, IAM_ERRORS } from "./errors.ts";
import { findAdminOperation } from "./operations.ts";

const PREFIX = "/minio/admin/";
const VERSION = "v3";
const KMS_PREFIX = "/minio/kms/";
const KMS_VERSION = "v1";

export interface AdminOptions {
  readonly context: AdminContext;
  readonly log: Log;
  readonly hostId: string;
  readonly newRequestId: () => string;
  /** The authentication of S3. */
  readonly authenticate: (request: HttpRequest) => AdminRequest;
  /** Of errors that are not of this folder. */
  readonly describe: (error: unknown) => ErrorFacts;
  readonly observe: (call: { readonly api: string; readonly status: number }) => void;
}
export interface ErrorFacts {
  readonly code: string;
  readonly status: number;
  readonly message: string;
}

export function isAdminPath(rawPath: string): boolean {
  return rawPath.startsWith(PREFIX) || rawPath.startsWith(KMS_PREFIX);
}

export async function serveAdmin(exchange: HttpExchange, options: AdminOptions): Promise<void> {
  const { request, response } = exchange;
  const requestId = options.newRequestId();
  const common: [string, string][] = [
    ["Server", "sherd"],
    ["x-amz-request-id", requestId],
    ["x-amz-id-2", options.hostId],
  ];
  let api = "Unknown";
  try {
    const answer = await run(request, options, (name) => {
      api = name;
    });
    options.observe({ api, status: answer.status });
    await response.send(answer.status, [...answer.headers, ...common], answer.body);
  } catch (error) {
    if (error instanceof AssertionError || response.headSent) throw error;
    const { code, status, message } = factsOf(error, options);
    if (status >= 500 && status !== 501)
      options.log.error("admin request failed", { requestId, api, code, message: messageOf(error) });
    options.observe({ api, status });
    const body = {
      Code: code,
      Message: message,
      Resource: request.rawPath,
      RequestId: requestId,
      HostId: options.hostId,
    };
    const hasBody = (request.headers.get("content-length") ?? "0") !== "0" || request.headers.has("transfer-encoding");
    const close: [string, string][] = hasBody ? [["Connection", "close"]] : []; // the rest of the body is not wanted
    await response.send(status, [["Content-Type", "application/json"], ...close, ...common], JSON.stringify(body));
  }
}

async function run(request: HttpRequest, options: AdminOptions, named: (api: string) => void): Promise<AdminReply> {
  const api = request.rawPath.startsWith(KMS_PREFIX) ? "kms" : "admin";
  const path = request.rawPath.slice((api === "kms" ? KMS_PREFIX : PREFIX).length);
  const slash = path.indexOf("/");
  const version = slash < 0 ? path : path.slice(0, slash);
  if (version !== (api === "kms" ? KMS_VERSION : VERSION))
    throw new AdminError(
      "XMinioAdminVersionMismatch",
      `This server has version ${api === "kms" ? KMS_VERSION : VERSION} of the ${api} API, not ${version.slice(0, 20)}.`,
    );
  const found = findAdminOperation(request.method, decoded(path.slice(slash + 1)), api);
  if (found === null) throw new AdminError("NoSuchAdminOperation", "There is no such admin operation.");
  const { operation, names } = found;
  named(`${api}.${operation.path[0]}`);
  const call = new AdminCall(options.context, options.authenticate(request), names, api === "kms");
  if (operation.action !== null) call.demand(operation.action);
  return await operation.run(call);
}

function decoded(path: string): string {
  try {
    return decodeURIComponent(path);
  } catch (cause) {
    throw new AdminError("InvalidRequest", "The path is not encoded as a path is.", {}, { cause });
  }
}

function factsOf(error: unknown, options: AdminOptions): ErrorFacts {
  if (error instanceof AdminError)
    return { code: error.code, status: ADMIN_ERRORS[error.code], message: error.message };
  if (error instanceof IamError) {
    const code = IAM_ERRORS[error.code];
    return { code, status: ADMIN_ERRORS[code], message: error.message };
  }
  return options.describe(error);
}

function messageOf(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
