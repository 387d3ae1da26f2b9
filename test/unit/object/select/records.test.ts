/** Reading records: CSV and JSON cut at any place give the same, limits hold, and a scan range has each record once. */
import { expect, test } from "bun:test";
import { ScanRange } from "../../../../src/object/select/scan-range.ts";
import { codeOf, CSV_OUT, csvWith, DOCUMENT, JSON_OUT, runSelect, type How } from "./run-select.ts";

/** The same answer whatever the pieces are. */
async function inAnyPieces(sql: string, data: string, how: How): Promise<string> {
  const whole = await runSelect(sql, data, how);
  for (const pieceBytes of [1, 2, 3, 7, 16]) expect(await runSelect(sql, data, { ...how, pieceBytes })).toBe(whole);
  return whole;
}
const ALL = "select * from s3object";
const asJson = (how: How["input"]): How => ({ output: JSON_OUT, ...(how === undefined ? {} : { input: how }) });

test.each([
  ["plain", "a,b\nc,d\n", {}, ["a,b", "c,d"]],
  ["no last line end", "a,b\nc,d", {}, ["a,b", "c,d"]],
  ["CR before LF", "a,b\r\nc,d\r\n", {}, ["a,b", "c,d"]],
  ["blank lines", "\n\na,b\n\r\n\n", {}, ["a,b"]],
  ["empty fields", ",\n,,x\n", {}, [",", ",,x"]],
  ["a byte order mark", "\ufeffa,b\n", {}, ["a,b"]],
  ["other characters", "é,😀\nx,y\n", {}, ["é,😀", "x,y"]],
  ["quotes", '"a","b,c"\n"d ""e""",f\n', {}, ["a,b|c", "d 'e',f"]],
  ["an empty quoted field", '"",x\n', {}, [",x"]],
  ["a quote inside of a field", 'a"b,c\n', {}, ["a'b,c"]],
  ["text behind quotes", '"a"b,c\n', {}, ["ab,c"]],
  ["an escape character", '"a\\"b,c",d\n', { escape: "\\" }, ["a'b|c,d"]],
  ["an escaped escape", '"a\\\\",b\n', { escape: "\\" }, ["a\\,b"]],
  ["no quoting", '"a,b"\n', { quote: "", escape: "" }, ["'a,b'"]],
  ["comments", "#x,y\na,b\n#z", { comment: "#" }, ["a,b"]],
  ["a quote in a comment", '#"\na,b\n', { comment: "#" }, ["a,b"]],
  ["other delimiters", "a|b;c|d;", { recordDelimiter: ";", fieldDelimiter: "|" }, ["a,b", "c,d"]],
  [
    "delimiters of several characters",
    "a::b\r\r c::d\r\r ",
    { recordDelimiter: "\r\r ", fieldDelimiter: "::" },
    ["a,b", "c,d"],
  ],
  ["a quoted line end", '"a\nb",c\n', { allowQuotedRecordDelimiter: true }, ["a^b,c"]],
] as const)("CSV with %s", async (_, data, csv, records) => {
  const how = asJson(csvWith(csv));
  const rows = (await inAnyPieces(ALL, data, how)).split("\n").slice(0, -1);
  const shown = rows.map((row) =>
    Object.values(JSON.parse(row) as Record<string, string>)
      .map((field) => field.replaceAll(",", "|").replaceAll('"', "'").replaceAll("\n", "^"))
      .join(","),
  );
  expect(shown.map((row) => row.replace("'a|b'", "'a,b'"))).toEqual([...records]);
});

test("fields that are not asked for are skipped, also in records with quotes", async () => {
  const data = 'a,b,c,d\n"e","f","g,1","h"\ni,j\n';
  expect(await inAnyPieces("select _2 from s3object", data, {})).toBe("b\nf\nj\n");
  expect(await inAnyPieces("select _4, _1 from s3object", data, {})).toBe("d,a\nh,e\n,i\n");
});

test("headers are used, ignored, or records", async () => {
  const data = "x,Y\n1,2\n";
  expect(await inAnyPieces("select y from s3object", data, { input: csvWith({}, "USE") })).toBe("2\n");
  expect(await inAnyPieces("select _2 from s3object", data, { input: csvWith({}, "IGNORE") })).toBe("2\n");
  expect(await inAnyPieces("select _2 from s3object", data, {})).toBe("Y\n2\n");
  const input = csvWith({}, "USE");
  expect(await codeOf(() => runSelect("select a from s3object", "a,A\n1,2\n", { input }))).toBe("AmbiguousFieldName");
  expect(await runSelect('select "A" from s3object', "a,A\n1,2\n", { input })).toBe("2\n");
  expect(await runSelect("select a from s3object", "", { input })).toBe("");
  expect(await runSelect("select count(a) from s3object", "", { input })).toBe("0\n");
});

test.each([
  ["select _1 from s3object", '"a\n', "CSVParsingError"],
  ["select _1 from s3object", '"a\nb",c\n', "CSVEscapingRecordDelimiter"],
  ["select _1 from s3object", `${"x".repeat(1024 * 1024 + 1)}\n`, "OverMaxRecordSize"],
  ["select _1 from s3object", `"${"x".repeat(1024 * 1024 + 1)}"\n`, "OverMaxRecordSize"],
  ["select _1 from s3object", `"${"x".repeat(3 * 1024 * 1024)}`, "OverMaxRecordSize"],
  ["select _1 from s3object", "x".repeat(3 * 1024 * 1024), "OverMaxRecordSize"],
])("CSV that cannot be read ends with a code (%#)", async (sql, data, code) => {
  expect(await codeOf(() => runSelect(sql, data))).toBe(code);
});

