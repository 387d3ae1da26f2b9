/** Options of encryption and compression: rows of the table in options.ts. Source: s3-api.md §4.14, admin-api.md. */
import { row } from "./option-row.ts";
import { anyText, onOff, optionalText, wordList } from "./option-values.ts";

const text = (env: string, value: string, help: string) =>
  row({ flag: null, env, schema: optionalText, fallback: "", value, help });

export const PROTECTION_OPTIONS = {
  kmsSecretKey: row({
    flag: null,
    env: "KMS_SECRET_KEY",
    schema: optionalText,
    fallback: "",
    value: "NAME:BASE64",
    help: "the master key of the built-in KMS, for objects, identities and configuration: its name and 32 bytes in base64",
    secret: true,
  }),
  kmsAutoEncryption: row({
    flag: null,
    env: "KMS_AUTO_ENCRYPTION",
    schema: onOff,
    fallback: "off",
    value: "on|off",
    help: "SSE-S3 for every new object that names no encryption",
  }),
  compressionEnable: row({
    flag: null,
    env: "COMPRESSION_ENABLE",
    aliases: ["MINIO_COMPRESS", "MINIO_COMPRESSION"],
    schema: onOff,
    fallback: "off",
    value: "on|off",
    help: "compress new objects that match by extension or content type",
  }),
  compressionExtensions: row({
    flag: null,
    env: "COMPRESSION_EXTENSIONS",
    aliases: ["MINIO_COMPRESS_EXTENSIONS"],
    schema: wordList,
    fallback: ".txt,.log,.csv,.json,.tar,.xml,.bin",
    value: "EXT,…",
    help: "extensions of objects to compress; * for all",
  }),
  compressionTypes: row({
    flag: null,
    env: "COMPRESSION_MIME_TYPES",
    aliases: ["MINIO_COMPRESS_MIME_TYPES", "MINIO_COMPRESS_MIMETYPES"],
    schema: wordList,
    fallback: "text/*,application/json,application/xml,binary/octet-stream",
    value: "TYPE,…",
    help: "content types of objects to compress; * for all",
  }),
  compressionEncrypted: row({
    flag: null,
    env: "COMPRESSION_ALLOW_ENCRYPTION",
    aliases: ["MINIO_COMPRESS_ALLOW_ENCRYPTION"],
    schema: onOff,
    fallback: "off",
    value: "on|off",
    help: "compress what is encrypted too; its size then tells something about its content",
  }),
  kesEndpoint: text("KMS_KES_ENDPOINT", "URL,…", "KES servers that keep the master keys"),
  kesKeyName: text("KMS_KES_KEY_NAME", "NAME", "default master key at KES"),
  kesCertFile: text("KMS_KES_CERT_FILE", "FILE", "client certificate for KES"),
  kesKeyFile: text("KMS_KES_KEY_FILE", "FILE", "private key of the client certificate for KES"),
  kesCaPath: text("KMS_KES_CAPATH", "FILE", "certificates that KES servers are trusted by; the system's if not given"),
  vaultEndpoint: text("KMS_VAULT_ENDPOINT", "URL", "HashiCorp Vault whose Transit engine keeps the master keys"),
  vaultToken: row({
    flag: null,
    env: "KMS_VAULT_TOKEN",
    schema: optionalText,
    fallback: "",
    value: "TOKEN",
    help: "token for Vault",
    secret: true,
  }),
  vaultKeyName: text("KMS_VAULT_KEY_NAME", "NAME", "default master key at Vault"),
  vaultMount: row({
    flag: null,
    env: "KMS_VAULT_MOUNT",
    schema: anyText,
    fallback: "transit",
    value: "PATH",
    help: "where Vault's Transit engine is mounted",
  }),
  vaultCaPath: text("KMS_VAULT_CAPATH", "FILE", "certificates that Vault is trusted by; the system's if not given"),
} as const;
