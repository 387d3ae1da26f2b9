/** SelectObjectContent over HTTP: the request's document, the event stream with its checksums, errors before and in it. Source: s3-api.md §4.20. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { crc32, gzipSync, zstdCompressSync } from "node:zlib";
import { ARCHIVE, COMPRESSED } from "./compressed-archives.ts";
import { type Answer, startServer, type S3Server } from "./server.ts";

let s3: S3Server;
beforeAll(async () => {
  s3 = await startServer();
  await s3.call("PUT", "/bucket");
  await s3.call("PUT", "/bucket/people.csv", { body: "name,age\nAnn,31\nBob,7\nCéline,55\n" });
});
afterAll(() => s3.stop());

interface Frame {
  readonly headers: Readonly<Record<string, string>>;
  readonly payload: Buffer;
}

/** The frames of an answer, each checksum checked. */
function framesOf(body: Buffer): Frame[] {
  const frames: Frame[] = [];
  for (let at = 0; at < body.length; ) {
    const length = body.readUInt32BE(at);
    const frame = body.subarray(at, at + length);
    expect(frame.length).toBe(length);
    expect(frame.readUInt32BE(8)).toBe(crc32(frame.subarray(0, 8)));
    expect(frame.readUInt32BE(length - 4)).toBe(crc32(frame.subarray(0, length - 4)));
    const end = 12 + frame.readUInt32BE(4);
    const headers: Record<string, string> = {};
    for (let h = 12; h < end; ) {
      const nameEnd = h + 1 + frame.readUInt8(h);
      expect(frame.readUInt8(nameEnd)).toBe(7);
      const valueEnd = nameEnd + 3 + frame.readUInt16BE(nameEnd + 1);
      headers[frame.toString("utf8", h + 1, nameEnd)] = frame.toString("utf8", nameEnd + 3, valueEnd);
      h = valueEnd;
    }
    frames.push({ headers, payload: Buffer.from(frame.subarray(end, length - 4)) });
    at += length;
  }
  return frames;
}
const escapeXml = (text: string): string => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;");
const CSV_IN = "<CSV><FileHeaderInfo>USE</FileHeaderInfo></CSV>";
interface Parts {
  readonly input?: string;
  readonly output?: string;
  readonly more?: string;
  readonly headers?: Record<string, string>;
}
function select(key: string, sql: string, parts: Parts = {}): Promise<Answer> {
  const body = `<SelectObjectContentRequest xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Expression>${escapeXml(sql)}</Expression><ExpressionType>SQL</ExpressionType><InputSerialization>${parts.input ?? CSV_IN}</InputSerialization><OutputSerialization>${parts.output ?? "<CSV/>"}</OutputSerialization>${parts.more ?? ""}</SelectObjectContentRequest>`;
  return s3.call("POST", `/bucket/${key}`, { query: "select=&select-type=2", body, headers: parts.headers ?? {} });
}
async function recordsOf(key: string, sql: string, parts: Parts = {}): Promise<string> {
  const answer = await select(key, sql, parts);
  expect([answer.status, answer.code]).toEqual([200, undefined]);
  const records = framesOf(answer.body).filter((f) => f.headers[":event-type"] === "Records");
  return Buffer.concat(records.map((f) => f.payload)).toString();
}

test("the answer is Records, Progress when asked for, Stats and End", async () => {
  const more = "<RequestProgress><Enabled>TRUE</Enabled></RequestProgress>";
  const answer = await select("people.csv", "select s.name from s3object s where s.age > 10", { more });
  expect(answer.status).toBe(200);
  const frames = framesOf(answer.body);
  expect(frames.map((f) => f.headers[":event-type"])).toEqual(["Records", "Progress", "Stats", "End"]);
  expect(frames.map((f) => f.headers[":message-type"])).toEqual(["event", "event", "event", "event"]);
  expect(frames.map((f) => f.headers[":content-type"])).toEqual([
    "application/octet-stream",
    "text/xml",
    "text/xml",
    undefined,
  ]);
  expect(frames[0]?.payload.toString()).toBe("Ann\nCéline\n");
  expect(frames[2]?.payload.toString()).toBe(
    '<?xml version="1.0" encoding="UTF-8"?><Stats><BytesScanned>33</BytesScanned><BytesProcessed>33</BytesProcessed><BytesReturned>12</BytesReturned></Stats>',
  );
});

