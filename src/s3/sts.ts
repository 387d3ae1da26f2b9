/** STS on the wire: a form by POST to the service's root, XML back. Source: s3-api.md §6.3. */
import { AssertionError } from "../core/assert.ts";
import type { StoredIdentity } from "../iam/documents.ts";
import { IamError, type IamErrorCode } from "../iam/iam-error.ts";
import {
  assumeRole,
  assumeRoleWithCertificate,
  assumeRoleWithLdapIdentity,
  assumeRoleWithWebIdentity,
  type SessionRequest,
  StsError,
  type StsErrorCode,
  type StsMeans,
} from "../iam/sts.ts";
import type { Log } from "../observe/log.ts";
import type { HttpExchange, HttpRequest } from "../sys/http.ts";
import { type AuthOptions, authenticate } from "./authenticate.ts";
import { errorCodeOf, errorMessageOf, errorStatusOf } from "./error-reply.ts";
import { wholeBody } from "./signed-call.ts";
import { parseQuery } from "./sigv4.ts";
import { WireError } from "./wire-error.ts";
import { xmlDocument, type XmlNode } from "./xml.ts";

const NAMESPACE = "https://sts.amazonaws.com/doc/2011-06-15/";
const VERSION = "2011-06-15";
const BODY_BYTES_MAX = 1024 * 1024;

const STATUS = {
  AccessDenied: 403,
  MissingParameter: 400,
  InvalidParameterValue: 400,
  ExpiredToken: 400,
  InvalidClientGrantsToken: 400,
  MalformedPolicyDocument: 400,
  InsecureConnection: 400,
  InvalidClientCertificate: 400,
  STSNotInitialized: 503,
} as const satisfies Record<StsErrorCode, number>;

const IAM_CODES: Partial<Record<IamErrorCode, StsErrorCode>> = {
  MalformedPolicy: "InvalidParameterValue",
  PolicyTooLarge: "InvalidParameterValue",
  InvalidArgument: "InvalidParameterValue",
  NotLoaded: "STSNotInitialized",
  TooMany: "STSNotInitialized",
};

export interface StsOptions extends StsMeans {
  readonly auth: AuthOptions;
  readonly log: Log;
  readonly newRequestId: () => string;
  readonly observe: (call: { readonly api: string; readonly status: number }) => void;
}

/** POST to the root with a form, or the action in the query. */
export function isStsRequest({ method, rawPath, rawQuery, headers }: HttpRequest): boolean {
  if (method !== "POST" || rawPath !== "/") return false;
  return (
    (headers.get("content-type") ?? "").startsWith("application/x-www-form-urlencoded") ||
    /(?:^|&)Action=/.test(rawQuery)
  );
}

export async function serveSts({ request, response }: HttpExchange, options: StsOptions): Promise<void> {
  const requestId = options.newRequestId();
  const headers: [string, string][] = [
    ["Server", "sherd"],
    ["x-amz-request-id", requestId],
    ["Content-Type", "application/xml"],
  ];
  const metadata: XmlNode = ["ResponseMetadata", [["RequestId", requestId]]];
  let api = "STS";
  try {
    const answer = await run(request, options, (name) => {
      api = name;
    });
    options.observe({ api, status: 200 });
    const { action, result } = answer;
    await response.send(
      200,
      headers,
      xmlDocument(`${action}Response`, [[`${action}Result`, result], metadata], NAMESPACE),
    );
  } catch (error) {
    if (error instanceof AssertionError || response.headSent) throw error;
    const { code, status, message } = factsOf(error);
    if (status === 500)
      options.log.error("request failed", {
        requestId,
        api,
        message: error instanceof Error ? error.stack : String(error),
      });
    options.observe({ api, status });
    const facts: XmlNode = [
      "Error",
      [
        ["Type", ""],
        ["Code", code],
        ["Message", message],
      ],
    ];
    await response.send(status, headers, xmlDocument("ErrorResponse", [facts, ["RequestId", requestId]], NAMESPACE));
  }
}

function factsOf(error: unknown): { readonly code: string; readonly status: number; readonly message: string } {
  if (error instanceof StsError) return { code: error.code, status: STATUS[error.code], message: error.message };
  const known = error instanceof IamError ? IAM_CODES[error.code] : undefined;
  if (known !== undefined) return { code: known, status: STATUS[known], message: errorMessage(error) };
  if (error instanceof WireError) {
    // Who cannot sign is told what is wrong, under STS's one code for it.
    const isMalformed = errorStatusOf(error.code) === 400;
    return {
      code: isMalformed ? "InvalidParameterValue" : "AccessDenied",
      status: isMalformed ? 400 : 403,
      message: error.message,
    };
  }
  const code = errorCodeOf(error);
  return {
    code: code === "InternalError" ? code : "STSNotInitialized",
    status: errorStatusOf(code),
    message: errorMessageOf(error),
  };
}

