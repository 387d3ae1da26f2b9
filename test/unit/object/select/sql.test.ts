/** S3 Select's SQL: what each expression answers, and which code says what is wrong. Source: AWS's SQL reference for S3 Select. */
import { expect, test } from "bun:test";
import { codeOf, csvWith, DOCUMENT, JSON_OUT, runSelect } from "./run-select.ts";

/** The value of an expression over one CSV record. */
const evaluated = async (expression: string, record = "Ann,31,x y"): Promise<string> =>
  (await runSelect(`select ${expression} from s3object`, `${record}\n`)).replace(/\n$/, "");

test.each([
  ["1 + 2 * 3 - 4", "3"],
  ["(1 + 2) * 3", "9"],
  ["7 / 2", "3"],
  ["7.0 / 2", "3.5"],
  ["-7 % 4", "-3"],
  ["9007199254740991 + 2", "9007199254740993"],
  ["9223372036854775806 + 1", "9223372036854775807"],
  ["1e3 + .5", "1000.5"],
  ["_2 + 1", "32"],
  ["-_2", "-31"],
  ["_1 || '-' || _2", "Ann-31"],
  ["'it''s'", "it's"],
])("arithmetic and text: %s is %s", async (expression, value) => {
  expect(await evaluated(expression)).toBe(value);
});

test.each([
  ["1 < 2 and 'a' < 'b'", "true"],
  ["1 = 2 or not 1 = 2", "true"],
  ["not 1 = 1 or 2 = 2", "true"],
  ["1 <> 1", "false"],
  ["1 != 1", "false"],
  ["_2 > 4", "true"], // as numbers: CSV has no types
  ["_2 = '31'", "true"],
  ["_1 > 4", '""'],
  ["null = null", '""'],
  ["(null and false) is false", "true"],
  ["null or true", "true"],
  ["_9 is missing", "true"],
  ["_9 is null", "true"],
  ["_1 is not null", "true"],
  ["2 between 1 and 3", "true"],
  ["2 not between 1 and 3", "false"],
  ["_1 in ('Bob', 'Ann')", "true"],
  ["_2 in (1, 31)", "true"],
  ["_1 not in ('Bob')", "true"],
  ["1 in (null, 2)", '""'],
  ["case when _2 > 30 then 'old' else 'young' end", "old"],
  ["case _1 when 'Bob' then 1 when 'Ann' then 2 end", "2"],
  ["case when false then 1 end is null", "true"],
])("conditions: %s is %s", async (expression, value) => {
  expect(await evaluated(expression)).toBe(value);
});

test.each([
  ["'abc' like 'a%'", "true"],
  ["'abc' like '%b%'", "true"],
  ["'abc' like 'a_c'", "true"],
  ["'abc' like '_'", "false"],
  ["'é' like '_'", "true"],
  ["'😀' like '_'", "true"],
  ["'a%c' like 'a!%c' escape '!'", "true"],
  ["'abc' like 'a!%c' escape '!'", "false"],
  ["'aXbXc' like 'a%b_c%'", "true"],
  ["'mississippi' like '%iss%ip%'", "true"],
  ["'abc' not like 'b%'", "true"],
  ["'' like '%'", "true"],
  ["'' like ''", "true"],
])("LIKE: %s is %s", async (expression, value) => {
  expect(await evaluated(expression)).toBe(value);
});

test.each([
  ["char_length('é😀')", "2"],
  ["character_length(_1)", "3"],
  ["lower('AbÉ')", "abé"],
  ["upper(_1)", "ANN"],
  ["substring('123456789', 2, 3)", "234"],
  ["substring('123456789', 0, 3)", "12"],
  ["substring('123456789' from 8)", "89"],
  ["substring('123456789' from 2 for 1)", "2"],
  ["trim('  a ') || '|'", "a|"],
  ["trim(leading from '  a ') || '|'", "a |"],
  ["trim(both 'xy' from 'xyaxy')", "a"],
  ["trim(trailing 'y' from 'ayy')", "a"],
  ["coalesce(null, _9, 'z')", "z"],
  ["nullif(_1, 'Ann') is null", "true"],
  ["nullif(_1, 'Bob')", "Ann"],
  ["cast('12' as int) + 1", "13"],
  ["cast('1.5' as float) * 2", "3"],
  ["cast(2.9 as int)", "2"],
  ["cast('TRUE' as bool)", "true"],
  ["cast(1 as varchar(20)) || '!'", "1!"],
  ["cast('2020-01-01T' as timestamp)", "2020-01-01T"],
  ["int(_2) + 1", "32"],
])("functions: %s is %s", async (expression, value) => {
  expect(await evaluated(expression)).toBe(value);
});

