/** What clients send, damaged in every way: each parser gives a value or a WireError, and no damage passes for signed. */
import { expect } from "bun:test";
import type { ByteSource } from "../../src/core/byte-stream.ts";
import { sourceOf } from "../../src/core/byte-stream.ts";
import { rootOnly } from "../../src/iam/principal.ts";
import { type AuthOptions, authenticate, type ChunkSigner } from "../../src/s3/authenticate.ts";
import { ChunkedReader } from "../../src/s3/aws-chunked.ts";
import type { Call } from "../../src/s3/call.ts";
import {
  checkTags,
  conditionsFrom,
  copySourceFrom,
  decodeTags,
  encodeTags,
  integerFrom,
  metadataFrom,
  rangeFrom,
  taggingFrom,
  toWire,
  versionIdFrom,
} from "../../src/s3/headers.ts";
import { announcedTrailers, contentMd5 } from "../../src/s3/request-body.ts";
import {
  canonicalPath,
  canonicalRequest,
  EMPTY_SHA256,
  hmacHex,
  parseAuthorization,
  parseIsoBasic,
  parseQuery,
  sha256Hex,
  SigningKeys,
  signRequest,
  UNSIGNED_PAYLOAD,
} from "../../src/s3/sigv4.ts";
import { WireError } from "../../src/s3/wire-error.ts";
import { child, childText, parseXml, type XmlElement, xmlDocument, type XmlNode } from "../../src/s3/xml.ts";
import type { HttpRequest } from "../../src/sys/http.ts";
import { type Chance, fuzz, latin1, samplesOf } from "./fuzz.ts";

const SECRET = "secret-of-the-fuzzer";
const DATE = "20260102T030405Z";
const SCOPE = { accessKey: "key", day: "20260102", region: "us-east-1", service: "s3" };
const NOW_MS = parseIsoBasic(DATE) as number;
const signingKeys = new SigningKeys();
const KEY = signingKeys.get(SCOPE, SECRET);
const AUTH: AuthOptions = {
  identities: rootOnly("key", SECRET),
  region: "us-east-1",
  nowMs: () => NOW_MS,
  signatureV2: true,
  signingKeys,
};

// ---- signatures. A request as text: method, path and query on the first line, a header on each of the others.

interface Parsed {
  readonly request: HttpRequest;
  readonly query: [string, string][];
}

function requestOf(text: string): Parsed {
  const [first = "", ...lines] = text.split("\n");
  const [method = "", target = ""] = first.split(" ");
  const question = target.indexOf("?");
  const headers = new Map(
    lines.map((line) => {
      const colon = line.indexOf(":");
      return [line.slice(0, Math.max(colon, 0)).toLowerCase(), line.slice(colon + 1).trim()] as const;
    }),
  );
  const rawQuery = question < 0 ? "" : target.slice(question + 1);
  const request = {
    method,
    rawPath: question < 0 ? target : target.slice(0, question),
    rawQuery,
    headers,
    remoteAddress: "127.0.0.1",
    isTls: false,
    body: sourceOf(new Uint8Array(0)),
    signal: new AbortController().signal,
  };
  return { request, query: parseQuery(rawQuery) };
}

function canonicalOf({ request, query }: Parsed, signedHeaders: readonly string[], payloadHash: string): string {
  const signed = query.filter(([name]) => name !== "X-Amz-Signature");
  const { method, rawPath, headers } = request;
  return canonicalRequest({ method, rawPath, query: signed, headers, signedHeaders, payloadHash });
}

const HEADERS = ["host", "x-amz-content-sha256", "x-amz-date", "x-amz-meta-a"];
function signedSample(line: string, payload: string): string {
  const text = `${line}\nhost:h:9000\nx-amz-content-sha256:${payload}\nx-amz-date:${DATE}\nx-amz-meta-a: b  c \nrange:bytes=0-1`;
  const { request, query } = requestOf(text);
  const signature = signRequest(
    {
      method: request.method,
      rawPath: request.rawPath,
      query,
      headers: request.headers,
      signedHeaders: HEADERS,
      payloadHash: payload,
    },
    SCOPE,
    DATE,
    KEY,
  );
  return `${text}\nauthorization:AWS4-HMAC-SHA256 Credential=key/20260102/us-east-1/s3/aws4_request, SignedHeaders=${HEADERS.join(";")}, Signature=${signature}`;
}
function presignedSample(path: string): string {
  const query = `X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=key%2F20260102%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=${DATE}&X-Amz-Expires=900&X-Amz-SignedHeaders=host&x-id=GetObject`;
  const { request, query: parsed } = requestOf(`GET ${path}?${query}\nhost:h:9000`);
  const { method, rawPath, headers } = request;
  const signature = signRequest(
    { method, rawPath, query: parsed, headers, signedHeaders: ["host"], payloadHash: UNSIGNED_PAYLOAD },
    SCOPE,
    DATE,
    KEY,
  );
  return `GET ${path}?${query}&X-Amz-Signature=${signature}\nhost:h:9000`;
}

