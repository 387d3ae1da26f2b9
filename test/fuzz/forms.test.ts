/** Forms of POST uploads and their policies, damaged in every way and cut anywhere: a value or a WireError, never more bytes than came. */
import { expect } from "bun:test";
import type { ByteSource } from "../../src/core/byte-stream.ts";
import { formBoundary, openForm } from "../../src/s3/form-data.ts";
import { demandAllowed, parsePostPolicy } from "../../src/s3/post-policy.ts";
import { claimV2, signaturesV2, uncoveredParameter } from "../../src/s3/sigv2.ts";
import { parseQuery } from "../../src/s3/sigv4.ts";
import { WireError } from "../../src/s3/wire-error.ts";
import { type Chance, fuzz, latin1, samplesOf } from "./fuzz.ts";

const part = (name: string, value: string, more = ""): string =>
  `--B\r\nContent-Disposition: form-data; name="${name}"${more}\r\n\r\n${value}\r\n`;
const POLICY = Buffer.from(
  JSON.stringify({ expiration: "2030-01-01T00:00:00Z", conditions: [{ bucket: "b" }, ["starts-with", "$key", "a"]] }),
).toString("base64");

/** Pieces of the input, as a socket might give them; each is gone when the next one is asked for. */
function pieces(input: Uint8Array, chance: Chance): ByteSource {
  let at = 0;
  let lent: Uint8Array | null = null;
  return {
    next() {
      lent?.fill(0xee);
      if (at >= input.length) return Promise.resolve(null);
      const end = Math.min(input.length, at + 1 + chance.below(40));
      lent = input.slice(at, end);
      at = end;
      return Promise.resolve(lent);
    },
  };
}

fuzz("forms of POST uploads", {
  samples: samplesOf(
    `${part("key", "a/${filename}")}${part("policy", POLICY)}${part("file", "content", '; filename="x.txt"')}--B--\r\n`,
    `preamble\r\n${part("key", "k")}${part("file", "a\r\n--A\r\n\r\r\n-")}${part("submit", "ok")}--B--`,
    `${part("file", "")}--B--\r\n`,
  ),
  errors: [WireError],
  words: ["\r\n", "--B", "\r\n--B", "--B--", "\r\n\r\n", "name=", 'name="file"', '"', "\\", ";", "\r", "form-data"],
  async run(input, chance) {
    const form = await openForm(pieces(input, chance), "B");
    let bytes = 0;
    let file = "";
    for (let chunk = await form.file.next(); chunk !== null; chunk = await form.file.next()) {
      bytes += chunk.length;
      file += latin1(chunk);
    }
    expect(form.bytesBefore + bytes + form.bytesAfterMin).toBeLessThanOrEqual(input.length);
    expect(latin1(input).slice(form.bytesBefore, form.bytesBefore + bytes)).toBe(file);
    expect(file).not.toContain("\r\n--B");
  },
});

fuzz("policies of POST uploads", {
  samples: [
    ...samplesOf(Buffer.from(POLICY, "base64").toString("latin1")),
    ...samplesOf(
      '{"expiration":"2030-01-01T00:00:00Z","conditions":[["content-length-range",0,"10"],["eq","$key","a"]]}',
    ),
  ],
  errors: [WireError],
  words: [
    '"',
    "[",
    "]",
    "{",
    "}",
    ",",
    "null",
    "1e999",
    "-1",
    "$key",
    "__proto__",
    "conditions",
    "content-length-range",
  ],
  run(input) {
    const policy = parsePostPolicy(Buffer.from(input).toString("base64"));
    expect(Number.isFinite(policy.expiresMs)).toBe(true);
    if (policy.size !== null) expect(policy.size.min).toBeGreaterThanOrEqual(0);
    demandAllowed(
      policy,
      new Map([
        ["key", "abc"],
        ["bucket", "b"],
      ]),
      0,
    );
  },
});

fuzz("boundaries and Signature V2", {
  samples: samplesOf(
    'multipart/form-data; boundary="a b"',
    "multipart/form-data; charset=utf-8; boundary=----x",
    "AWS key:c2lnbmF0dXJl",
    "AWSAccessKeyId=key&Expires=1&Signature=a%2Bb&versionId=1",
  ),
  errors: [WireError],
  words: ["boundary=", '"', ";", "AWS ", ":", "&", "="],
  run(input) {
    const text = latin1(input);
    const boundary = formBoundary(text);
    if (boundary !== null) expect(boundary.length).toBeLessThanOrEqual(70);
    const query = parseQuery(text);
    claimV2(text, query);
    uncoveredParameter(query);
    const headers = new Map([["x-amz-meta-a", text]]);
    const parts = { method: "GET", path: text, hostBucket: "", query, headers, date: "" };
    for (const signature of signaturesV2(parts, "secret")) expect(signature).toMatch(/^[A-Za-z0-9+/]{27}=$/);
  },
});