test("delimiters that are blanks, and JSON, go in and out", async () => {
  await s3.call("PUT", "/bucket/tabs", { body: "a\tb\r\nc\td\r\n" });
  const input = "<CSV><FieldDelimiter>&#9;</FieldDelimiter><RecordDelimiter>&#13;&#10;</RecordDelimiter></CSV>";
  const output = "<JSON><RecordDelimiter> </RecordDelimiter></JSON>";
  expect(await recordsOf("tabs", "select * from s3object", { input, output })).toBe(
    '{"_1":"a","_2":"b"} {"_1":"c","_2":"d"} ',
  );
  const raw = input.replace("&#9;", "\t").replace("&#13;&#10;", "\n");
  expect(await recordsOf("tabs", "select _2 from s3object", { input: raw })).toBe("b\nd\n");
  await s3.call("PUT", "/bucket/rows.json", { body: '{"rows":[{"a":1},{"a":2}]}' });
  const json = "<JSON><Type>DOCUMENT</Type></JSON>";
  expect(await recordsOf("rows.json", "select sum(r.a) from s3object[*].rows[*] r", { input: json })).toBe("3\n");
});

test("gzip is read, and what is not gzip or ends too early is refused", async () => {
  const lines = Array.from({ length: 50_000 }, (_, i) => `${i},row ${i}\n`).join("");
  const packed = gzipSync(lines);
  await s3.call("PUT", "/bucket/rows.gz", { body: packed });
  await s3.call("PUT", "/bucket/cut.gz", { body: packed.subarray(0, packed.length - 5000) });
  const input = "<CompressionType>GZIP</CompressionType><CSV/>";
  expect(await recordsOf("rows.gz", "select count(*), max(_1) from s3object", { input })).toBe("50000,49999\n");
  expect(await recordsOf("rows.gz", "select _2 from s3object limit 1", { input })).toBe("row 0\n");
  expect((await select("people.csv", "select * from s3object", { input })).code).toBe("InvalidCompressionFormat");
  expect((await select("cut.gz", "select count(*) from s3object", { input })).code).toBe("TruncatedInput");
});

test("every other compression of MinIO is read, and one that is not what was said is refused", async () => {
  const plain = ARCHIVE(); // of many bytes and few lines
  await s3.call("PUT", "/bucket/plain", { body: plain });
  const sql = "select count(*), max(char_length(_1)) from s3object";
  const csv = "<CSV><RecordDelimiter>d</RecordDelimiter></CSV>";
  const wanted = await recordsOf("plain", sql, { input: csv });
  for (const [name, body] of [...COMPRESSED, ["zstd", zstdCompressSync(plain)] as const]) {
    const format = name.split(" ")[0] as string;
    const inputOf = (type: string): string => `<CompressionType>${type.toUpperCase()}</CompressionType>${csv}`;
    await s3.call("PUT", "/bucket/packed", { body });
    expect([name, await recordsOf("packed", sql, { input: inputOf(format) })]).toEqual([name, wanted]);
    const other = await select("packed", sql, { input: inputOf(format === "lz4" ? "bzip2" : "lz4") });
    const plainOne = await select("people.csv", sql, { input: inputOf(format) });
    expect([other.code, plainOne.code]).toEqual(["InvalidCompressionFormat", "InvalidCompressionFormat"]);
  }
});

test("a large answer comes in frames that are each whole UTF-8, and a failure in it as an error frame", async () => {
  const line = `${"é😀".repeat(50)},1\n`;
  const body = line.repeat(10_000);
  await s3.call("PUT", "/bucket/large", { body: `${body}x,y\n` });
  const answer = await select("large", "select _1, cast(_2 as int) from s3object", { input: "<CSV/>" });
  const frames = framesOf(answer.body);
  const strict = new TextDecoder("utf-8", { fatal: true });
  const texts = frames.slice(0, -1).map((f) => strict.decode(f.payload));
  expect(Math.max(...frames.map((f) => f.payload.length))).toBeLessThanOrEqual(128 * 1024);
  expect(body.startsWith(texts.join(""))).toBe(true);
  expect(frames.at(-1)?.headers).toEqual({
    ":error-code": "CastFailed",
    ":error-message": "An attempt to convert a value to int with CAST failed.",
    ":message-type": "error",
  });
});