test.each([
  ["utcnow()", "2026-01-02T03:04:05Z"],
  ["extract(year from to_timestamp('2020-02-29T10:11:12Z'))", "2020"],
  ["extract(timezone_hour from to_timestamp('2020-02-29T10:11-05:30'))", "-5"],
  ["extract(timezone_minute from to_timestamp('2020-02-29T10:11-05:30'))", "-30"],
  ["date_add(year, 1, `2020-02-29T`)", "2021-02-28T"],
  ["date_add(month, 13, `2010T`)", "2011-02T"],
  ["date_add(day, -1, `2017-01-10T`)", "2017-01-09T"],
  ["date_add(hour, 1, `2017T`)", "2017-01-01T01:00Z"],
  ["date_add(second, 1, `2017-01-02T03:04:05.006Z`)", "2017-01-02T03:04:06.006Z"],
  ["date_diff(year, `2010-01-01T`, `2011-01-01T`)", "1"],
  ["date_diff(month, `2010T`, `2011T`)", "12"],
  ["date_diff(month, `2011T`, `2010T`)", "-12"],
  ["date_diff(day, `2010-01-01T23:00Z`, `2010-01-02T01:00Z`)", "0"],
  ["to_string(`1969-07-20T20:18Z`, 'MMMM d, y')", '"July 20, 1969"'],
  ["to_string(`1969-07-20T20:18Z`, 'MM/dd/yy hh:mm a')", "07/20/69 08:18 PM"],
  ["to_string(`1969-07-20T20:18+08:00`, 'y-MM-dd''T''H:m:ssX')", "1969-07-20T20:18:00+08"],
  ["to_string(`1969-07-20T20:18:13.25Z`, 'SSS XXX')", "250 Z"],
  ["to_timestamp('20200102T030405Z') = `2020-01-02T04:04:05+01:00`", "true"],
])("times: %s is %s", async (expression, value) => {
  expect(await evaluated(expression)).toBe(value);
});

const PEOPLE = "name,age,city\nAnn,31,Rome\nBob,7,\nCéline,55,Paris\n";
const HEADER = csvWith({}, "USE");

test.each([
  ["select * from s3object where age > 10", "Ann,31,Rome\nCéline,55,Paris\n"],
  ["select s.name from S3Object AS s where s.age < 10", "Bob\n"],
  ['select "name" from s3object limit 1', "Ann\n"],
  ["select NAME, _2 from s3object limit 1;", "Ann,31\n"],
  ["select s3object.city from s3object limit 1", "Rome\n"],
  ["select s.* from s3object s limit 1", "Ann,31,Rome\n"],
  [
    "select count(*), count(city), sum(age), avg(cast(age as int)), min(age), max(name) from s3object",
    "3,3,93,31,7,Céline\n",
  ],
  ["select max(age) - min(age) from s3object -- a comment\n where true", "48\n"],
  ["select sum(age), max(age) from s3object where age > 99", ",\n"],
  ["select count(*) from s3object limit 0", ""],
])("records: %s", async (sql, answer) => {
  expect(await runSelect(sql, PEOPLE, { input: HEADER })).toBe(answer);
});

test("JSON answers have the names of the columns, aliases, or positions", async () => {
  const sql = "select s.name, s.age as years, s._3, 1 + 1, s.nope from s3object s limit 1";
  expect(await codeOf(() => runSelect(sql, PEOPLE, { input: HEADER, output: JSON_OUT }))).toBe("MissingHeaders");
  const known = sql.replace(", s.nope", "");
  const answer = '{"name":"Ann","years":"31","_3":"Rome","_4":2}\n';
  expect(await runSelect(known, PEOPLE, { input: HEADER, output: JSON_OUT })).toBe(answer);
});

