/** Which KMS the options ask for: the built-in one, KES or Vault; at most one. Throws KmsError with words for the operator. */
import { openHttpClient } from "../sys/http-client.ts";
import { BuiltinKms, type KmsMeans } from "./builtin-kms.ts";
import { identityOfApiKey } from "./kes-api-key.ts";
import { KesKms } from "./kes-kms.ts";
import { type Kms, KmsError } from "./kms.ts";
import { VaultKms } from "./vault-kms.ts";

export interface KmsOptions {
  readonly kmsSecretKey: string | null;
  readonly kesEndpoint: string | null;
  readonly kesKeyName: string | null;
  readonly kesApiKey: string | null;
  readonly kesCertFile: string | null;
  readonly kesKeyFile: string | null;
  readonly kesCaPath: string | null;
  readonly vaultEndpoint: string | null;
  readonly vaultToken: string | null;
  readonly vaultKeyName: string | null;
  readonly vaultMount: string;
  readonly vaultCaPath: string | null;
}

/** null = none. Does not ask the servers: they may come up later. */
export async function openKms(options: KmsOptions, means: KmsMeans): Promise<Kms | null> {
  const asked = [options.kmsSecretKey !== null, options.kesEndpoint !== null, options.vaultEndpoint !== null];
  if (asked.filter(Boolean).length > 1)
    throw refused("only one of MINIO_KMS_SECRET_KEY, MINIO_KMS_KES_ENDPOINT and SHERD_KMS_VAULT_ENDPOINT may be set");
  if (options.kesEndpoint !== null) return await openKes(options, options.kesEndpoint);
  if (options.vaultEndpoint !== null) return await openVault(options, options.vaultEndpoint, means);
  if (options.kmsSecretKey === null) return null;
  const kms = BuiltinKms.parse(options.kmsSecretKey, means);
  if (kms === null) throw refused("MINIO_KMS_SECRET_KEY must be NAME:KEY, where KEY is base64 of 32 bytes");
  return kms;
}

async function openKes(options: KmsOptions, endpoint: string): Promise<Kms> {
  const endpoints = endpoint
    .split(",")
    .map((e) => checkedUrl(e.trim()))
    .filter((e) => e !== "");
  if (options.kesKeyName === null) throw refused("MINIO_KMS_KES_KEY_NAME must name the default master key");
  if ((options.kesCertFile === null) !== (options.kesKeyFile === null))
    throw refused("MINIO_KMS_KES_CERT_FILE and MINIO_KMS_KES_KEY_FILE belong together");
  if (options.kesApiKey !== null && options.kesCertFile !== null)
    throw refused("MINIO_KMS_KES_API_KEY and MINIO_KMS_KES_CERT_FILE exclude each other");
  const identity = options.kesApiKey === null ? null : identityOfApiKey(options.kesApiKey);
  if (identity === null && options.kesApiKey !== null)
    throw refused("MINIO_KMS_KES_API_KEY must be an API key of KES: kes:v1: and base64 of 33 bytes");
  const files = { certFile: options.kesCertFile, keyFile: options.kesKeyFile, caFile: options.kesCaPath };
  return new KesKms(endpoints, options.kesKeyName, await clientOf(files, identity));
}

async function openVault(options: KmsOptions, endpoint: string, { rng }: KmsMeans): Promise<Kms> {
  if (options.vaultToken === null || options.vaultKeyName === null)
    throw refused("SHERD_KMS_VAULT_TOKEN and SHERD_KMS_VAULT_KEY_NAME must be set with the endpoint");
  const { vaultToken: token, vaultKeyName: defaultKeyId, vaultMount: mount } = options;
  const call = await clientOf({ certFile: null, keyFile: null, caFile: options.vaultCaPath });
  return new VaultKms({ endpoint: checkedUrl(endpoint), token, mount, defaultKeyId }, call, rng);
}

async function clientOf(...given: Parameters<typeof openHttpClient>): ReturnType<typeof openHttpClient> {
  try {
    return await openHttpClient(...given);
  } catch (cause) {
    throw new KmsError("NotSupported", `a file for the KMS cannot be read: ${String(cause)}`, {}, { cause });
  }
}

function checkedUrl(text: string): string {
  if (!URL.canParse(text) || !/^https?:\/\//.test(text)) throw refused(`the KMS endpoint ${text} is no URL`);
  return text.replace(/\/+$/, "");
}

function refused(why: string): KmsError {
  return new KmsError("NotSupported", `${why}.`);
}
