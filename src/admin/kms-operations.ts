/**
 * The KMS by its own API, `/minio/kms/v1/…`, and by the older paths of the admin API: is it reached, which master keys are there, does
 * one work, make one. Who may is said by actions `kms:…` on a key. Source: admin API §3.5, §4.5.
 */
import { GlobBuilder } from "../core/glob.ts";
import { type Kms, KmsError } from "../kms/kms.ts";
import { type AdminCall, type AdminReply, emptyReply, jsonReply } from "./call.ts";
import { AdminError } from "./errors.ts";

const KEY_NAME = /^[A-Za-z0-9_-]{1,80}$/;
const NAMES = { builtin: "SecretKey", kes: "MinIO KES", vault: "Vault" } as const;
const NEVER = "0001-01-01T00:00:00Z";

function kmsOf({ context }: AdminCall): Kms {
  const { kms } = context.objects.transforms;
  if (kms === null)
    throw new AdminError("NotImplemented", "Server side encryption specified but KMS is not configured.");
  return kms;
}

/** By the older paths the admin action suffices, which was demanded already. */
function demand(call: AdminCall, action: string, keyId = ""): void {
  if (call.isKmsApi && !call.mayDo({ action: `kms:${action}`, resource: `arn:minio:kms:::${keyId}` }))
    throw new AdminError("AccessDenied", "Access Denied.");
}

async function translated<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (cause) {
    if (!(cause instanceof KmsError)) throw cause;
    throw new AdminError(CODES[cause.code], cause.message, {}, { cause });
  }
}
const CODES = {
  KeyNotFound: "KMS.NotFoundException",
  KeyExists: "XMinioKMSKeyExists",
  CannotDecrypt: "InvalidRequest",
  Unavailable: "ServiceUnavailable",
  AccessDenied: "AccessDenied",
  NotSupported: "NotImplemented",
} as const;

export async function kmsStatus(call: AdminCall): Promise<AdminReply> {
  demand(call, "Status");
  const kms = kmsOf(call);
  const { endpoints } = await kms.status();
  return jsonReply({
    name: NAMES[kms.kind],
    "default-key-id": kms.defaultKeyId,
    endpoints: Object.fromEntries(endpoints.map(({ endpoint, online }) => [endpoint, online ? "online" : "offline"])),
    state: { KeyStoreReachable: endpoints.some(({ online }) => online) },
  });
}

export function kmsVersion(call: AdminCall): Promise<AdminReply> {
  demand(call, "Version");
  kmsOf(call);
  return Promise.resolve(jsonReply({ version: call.context.server.version }));
}

export async function createKmsKey(call: AdminCall): Promise<AdminReply> {
  const keyId = call.parameter("key-id");
  demand(call, "CreateKey", keyId);
  if (!KEY_NAME.test(keyId))
    throw new AdminError("InvalidArgument", "A key's name has up to 80 letters, digits, hyphens and underscores.");
  await translated(() => kmsOf(call).createKey(keyId));
  return emptyReply();
}

/** Those that match and that the caller may see. */
export async function listKmsKeys(call: AdminCall): Promise<AdminReply> {
  const pattern = call.optional("pattern") === "" ? "*" : call.optional("pattern");
  demand(call, "ListKeys");
  const prefix = pattern.slice(0, /[*?]|$/.exec(pattern)?.index);
  const glob = new GlobBuilder().pattern(pattern).build();
  const names = await translated(() => kmsOf(call).listKeys(prefix));
  return jsonReply(
    names.filter((name) => glob.matches(name)).map((name) => ({ createdAt: NEVER, createdBy: "", name })),
  );
}

/** A data key is made and opened again. */
export async function kmsKeyStatus(call: AdminCall): Promise<AdminReply> {
  const kms = kmsOf(call);
  const keyId = call.optional("key-id") === "" ? kms.defaultKeyId : call.optional("key-id");
  demand(call, "KeyStatus", keyId);
  const context = new Map([["MinIO admin API", "KMSKeyStatusHandler"]]);
  const made = await attempt(() => kms.generateKey(keyId, context));
  if ("error" in made) return jsonReply({ "key-id": keyId, "encryption-error": made.error });
  const { plaintext, ciphertext } = made.value;
  const opened = await attempt(() => kms.decryptKey(keyId, ciphertext, context));
  const isSame = "value" in opened && Buffer.compare(opened.value, plaintext) === 0;
  plaintext.fill(0);
  const error =
    "error" in opened ? opened.error : isSame ? null : "The generated and the decrypted data key do not match.";
  return jsonReply({ "key-id": keyId, ...(error === null ? {} : { "decryption-error": error }) });
}

/** What the KMS refuses is an answer here; a key that is not there is an error. */
async function attempt<T>(work: () => Promise<T>): Promise<{ readonly value: T } | { readonly error: string }> {
  try {
    return { value: await work() };
  } catch (error) {
    if (!(error instanceof KmsError)) throw error;
    if (error.code === "KeyNotFound")
      throw new AdminError("KMS.NotFoundException", error.message, {}, { cause: error });
    return { error: error.message };
  }
}
