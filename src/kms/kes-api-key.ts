/**
 * API keys of KES: `kes:v1:` and, in base64, a byte 0 (Ed25519) with the private key's seed. A client shows a certificate that it signs itself with
 * that key; the server knows it by the SHA-256 of its public key. Source: KES's documentation, RFC 8410 (keys), RFC 5280 §4 (certificates).
 */
import { createHash, createPrivateKey, createPublicKey, type KeyObject, sign } from "node:crypto";

const PREFIX = "kes:v1:";
const SEED_BYTES = 32;

export interface KesIdentity {
  /** What KES's policies call this client. */
  readonly identity: string;
  /** PEM. */
  readonly cert: string;
  /** PEM. */
  readonly key: string;
}

/** null = the text is no API key. The same key gives the same certificate: it never ends, so that none has to be renewed. */
export function identityOfApiKey(text: string): KesIdentity | null {
  if (!text.startsWith(PREFIX)) return null;
  const encoded = text.slice(PREFIX.length);
  const bytes = Buffer.from(encoded, "base64");
  if (bytes.length !== 1 + SEED_BYTES || bytes[0] !== 0 || bytes.toString("base64") !== encoded) return null;
  const pkcs8 = sequence(integer(0), sequence(ED25519), octets(octets(bytes.subarray(1))));
  const privateKey = createPrivateKey({ key: pkcs8, format: "der", type: "pkcs8" });
  const publicKey = createPublicKey(privateKey).export({ format: "der", type: "spki" });
  const identity = createHash("sha256").update(publicKey).digest("hex");
  return {
    identity,
    cert: pem("CERTIFICATE", certificateOf(identity, publicKey, privateKey)),
    key: pem("PRIVATE KEY", pkcs8),
  };
}

function certificateOf(identity: string, publicKey: Buffer, privateKey: KeyObject): Buffer {
  const name = sequence(element(0x31, sequence(COMMON_NAME, element(0x0c, Buffer.from(identity)))));
  const body = sequence(
    element(0xa0, integer(2)), // X.509 v3
    integer(1),
    sequence(ED25519),
    name,
    sequence(element(0x17, Buffer.from("700101000000Z")), element(0x18, Buffer.from("99991231235959Z"))),
    name,
    publicKey,
    element(
      0xa3,
      sequence(
        sequence(KEY_USAGE, TRUE, octets(bits(7, Buffer.of(0x80)))), // digital signature
        sequence(EXTENDED_KEY_USAGE, octets(sequence(CLIENT_AUTHENTICATION))),
        sequence(BASIC_CONSTRAINTS, TRUE, octets(sequence())),
      ),
    ),
  );
  return sequence(body, sequence(ED25519), bits(0, sign(null, body, privateKey)));
}

// ---- DER

/** Lengths up to 65535. */
function element(tag: number, ...parts: readonly Buffer[]): Buffer {
  const content = Buffer.concat(parts);
  const n = content.length;
  const length = n < 0x80 ? [n] : n < 0x100 ? [0x81, n] : [0x82, n >> 8, n & 0xff];
  return Buffer.concat([Buffer.of(tag, ...length), content]);
}

function sequence(...parts: readonly Buffer[]): Buffer {
  return element(0x30, ...parts);
}

function octets(content: Buffer): Buffer {
  return element(0x04, content);
}

function bits(unused: number, content: Buffer): Buffer {
  return element(0x03, Buffer.of(unused), content);
}

function integer(small: number): Buffer {
  return element(0x02, Buffer.of(small));
}

const oid = (...bytes: readonly number[]): Buffer => element(0x06, Buffer.of(...bytes));
const TRUE = element(0x01, Buffer.of(0xff));
const ED25519 = oid(0x2b, 0x65, 0x70);
const COMMON_NAME = oid(0x55, 0x04, 0x03);
const KEY_USAGE = oid(0x55, 0x1d, 0x0f);
const BASIC_CONSTRAINTS = oid(0x55, 0x1d, 0x13);
const EXTENDED_KEY_USAGE = oid(0x55, 0x1d, 0x25);
const CLIENT_AUTHENTICATION = oid(0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x02);

function pem(label: string, der: Buffer): string {
  const lines = der.toString("base64").match(/.{1,64}/g) ?? [];
  return `-----BEGIN ${label}-----\n${lines.join("\n")}\n-----END ${label}-----\n`;
}