const SIGNED = [
  signedSample("GET /bucket/key?prefix=a%20b&list-type=2", EMPTY_SHA256),
  signedSample("PUT /bucket/a%2Fb%20c", UNSIGNED_PAYLOAD),
  signedSample("PUT /bucket/%C3%BC", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"),
  presignedSample("/bucket/key"),
];
const canonicals = new Set(
  SIGNED.map((text) => {
    const parsed = requestOf(text);
    const isPresigned = text.includes("X-Amz-Signature");
    const payload = isPresigned ? UNSIGNED_PAYLOAD : (parsed.request.headers.get("x-amz-content-sha256") as string);
    return canonicalOf(parsed, isPresigned ? ["host"] : HEADERS, payload);
  }),
);

fuzz("signatures in headers and in queries", {
  samples: samplesOf(...SIGNED),
  errors: [WireError],
  words: [
    "%",
    "%2",
    "%00",
    "%FF",
    "&",
    "=",
    ";",
    ",",
    "/",
    "\n",
    "\nx-amz-meta-b:1",
    "X-Amz-Expires=",
    "X-Amz-Signature=",
    "Credential=",
    "AWS ",
    "authorization:",
    "date:x",
    "604801",
  ],
  run(bytes) {
    const parsed = requestOf(latin1(bytes));
    const { headers } = parsed.request;
    const identity = authenticate(parsed.request, parsed.query, AUTH);
    if (identity.accessKey === null) {
      expect(headers.has("authorization")).toBe(false);
      return;
    }
    // Accepted: then what was signed is, as a canonical request, one of those that the owner of the key did sign.
    const signedHeaders = identity.isPresigned
      ? (parsed.query.find(([name]) => name === "X-Amz-SignedHeaders")?.[1] ?? "").split(";")
      : parseAuthorization(headers.get("authorization") ?? "").signedHeaders;
    const hash =
      (identity.isPresigned ? parsed.query.find(([name]) => name === "X-Amz-Content-Sha256")?.[1] : undefined) ??
      headers.get("x-amz-content-sha256") ??
      (identity.isPresigned ? UNSIGNED_PAYLOAD : EMPTY_SHA256);
    expect(canonicals).toContain(canonicalOf(parsed, signedHeaders, hash));
  },
});

fuzz("queries and paths", {
  samples: samplesOf("a=1&b=%C3%BC&&c&=d&e=f=g+h", "/bucket/%E2%82%AC/../x//y"),
  errors: [WireError],
  words: ["%", "%2", "%ED%A0%80", "%F4%90%80%80", "+", "&&", "%00", "%25"],
  run(bytes) {
    const text = latin1(bytes);
    for (const [name, value] of parseQuery(text)) expect(name.isWellFormed() && value.isWellFormed()).toBe(true);
    const canonical = canonicalPath(text);
    expect(canonical).toMatch(/^[A-Za-z0-9\-_.~/%]*$/);
    expect(canonicalPath(canonical)).toBe(canonical);
  },
});

// ---- aws-chunked

const SIGNER: ChunkSigner = { key: KEY, date: DATE, scope: "20260102/us-east-1/s3/aws4_request", seed: "5".repeat(64) };
const PAYLOAD = Buffer.from(Array.from({ length: 700 }, (_, i) => (i * 7) & 255));

function chunkedSample(signer: ChunkSigner | null, trailer: boolean, sizes: readonly number[]): Uint8Array {
  const pieces: Buffer[] = [];
  let previous = signer?.seed ?? "";
  let at = 0;
  for (const size of [...sizes, 0]) {
    const data = PAYLOAD.subarray(at, at + size);
    at += size;
    let extension = "";
    if (signer !== null) {
      const { key, date, scope } = signer;
      previous = hmacHex(
        key,
        `AWS4-HMAC-SHA256-PAYLOAD\n${date}\n${scope}\n${previous}\n${EMPTY_SHA256}\n${sha256Hex(data)}`,
      );
      extension = `;chunk-signature=${previous}`;
    }
    pieces.push(Buffer.from(`${size.toString(16)}${extension}\r\n`), data);
    if (size > 0) pieces.push(Buffer.from("\r\n"));
  }
  if (trailer) {
    const line = "x-amz-checksum-crc32:AAAAAA==";
    pieces.push(Buffer.from(`${line}\r\n`));
    if (signer !== null) {
      const { key, date, scope } = signer;
      const signature = hmacHex(
        key,
        `AWS4-HMAC-SHA256-TRAILER\n${date}\n${scope}\n${previous}\n${sha256Hex(`${line}\n`)}`,
      );
      pieces.push(Buffer.from(`x-amz-trailer-signature:${signature}\r\n`));
    }
  }
  pieces.push(Buffer.from("\r\n"));
  return new Uint8Array(Buffer.concat(pieces));
}

/** The bytes in pieces of any size, empty ones among them: Buffers, valid until the next call, as the server's bodies are. */
function inPieces(bytes: Uint8Array, chance: Chance): ByteSource {
  let at = 0;
  let lent = new ArrayBuffer(0);
  return {
    next() {
      if (!lent.detached) lent.transfer(0);
      if (at >= bytes.length) return Promise.resolve(null);
      const start = at;
      at += chance.below(chance.pick([2, 20, 2000]));
      lent = new Uint8Array(bytes.subarray(start, at)).buffer;
      return Promise.resolve(Buffer.from(lent));
    },
  };
}

async function readChunked(
  bytes: Uint8Array,
  chance: Chance,
  signer: ChunkSigner | null,
  trailer: boolean,
): Promise<Buffer> {
  const announced = trailer ? ["x-amz-checksum-crc32"] : [];
  const reader = new ChunkedReader({ source: inPieces(bytes, chance), signer, trailer, announced });
  const pieces: Uint8Array[] = [];
  for (let piece = await reader.next(); piece !== null; piece = await reader.next()) pieces.push(new Uint8Array(piece));
  for (const [name, value] of reader.trailers)
    expect([announced.includes(name), value.includes("\n")]).toEqual([true, false]);
  return Buffer.concat(pieces);
}

const CHUNK_WORDS = [
  "\r\n",
  "\n",
  "0\r\n",
  "0\r\n\r\n",
  ";chunk-signature=",
  "ffffffffffffffff\r\n",
  "1000001\r\n",
  "-1\r\n",
  "x-amz-checksum-crc32:",
  "x-amz-trailer-signature:",
  ":",
];
for (const trailer of [false, true]) {
  const what = trailer ? "with" : "without";
  fuzz(`aws-chunked, signed, ${what} trailer`, {
    samples: [chunkedSample(SIGNER, trailer, [700]), chunkedSample(SIGNER, trailer, [100, 1, 599])],
    errors: [WireError],
    words: CHUNK_WORDS,
    async run(bytes, chance) {
      // Whatever framing still verifies, the payload is the one that was signed.
      expect((await readChunked(bytes, chance, SIGNER, trailer)).equals(PAYLOAD)).toBe(true);
    },
  });
  fuzz(`aws-chunked, unsigned, ${what} trailer`, {
    samples: [
      chunkedSample(null, trailer, [700]),
      chunkedSample(null, trailer, [300, 300, 100]),
      chunkedSample(null, trailer, []),
    ],
    errors: [WireError],
    words: CHUNK_WORDS,
    async run(bytes, chance) {
      expect((await readChunked(bytes, chance, null, trailer)).length).toBeLessThan(bytes.length);
    },
  });
}

// ---- documents

function nodeOf(element: XmlElement): XmlNode {
  return [element.name, element.children.length > 0 ? element.children.map(nodeOf) : element.text];
}

const DEEP = `<Delete>${"<a>".repeat(300)}${"</a>".repeat(300)}</Delete>`;
fuzz("XML documents", {
  samples: samplesOf(
    '<?xml version="1.0"?><Delete xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Quiet>true</Quiet><Object><Key>a&amp;b&#x20;</Key><VersionId>null</VersionId></Object></Delete>',
    "<Delete><Object><Key><![CDATA[<k>]]></Key></Object><!-- c --></Delete>",
    DEEP,
  ),
  errors: [WireError],
  words: [
    "<",
    ">",
    "</",
    "/>",
    "<a>",
    "</a>",
    "&#0;",
    "&#xD800;",
    "&#x110000;",
    "&lt;",
    "&unknown;",
    "<!DOCTYPE x>",
    "<![CDATA[",
    "]]>",
    "<!--",
    "-->",
    "<?x",
    "?>",
    "<__proto__>",
    "</__proto__>",
    "<constructor/>",
    '<a b="',
    "xmlns:x=",
  ],
  run(bytes) {
    const root = parseXml(bytes, "Delete");
    expect(root.name).toBe("Delete");
    childText(root, "Quiet");
    child(root, "Object");
    if (bytes.length > 20_000) return;
    // Written and read again it says the same, but for text beside elements.
    const again = parseXml(Buffer.from(xmlDocument("Delete", root.children.map(nodeOf))), "Delete");
    expect(again.children.map(nodeOf)).toEqual(root.children.map(nodeOf));
  },
});

// ---- headers

fuzz("ranges", {
  samples: samplesOf("bytes=0-99", "bytes=-5", "bytes=7-", "bytes=0-0,2-3", "bytes=99999999999999999999-"),
  errors: [WireError],
  words: ["bytes=", "-", ",", "9007199254740993", "-0", " "],
  run(bytes, chance) {
    const size = chance.pick([0, 1, 100, 5 * 2 ** 30]);
    const range = rangeFrom(latin1(bytes), size);
    if (range === null) return;
    expect(Number.isSafeInteger(range.first) && Number.isSafeInteger(range.last)).toBe(true);
    expect(range.first >= 0 && range.first <= range.last && range.last < size).toBe(true);
  },
});

/** A call that has these headers only. */
function callOf(headers: ReadonlyMap<string, string>): Call {
  return {
    request: { headers },
    query: headers,
    identity: { accessKey: "key", isPresigned: true, payload: { kind: "plain", sha256: null } },
    parameter: (name: string) => headers.get(name),
  } as unknown as Call;
}

fuzz("dates, conditions and metadata", {
  samples: samplesOf(
    "Fri, 02 Jan 2026 03:04:05 GMT",
    "2026-01-02T03:04:05Z",
    '"etag", W/"x", *',
    "=?UTF-8?q?=C3=BC_?= =?utf-8?B?w7w=?=",
    "gzip, aws-chunked",
  ),
  errors: [WireError],
  words: ["GMT", '"', ",", "=?", "?=", "=?utf-8?b?", "=?utf-8?q?=", "275760", "-", "\u00fc", "_", "="],
  run(bytes) {
    const text = latin1(bytes);
    const { ifModifiedSinceMs, ifUnmodifiedSinceMs } = conditionsFrom(
      callOf(
        new Map(["if-match", "if-none-match", "if-modified-since", "if-unmodified-since"].map((name) => [name, text])),
      ),
    );
    for (const ms of [ifModifiedSinceMs, ifUnmodifiedSinceMs])
      if (ms !== undefined) expect(Number.isFinite(ms)).toBe(true);
    const metadata = metadataFrom(
      callOf(
        new Map([
          ["x-amz-meta-a", text],
          ["content-type", text],
          ["content-encoding", text],
        ]),
      ),
    );
    for (const [, value] of metadata) {
      // Encoded once more it is ASCII; what was plain text comes back as it was.
      const wire = toWire(value);
      expect(wire).toMatch(/^[\u0020-\u007e]*$/);
    }
  },
});

fuzz("tags", {
  samples: samplesOf("a=b&c=d+e", "%C3%BC=x&k="),
  errors: [WireError],
  words: ["&", "=", "+", "%20", "%26", "%C3", "%ED%A0%80", "%00"],
  run(bytes) {
    const stored = taggingFrom(latin1(bytes));
    const tags = decodeTags(stored);
    checkTags(tags, 10);
    expect(encodeTags(tags)).toBe(stored);
  },
});

fuzz("small headers", {
  samples: samplesOf(
    "bucket/key%20a?versionId=null",
    "/b/k?versionId=10000000-2000-4000-8000-900000000000",
    "XUFAKrxLKna5cZ2REBfFkg==",
    "1000",
    "x-amz-checksum-crc32, X-Amz-Checksum-SHA1",
  ),
  errors: [WireError],
  words: ["?versionId=", "%2F", "%00", "/", "-1", "1e3", "=="],
  run(bytes) {
    const text = latin1(bytes);
    const parsers = [
      () => copySourceFrom(text),
      () => versionIdFrom(text),
      () => integerFrom(text, "max-keys", 1000, { min: 0, max: 1000 }),
      () => announcedTrailers(text),
      () => expect(contentMd5(text)?.length ?? 16).toBe(16),
      () => parseIsoBasic(text),
    ];
    let refused: unknown = null;
    for (const parse of parsers) {
      try {
        parse();
      } catch (error) {
        if (!(error instanceof WireError)) throw error;
        refused = error;
      }
    }
    if (refused !== null) throw refused;
  },
});
