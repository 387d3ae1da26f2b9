/** Identities as they come from drives, clients and providers: documents, sealed payloads, tokens, forms, configuration text. */
import { expect } from "bun:test";
import { AdminError } from "../../src/admin/errors.ts";
import { parseConfigText } from "../../src/admin/config-text.ts";
import { loadCodec } from "../../src/codec/native.ts";
import { FormatError } from "../../src/core/format-error.ts";
import { ConfigSeal } from "../../src/iam/config-seal.ts";
import {
  decodeGroup,
  decodeIdentity,
  decodeMapping,
  decodePolicy,
  encodeGroup,
  encodeIdentity,
  encodeMapping,
  encodePolicy,
  tokenClaims,
} from "../../src/iam/documents.ts";
import { documentName } from "../../src/iam/iam-state.ts";
import { normalDn } from "../../src/iam/ldap.ts";
import { PasswordEnvelope, SealError } from "../../src/iam/password-envelope.ts";
import { compiledOrDenied, inlineDocument, saysNothing } from "../../src/iam/principals.ts";
import { isSignedBy, signToken } from "../../src/iam/session-token.ts";
import { StsError } from "../../src/iam/sts.ts";
import { BuiltinKms } from "../../src/kms/builtin-kms.ts";
import { KmsError } from "../../src/kms/kms.ts";
import { formOf } from "../../src/s3/sts.ts";
import { realRng } from "../../src/sys/rng.ts";
import { fuzz, latin1, samplesOf } from "./fuzz.ts";

const JSON_WORDS = [
  '"',
  "{",
  "}",
  "[]",
  "null",
  "1e999",
  "\\u0000",
  "\\ud800",
  '"__proto__":',
  '"constructor":',
  "0001-01-01T00:00:00Z",
];

fuzz("identity documents", {
  samples: samplesOf(
    '{"version":1,"credentials":{"accessKey":"a","secretKey":"b","expiration":"0001-01-01T00:00:00Z","status":"on"},"updatedAt":"2026-11-22T22:30:30.720915121Z"}',
    '{"version":1,"credentials":{"accessKey":"SA","secretKey":"b","sessionToken":"e30.e30.e30","expiration":"1970-01-01T00:00:00Z","status":"off","parentUser":"p","groups":["g"],"claims":{"sa-policy":"embedded-policy","sessionPolicy":"e30="},"name":"n","description":"d"}}',
    '{"version":1,"status":"enabled","members":["a"]}',
    '{"Version":1,"Policy":{"Version":"2012-10-17","Statement":[]},"CreateDate":"2026-11-22T22:30:30Z"}',
    '{"version":1,"policy":"a,b, c"}',
  ),
  errors: [FormatError],
  words: JSON_WORDS,
  run(bytes) {
    const identity = decodeIdentityOrNull(bytes);
    const group = decodeGroup(bytes);
    expect(decodeGroup(encodeGroup(group)).members).toEqual(group.members);
    const mapping = decodeMapping(bytes);
    expect(decodeMapping(encodeMapping(mapping)).policies).toEqual(mapping.policies);
    const policy = decodePolicy(bytes);
    // JSON reads numbers that it cannot write: as text they are the same.
    expect(JSON.stringify(decodePolicy(encodePolicy(policy)).document)).toBe(JSON.stringify(policy.document));
    compiledOrDenied(policy.document);
    if (identity === null) return;
    const inline = inlineDocument(identity.claims);
    if (inline !== null && !saysNothing(inline)) compiledOrDenied(inline);
    expect(decodeIdentity(encodeIdentity(identity)).secretKey).toBe(identity.secretKey);
  },
});

function decodeIdentityOrNull(bytes: Uint8Array): ReturnType<typeof decodeIdentity> | null {
  try {
    return decodeIdentity(bytes);
  } catch (error) {
    if (error instanceof FormatError) return null;
    throw error;
  }
}

fuzz("paths of identity documents", {
  samples: samplesOf(
    "config/iam/users/a/identity.json",
    "config/iam/policydb/sts-users/uid=a,ou=b/c.json",
    "config/iam/groups/g/members.json",
  ),
  errors: [],
  words: ["/", "..", "identity.json", ".json"],
  run(bytes) {
    const name = documentName(latin1(bytes));
    if (name !== null) expect(name.name).not.toBe("");
    expect(typeof normalDn(latin1(bytes))).toBe("string");
  },
});

const codec = loadCodec({ tier: -1 });
const envelope = new PasswordEnvelope(codec, realRng());
const SECRET = '{"secretKey":"a secret"}';
const head = new Uint8Array(41).fill(2); // PBKDF2: the others take 64 MiB each
fuzz("sealed payloads", {
  samples: [await envelope.sealWith(head, "password", Buffer.from(SECRET))],
  errors: [SealError],
  async run(bytes) {
    if (bytes.length > 32 && (bytes[32] as number) < 2) return;
    expect(Buffer.from(await envelope.open("password", bytes)).toString()).toBe(SECRET);
  },
});

const kms = BuiltinKms.parse(`key:${Buffer.alloc(32, 1).toString("base64")}`, { codec, rng: realRng() });
const seal = new ConfigSeal({ codec, rng: realRng(), kms, envelope, rootUser: "root", rootPassword: "password" });
fuzz("sealed documents", {
  samples: [await seal.seal("config/config.json", Buffer.from(SECRET)), ...samplesOf(SECRET)],
  errors: [SealError, KmsError],
  async run(bytes) {
    // What is sealed opens to what it was; everything else is text, or refused. The root's form costs 64 MiB.
    if (bytes.length > 41 && bytes[0] !== 1 && (bytes[32] as number) < 2) return;
    const opened = Buffer.from(await seal.open("config/config.json", bytes));
    const isSealed = bytes[0] === 1 && bytes.length > 5;
    expect(isSealed ? opened.toString() : "").toBe(isSealed ? SECRET : "");
  },
});

const TOKEN = signToken({ accessKey: "a", parent: "p", exp: 1 }, "secret");
fuzz("session tokens", {
  samples: samplesOf(TOKEN, "e30.e30.", "a.b.c.d"),
  errors: [],
  words: [".", "=", "e30", "eyJhbGciOiJub25lIn0"],
  run(bytes) {
    const token = latin1(bytes);
    expect(typeof tokenClaims(token)).toBe("object");
    // base64url has several spellings of the last character; the signed text has one.
    if (isSignedBy(token, "secret")) expect(token.split(".").slice(0, 2)).toEqual(TOKEN.split(".").slice(0, 2));
  },
});

fuzz("STS forms", {
  samples: samplesOf("Action=AssumeRole&Version=2011-06-15&Policy=%7B%7D&DurationSeconds=900", "a=b+c&d&=&%C3%BC=%20"),
  errors: [StsError],
  words: ["&", "=", "%", "%00", "%ff", "+", "Action=", "%C3"],
  run(bytes) {
    for (const [name, value] of formOf(latin1(bytes)))
      expect([typeof name, typeof value]).toEqual(["string", "string"]);
  },
});

fuzz("configuration text", {
  samples: samplesOf(
    'scanner speed=slow\nnotify_webhook:one endpoint="http://a/ b" enable=on # no comment',
    "# comment\nidentity_openid config_url=x comment=",
    "site name region",
  ),
  errors: [AdminError],
  words: ['"', '\\"', "=", " ", "\n", "#", ":", "__proto__=1", "scanner ", "constructor"],
  run(bytes) {
    for (const line of parseConfigText(latin1(bytes))) expect(line.subSystem.length).toBeGreaterThan(0);
  },
});
