/** S3 Select: statements, CSV and JSON damaged in every way give an answer or a SelectError, whatever pieces the input comes in. */
import { expect } from "bun:test";
import { compileStatement } from "../../src/object/select/compile.ts";
import { SelectError } from "../../src/object/select/errors.ts";
import { parseSelect } from "../../src/object/select/parser.ts";
import { ANY_COLUMNS } from "../../src/object/select/row.ts";
import { type How, csvWith, DOCUMENT, JSON_OUT, runSelect } from "../unit/object/select/run-select.ts";
import { type Chance, fuzz, samplesOf } from "./fuzz.ts";

const STATEMENTS = [
  "select * from s3object s where s._1 like 'a!%%' escape '!' and not _2 is missing limit 5;",
  "select s.a.b[0]['c'], cast(_1 as decimal(3, 2)) as x from S3Object[*].path[*].y as s",
  "select count(*), sum(int(_1)) + 1, avg(_2), min(_3), max(_4) from s3object where _1 between 1 and 2 or _2 in (1, '2', null)",
  "select case when _1 = 'x' then 1.5e3 else -_2 end, case _1 when 1 then 2 end from s3object",
  "select trim(both 'x' from _1), substring(_1 from 2 for 3), coalesce(nullif(_1, _2), _3) || upper(_4) from s3object",
  "select extract(year from to_timestamp(_1)), date_add(day, 1, `2020-01-01T`), date_diff(month, utcnow(), utcnow()), to_string(utcnow(), 'y-MM''x''') from s3object /* c */",
];
const WORDS =
  "select from where limit and or not in is null missing like escape between case when then else end cast as int ( ) [ ] , . * + - / % || = <> < ' \" ` _1 s3object count( -- /*".split(
    " ",
  );

fuzz("S3 Select statements", {
  samples: samplesOf(...STATEMENTS),
  words: WORDS.map((word) => ` ${word} `),
  errors: [SelectError],
  async run(input) {
    const sql = Buffer.from(input).toString("utf8");
    compileStatement(parseSelect(sql), ANY_COLUMNS, 0);
    await runSelect(sql, "a,2,3,4\n2020-01-01T,x,,\n");
  },
});

/** The answer; which of several errors is met first may depend on the pieces. */
function answerOf(sql: string, input: Uint8Array, how: How): Promise<string> {
  return runSelect(sql, input, how).catch((error: unknown) => {
    if (error instanceof SelectError) return "refused";
    throw error;
  });
}
/** Where the input is cut makes no difference. */
async function inPieces(sql: string, input: Uint8Array, how: How, chance: Chance): Promise<void> {
  const pieceBytes = Math.max(1, chance.below(40), Math.floor(input.length / 500));
  expect(await answerOf(sql, input, { ...how, pieceBytes })).toBe(await answerOf(sql, input, how));
}

fuzz("S3 Select CSV", {
  samples: samplesOf('a,b\r\n"c ""d""",e\n\n#x\n"f\ng",h', ",,\n\xc3\xa9,\\\n", '"a\\"b";c|d;"e"|'),
  words: ['"', '""', ",", "\n", "\r\n", "\\", "#", ";", "|", '","'],
  errors: [SelectError],
  async run(input, chance) {
    const csv = chance.pick([
      {},
      { allowQuotedRecordDelimiter: true },
      { escape: "\\", comment: "#", allowQuotedRecordDelimiter: true },
      { fieldDelimiter: ";", recordDelimiter: "|", quote: "'", escape: "'" },
      { quote: "", escape: "" },
    ]);
    const header = chance.pick(["USE", "NONE", "IGNORE"] as const);
    const sql = chance.pick([
      "select * from s3object",
      "select _2, _1 from s3object where _1 > 'a'",
      "select count(_3) from s3object",
    ]);
    await inPieces(sql, input, { input: csvWith(csv, header), output: JSON_OUT }, chance);
  },
});

fuzz("S3 Select JSON", {
  samples: samplesOf(
    '{"a":[{"b":1,"c":"x\\u00e9\\n"},{"b":-2.5e3},[],{}],"d":null}\n{"a":true}',
    '[1,2,[3,{"b":[]}]] "s" 12 false',
  ),
  words: ['"', "{", "}", "[", "]", ":", ",", '"a"', '{"a":[', "\\", "null", "1e5", "-"],
  errors: [SelectError],
  async run(input, chance) {
    const from = chance.pick(["", "[*]", "[*].a", "[*].a[*]", "[*].a[*].b", "[*].*", "[*][0]", "[*].a[1].c"]);
    const sql = chance.pick([`select * from s3object${from}`, `select count(s.b), count(*) from s3object${from} s`]);
    await inPieces(sql, input, { input: DOCUMENT, output: JSON_OUT }, chance);
  },
});