function errorMessage(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

type Form = ReadonlyMap<string, string>;

async function run(
  request: HttpRequest,
  options: StsOptions,
  named: (action: string) => void,
): Promise<{ readonly action: string; readonly result: readonly (XmlNode | null)[] }> {
  const body = await wholeBody(request, BODY_BYTES_MAX);
  const form = new Map([...formOf(Buffer.from(body).toString("latin1")), ...parseQuery(request.rawQuery)]);
  const version = form.get("Version") ?? "";
  if (version !== VERSION)
    throw new StsError("MissingParameter", `Invalid STS API version ${version.slice(0, 20)}, expecting ${VERSION}`);
  const action = form.get("Action") ?? "";
  const result = await runAction(action, { request, form, body, options, named });
  return { action, result };
}

interface StsCall {
  readonly request: HttpRequest;
  readonly form: Form;
  readonly body: Uint8Array;
  readonly options: StsOptions;
  readonly named: (action: string) => void;
}

async function runAction(action: string, call: StsCall): Promise<readonly (XmlNode | null)[]> {
  const { form, options, request } = call;
  const text = (name: string): string => form.get(name) ?? "";
  const session: SessionRequest = {
    duration: text("DurationSeconds"),
    policy: text("Policy"),
    tokenRevokeType: text("TokenRevokeType"),
  };
  switch (action) {
    case "AssumeRole": {
      call.named(action);
      const identity = await assumeRole(options, signer(call), session);
      return [
        [
          "AssumedRoleUser",
          [
            ["Arn", ""],
            ["AssumeRoleId", ""],
          ],
        ],
        credentialsOf(identity),
      ];
    }
    case "AssumeRoleWithWebIdentity":
    case "AssumeRoleWithClientGrants": {
      call.named(action);
      const from = {
        action,
        token: text("Token") || text("WebIdentityToken"),
        accessToken: text("WebIdentityAccessToken"),
        roleArn: text("RoleArn"),
      };
      const { identity, subject } = await assumeRoleWithWebIdentity(options, from, session);
      const field = action === "AssumeRoleWithWebIdentity" ? "SubjectFromWebIdentityToken" : "SubjectFromToken";
      return [credentialsOf(identity), [field, subject]];
    }
    case "AssumeRoleWithLDAPIdentity": {
      call.named(action);
      const from = { action, name: text("LDAPUsername"), password: text("LDAPPassword") };
      return [credentialsOf(await assumeRoleWithLdapIdentity(options, from, session))];
    }
    case "AssumeRoleWithCertificate": {
      call.named(action);
      const from = { action, isTls: request.isTls, certificate: request.clientCertificate };
      return [credentialsOf(await assumeRoleWithCertificate(options, from, session))];
    }
    default:
      throw new StsError("InvalidParameterValue", `Unsupported action ${action.slice(0, 64)}`);
  }
}

/** Who signed the form: over the body that came, whether or not a header says its hash. */
function signer({ request, body, options }: StsCall): ReturnType<typeof authenticate>["principal"] {
  const sha256 = new Bun.CryptoHasher("sha256").update(body).digest("hex");
  const given = request.headers.get("x-amz-content-sha256");
  if (given !== undefined && given.toLowerCase() !== sha256)
    throw new WireError("XAmzContentSHA256Mismatch", "The hash of the body is not the one that is given.");
  if (!request.headers.has("authorization")) throw new StsError("AccessDenied", "Access Denied.");
  const headers = new Map([...request.headers, ["x-amz-content-sha256", sha256]]);
  const { method, rawPath, rawQuery, remoteAddress, isTls } = request;
  const hashed: HttpRequest = {
    method,
    rawPath,
    rawQuery,
    remoteAddress,
    isTls,
    headers,
    clientCertificate: null,
    body: request.body,
    get signal() {
      return request.signal;
    },
  };
  return authenticate(hashed, parseQuery(rawQuery), options.auth).principal;
}

function credentialsOf(identity: StoredIdentity): XmlNode {
  return [
    "Credentials",
    [
      ["AccessKeyId", identity.accessKey],
      ["SecretAccessKey", identity.secretKey],
      ["Expiration", new Date(Number((identity.expiresNs ?? 0n) / 1_000_000n)).toISOString().replace(/\.000Z$/, "Z")],
      ["SessionToken", identity.sessionToken],
    ],
  ];
}

/** A form's fields, the last of a name; bytes are UTF-8. */
export function formOf(text: string): [string, string][] {
  return text
    .split("&")
    .filter((pair) => pair !== "")
    .map((pair) => {
      const equals = pair.indexOf("=");
      return equals < 0 ? [plain(pair), ""] : [plain(pair.slice(0, equals)), plain(pair.slice(equals + 1))];
    });
}

function plain(text: string): string {
  try {
    return decodeURIComponent(text.replaceAll("+", " "));
  } catch (cause) {
    throw new StsError("InvalidParameterValue", "The form is not encoded as a form is.", {}, { cause });
  }
}