test("a failure while the object is read is told once, and not as an error of the server", async () => {
  await s3.call("PUT", "/bucket/streamed", { body: `a,b\n${"1,2\n".repeat(300_000)}` });
  expect((await select("streamed", "select nope from s3object")).code).toBe("MissingHeaders");
  expect(await recordsOf("streamed", "select a from s3object limit 2")).toBe("1\n1\n");
});

test("a scan range has the records that begin in it, with the names of the header", async () => {
  const range = (more: string): Parts => ({ more: `<ScanRange>${more}</ScanRange>` });
  const sql = "select s.name from s3object s";
  expect(await recordsOf("people.csv", sql, range("<Start>0</Start><End>9</End>"))).toBe("Ann\n");
  expect(await recordsOf("people.csv", sql, range("<Start>10</Start><End>21</End>"))).toBe("Bob\n");
  expect(await recordsOf("people.csv", sql, range("<Start>16</Start>"))).toBe("Bob\nCéline\n");
  expect(await recordsOf("people.csv", sql, range("<End>11</End>"))).toBe("Céline\n");
  expect((await select("people.csv", sql, range("<Start>1000</Start>"))).code).toBe("InvalidScanRange");
  expect((await select("people.csv", sql, range("<Start>5</Start><End>2</End>"))).code).toBe("InvalidScanRange");
  const input = "<CompressionType>GZIP</CompressionType><CSV/>";
  expect((await select("people.csv", sql, { ...range("<Start>1</Start>"), input })).code).toBe(
    "UnsupportedScanRangeInput",
  );
});

test.each([
  [{ input: "<CompressionType>RAR</CompressionType><CSV/>" }, "InvalidCompressionFormat"],
  [{ input: "<Parquet/>" }, "NotImplemented"],
  [{ input: "" }, "MissingRequiredParameter"],
  [{ input: "<CSV/><JSON/>" }, "ObjectSerializationConflict"],
  [{ input: "<JSON><Type>OTHER</Type></JSON>" }, "InvalidJsonType"],
  [{ input: "<CSV><FileHeaderInfo>MAYBE</FileHeaderInfo></CSV>" }, "InvalidFileHeaderInfo"],
  [{ input: "<CSV><FieldDelimiter>&#10;</FieldDelimiter></CSV>" }, "InvalidRequestParameter"],
  [{ input: "<CSV><QuoteCharacter>ab</QuoteCharacter></CSV>" }, "InvalidRequestParameter"],
  [{ output: "" }, "MissingRequiredParameter"],
  [{ output: "<CSV/><JSON/>" }, "ObjectSerializationConflict"],
  [{ output: "<CSV><QuoteFields>NEVER</QuoteFields></CSV>" }, "InvalidQuoteFields"],
  [{ more: "<ScanRange><Start>x</Start></ScanRange>" }, "InvalidScanRange"],
  [{ headers: { range: "bytes=0-1" } }, "UnsupportedRangeHeader"],
] as const)("a request with %p is refused", async (parts, code) => {
  const answer = await select("people.csv", "select * from s3object", parts);
  expect([answer.code, answer.status]).toEqual([code, code === "NotImplemented" ? 501 : 400]);
});

test("what the document lacks, and objects that are not there, have their codes", async () => {
  const post = (body: string, query = "select=&select-type=2"): Promise<Answer> =>
    s3.call("POST", "/bucket/people.csv", { query, body });
  const wrap = (inner: string): string => `<SelectObjectContentRequest>${inner}</SelectObjectContentRequest>`;
  expect((await post("")).code).toBe("EmptyRequestBody");
  expect((await post("<Other/>")).code).toBe("MalformedXML");
  expect((await post(wrap(""))).code).toBe("MissingRequiredParameter");
  expect((await post(wrap("<Expression>select</Expression>"))).code).toBe("MissingRequiredParameter");
  const typed = "<Expression>select * from s3object</Expression><ExpressionType>XQUERY</ExpressionType>";
  expect((await post(wrap(typed))).code).toBe("InvalidExpressionType");
  expect((await post(wrap(typed), "select=&select-type=1")).code).toBe("InvalidRequest");
  expect((await select("people.csv", "select nope(")).code).toBe("ParseExpectedExpression");
  expect((await select("people.csv", "select * from s3object.a")).code).toBe("InvalidDataSource");
  expect([(await select("none", "select * from s3object")).code, (await select("none", "select")).code]).toEqual([
    "NoSuchKey",
    "ParseEmptySelect",
  ]);
});