test("bytes that are not UTF-8 are InvalidTextEncoding", async () => {
  expect(await codeOf(() => runSelect(ALL, new Uint8Array([97, 0xff, 10])))).toBe("InvalidTextEncoding");
  expect(await codeOf(() => runSelect(ALL, new Uint8Array([97, 0xc3])))).toBe("InvalidTextEncoding");
});

test("what CSV answers is read back as what it was", async () => {
  const data = '"a,1","b ""2""",c\n"","x\ny",\n';
  const input = csvWith({ allowQuotedRecordDelimiter: true });
  const once = await runSelect(ALL, data, { input });
  expect(await runSelect(ALL, once, { input })).toBe(once);
  expect(await runSelect("select _1 from s3object", ",a\n")).toBe('""\n'); // a blank line would be no record
  const always = { ...CSV_OUT, quoteAlways: true, fieldDelimiter: ";", recordDelimiter: "|" };
  expect(await runSelect("select _1, 2 from s3object", "a\n", { output: always })).toBe('"a";"2"|');
});

// ---- JSON

const RULES = `{"Rules": [{"id": "1"}, {"expr": "y > x"}, {"id": "2", "expr": "z"}]}
{"created": "June 27", "n": [1, 2.5, null, true, {"a": "é\\n\\u0041"}], "big": 9223372036854775807}`;

test.each([
  ["select id from s3object[*].Rules[*].id", ['{"id":"1"}', "{}", '{"id":"2"}', "{}"]],
  ["select _1.id from s3object[*].Rules", ['{"id":"1"}', "{}", '{"id":"2"}', "{}"]],
  ["select r.id from s3object[*].rules[2] r", ['{"id":"2"}', "{}"]],
  ['select r.id from s3object[*]."rules"[2] r', ["{}", "{}"]],
  ["select * from s3object[*].created", ["{}", '{"_1":"June 27"}']],
  [
    "select s.n[4].a as a, s.n[1] as b, s.big from s3object[*] s",
    ["{}", '{"a":"é\\nA","b":2.5,"big":9223372036854775807}'],
  ],
  ["select s.Rules[0] as r from s3object s limit 1", ['{"r":{"id":"1"}}']],
  ["select v from s3object[*].n[*] v where v is not missing and v is null", ['{"v":null}']],
  ["select count(*) from s3object[*].*", ['{"_1":4}']],
])("JSON paths: %s", async (sql, records) => {
  const answer = (await inAnyPieces(sql, RULES, asJson(DOCUMENT))).split("\n").slice(0, -1);
  expect(answer).toEqual(records);
});

test("JSON lines are records, scalars and arrays too", async () => {
  const data = '{"a":1}\n{"A":"x"}\n\n[1,{"b":[]}]\n"s"\n-0.5e1\ntrue\nnull';
  const input = { kind: "json", type: "LINES" } as const;
  const rows = ['{"a":1}', '{"A":"x"}', '{"_1":[1,{"b":[]}]}', '{"_1":"s"}', '{"_1":-5}', '{"_1":true}', '{"_1":null}'];
  expect(await inAnyPieces(ALL, data, asJson(input))).toBe(`${rows.join("\n")}\n`);
  expect(await inAnyPieces("select s.a from s3object s limit 2", data, { input })).toBe("1\nx\n");
});

test.each([
  ["{", "TruncatedInput"],
  ['{"a":', "TruncatedInput"],
  ['{"a"', "TruncatedInput"],
  ['{"a":"x', "JSONParsingError"],
  ["[1", "TruncatedInput"],
  ["{]", "JSONParsingError"],
  ["{a:1}", "JSONParsingError"],
  ['{"a" 1}', "JSONParsingError"],
  ['{"a":1,}', "JSONParsingError"],
  ["[1,]", "JSONParsingError"],
  ["[1 2]", "JSONParsingError"],
  ["nope", "JSONParsingError"],
  ["01", "JSONParsingError"],
  ["1,2", "JSONParsingError"],
  ["}", "JSONParsingError"],
  ['{"a":"\\x"}', "JSONParsingError"],
  ["[".repeat(1000), "JSONParsingError"],
  [`{"a":"${"x".repeat(1024 * 1024)}"}`, "OverMaxRecordSize"],
])("JSON that cannot be read ends with a code (%#)", async (data, code) => {
  expect(await codeOf(() => runSelect(ALL, data, { input: DOCUMENT }))).toBe(code);
});

test("a document may be larger than a record, when its path leads to smaller ones", async () => {
  const data = `{"skipped":"${"x".repeat(3 * 1024 * 1024)}","rows":[${Array.from({ length: 200_000 }, (_, i) => `{"i":${i}}`).join(",")}]}`;
  const sql = "select sum(r.i), count(*) from s3object[*].rows[*] r";
  expect(await runSelect(sql, data, { input: DOCUMENT })).toBe(`${(200_000 * 199_999) / 2},200000\n`);
});

// ---- scan ranges

test.each(["\n", "\r\n", "::"])("neighbouring scan ranges have each record once, records ended by %p", (delimiter) => {
  const records = ["a", "bcd", "", "ef", "ghijklm", "n"];
  const data = Buffer.from(records.map((record) => record + delimiter).join(""));
  const read = (first: number, last: number, piece: number): string => {
    const range = new ScanRange(first, last, Buffer.from(delimiter));
    let out = "";
    for (let at = range.readFrom; at < data.length && !range.finished; at += piece)
      out += Buffer.from(range.take(data.subarray(at, at + piece))).toString();
    return out + Buffer.from(range.rest()).toString();
  };
  for (const piece of [1, 2, 3, 100])
    for (let cut = 1; cut < data.length; cut++)
      expect(read(0, cut - 1, piece) + read(cut, data.length - 1, piece)).toBe(data.toString());
});