test.each([
  ["", "ParseUnsupportedSelect"],
  ["delete from s3object", "ParseUnsupportedSelect"],
  ["select", "ParseEmptySelect"],
  ["select _1", "ParseSelectMissingFrom"],
  ["select _1 from other", "InvalidDataSource"],
  ["select _1 from s3object, s3object", "UnsupportedSqlStructure"],
  ["select distinct _1 from s3object", "UnsupportedSqlStructure"],
  ["select _1 from s3object group by _1", "UnsupportedSqlStructure"],
  ["select _1 from s3object order by _1", "UnsupportedSqlStructure"],
  ["select _1 from (select _1 from s3object)", "UnsupportedSqlStructure"],
  ["select *, _1 from s3object", "ParseAsteriskIsNotAloneInSelectList"],
  ["select _1, * from s3object", "ParseAsteriskIsNotAloneInSelectList"],
  ["select _1 from s3object where", "ParseExpectedExpression"],
  ["select _1 from s3object where _1 = ", "ParseExpectedExpression"],
  ["select _1 from s3object limit x", "ParseExpectedNumber"],
  ["select _1 from s3object limit -1", "EvaluatorNegativeLimit"],
  ["select _1 from s3object s t", "ParseUnexpectedToken"],
  ["select 'open from s3object", "LexerInvalidLiteral"],
  ["select `nope` from s3object", "LexerInvalidIONLiteral"],
  ["select _1 # _2 from s3object", "LexerInvalidChar"],
  ["select nothing(_1) from s3object", "UnsupportedFunction"],
  ["select constructor(_1) from s3object", "UnsupportedFunction"],
  ["select lower() from s3object", "EvaluatorInvalidArguments"],
  ["select cast(_1, int) from s3object", "ParseCastArity"],
  ["select cast(_1 as thing) from s3object", "ParseExpectedTypeName"],
  ["select cast _1 from s3object", "ParseExpectedLeftParenAfterCast"],
  ["select case _1 end from s3object", "ParseExpectedWhenClause"],
  ["select date_add(week, 1, utcnow()) from s3object", "ParseExpectedDatePart"],
  ["select sum(*) from s3object", "ParseUnsupportedCallWithStar"],
  ["select sum(_1, _2) from s3object", "ParseNonUnaryAgregateFunctionCall"],
  ["select count(*), _1 from s3object", "UnsupportedSqlStructure"],
  ["select _1 from s3object where count(*) > 1", "UnsupportedSqlOperation"],
  ["select sum(count(*)) from s3object", "UnsupportedSqlOperation"],
  ["select s.a[*] from s3object s", "ParseCannotMixSqbAndWildcardInSelectList"],
  [`select ${"(".repeat(500)}1${")".repeat(500)} from s3object`, "UnsupportedSyntax"],
  [`select ${"not ".repeat(500)}true from s3object`, "UnsupportedSyntax"],
  [`select '${"x".repeat(256 * 1024)}' from s3object`, "ExpressionTooLong"],
  [`select 1${"+1".repeat(30_000)} from s3object`, "ExpressionTooLong"],
  ["select _0 from s3object", "InvalidColumnIndex"],
  ["select city from s3object", "MissingHeaders"],
  ["select _1.a from s3object", "InvalidKeyPath"],
  ["select cast(_1 as int) from s3object", "CastFailed"],
  ["select _2 / 0 from s3object", "EvaluatorInvalidArguments"],
  ["select 9223372036854775807 + 1 from s3object", "IntegerOverflow"],
  ["select _1 + 1 from s3object", "InvalidDataType"],
  ["select _1 from s3object where _1", "InvalidDataType"],
  ["select lower(1) from s3object", "IncorrectSqlFunctionArgumentType"],
  ["select sum(_1) from s3object", "InvalidDataType"],
  ["select _1 from s3object where _1 like 1", "LikeInvalidInputs"],
  ["select _1 from s3object where _1 like 'a' escape 'bc'", "LikeInvalidInputs"],
  ["select _1 from s3object where _1 like 'a!' escape '!'", "EvaluatorLikePatternInvalidEscapeSequence"],
  ["select to_timestamp(_1) from s3object", "ValueParseFailure"],
  ["select to_string(utcnow(), 'Q') from s3object", "EvaluatorInvalidTimestampFormatPatternSymbol"],
  ["select to_string(utcnow(), '''y') from s3object", "EvaluatorUnterminatedTimestampFormatPatternToken"],
])("%p ends with %s", async (sql, code) => {
  expect(await codeOf(() => runSelect(sql, "Ann,31,x y\n"))).toBe(code);
});

test("a value does not grow over what a record may be", async () => {
  const wide = "x".repeat(1000 * 1000);
  expect(await codeOf(() => runSelect("select _1 || _1 from s3object", `${wide}\n`))).toBe("OverMaxRecordSize");
  expect(await codeOf(() => runSelect("select _1, _1 from s3object", `${wide}\n`))).toBe("OverMaxRecordSize");
});

test("a LIKE pattern that costs too much is refused", async () => {
  const sql = `select _1 from s3object where _1 like '%${"a_".repeat(400)}b'`;
  expect(await codeOf(() => runSelect(sql, `${"a".repeat(500_000)}\n`))).toBe("LikeInvalidInputs");
});

test("a record of digits is looked at once, not once for each of them", async () => {
  const digits = "1".repeat(1_000_000);
  expect(await runSelect("select count(*) from s3object where _1 > 5", `${digits}x\n${digits}\n`)).toBe("0\n");
});

test("long chains of operators are compiled and evaluated, or refused", async () => {
  for (const operator of ["+ 0", "or false", "= 1", "|| ''"]) {
    const sql = `select count(1 ${`${operator} `.repeat(4_900)}) from s3object`;
    expect(await codeOf(() => runSelect(sql, "a\n"))).toMatch(/^(none|InvalidDataType)$/);
  }
});

test("JSON strings are not taken for numbers, CSV fields are", async () => {
  const document = '{"a":"31","b":31,"c":1.0}';
  const sql = (condition: string): string => `select count(*) from s3object s where ${condition}`;
  expect(await runSelect(sql("s.a > 4"), document, { input: DOCUMENT })).toBe("0\n");
  expect(await runSelect(sql("s.b > 4 and s.c = 1"), document, { input: DOCUMENT })).toBe("1\n");
});
