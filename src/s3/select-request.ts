/** The SelectObjectContentRequest document: read, checked, and in the terms of object/select. Source: s3-api.md §4.20. */
import { compileStatement } from "../object/select/compile.ts";
import type { OutputFormat } from "../object/select/output-format.ts";
import { parseSelect } from "../object/select/parser.ts";
import { ANY_COLUMNS } from "../object/select/row.ts";
import type { SelectObjectRequest } from "../object/select/select-object.ts";
import type { InputFormat } from "../object/select/select-run.ts";
import type { Statement } from "../object/select/statement.ts";
import type { Packing } from "../object/unpack-stream.ts";
import { WireError } from "./wire-error.ts";
import { child, parseXml, type XmlElement } from "./xml.ts";

export type ParsedSelect = Pick<SelectObjectRequest, "statement" | "input" | "packing" | "output" | "scanRange"> & {
  readonly withProgress: boolean;
};

const DELIMITER_CHARACTERS_MAX = 16;

export function parseSelectRequest(document: Uint8Array): ParsedSelect {
  if (document.length === 0) throw new WireError("EmptyRequestBody", "The request body cannot be empty.");
  const root = parseXml(document, "SelectObjectContentRequest");
  const statement = statementOf(root);
  const inputElement = required(root, "InputSerialization");
  const packing = packingOf(inputElement);
  const input = inputOf(inputElement);
  if (input.kind === "csv" && statement.from.length > 0 && !isWholeTable(statement))
    throw new WireError("InvalidDataSource", "A path after S3Object is possible for JSON only.");
  const output = outputOf(required(root, "OutputSerialization"));
  const progress = child(root, "RequestProgress");
  return {
    statement,
    input,
    packing,
    output,
    scanRange: scanRangeOf(root),
    withProgress: progress !== undefined && flagOf(progress, "Enabled"),
  };
}

function isWholeTable({ from }: Statement): boolean {
  return from.length === 1 && from[0]?.kind === "elements";
}

function statementOf(root: XmlElement): Statement {
  const expression = required(root, "Expression").text;
  if (expression.trim() === "") throw missing("Expression");
  const type = required(root, "ExpressionType").text.trim();
  if (type.toUpperCase() !== "SQL")
    throw new WireError(
      "InvalidExpressionType",
      "The ExpressionType is not valid: only SQL expressions are supported.",
    );
  const statement = parseSelect(expression);
  compileStatement(statement, ANY_COLUMNS, 0); // what is wrong without looking at data is said before there is any
  return statement;
}

const PACKINGS: Readonly<Record<string, Packing | null>> = {
  "": null,
  NONE: null,
  GZIP: "gzip",
  BZIP2: "bzip2",
  ZSTD: "zstd",
  LZ4: "lz4",
  S2: "s2",
  SNAPPY: "s2",
};

/** Those beyond GZIP and BZIP2 are MinIO's. */
function packingOf(input: XmlElement): Packing | null {
  const packing = PACKINGS[textOf(input, "CompressionType").trim().toUpperCase()];
  if (packing === undefined)
    throw new WireError("InvalidCompressionFormat", "The compression format is not supported.");
  return packing;
}

function inputOf(element: XmlElement): InputFormat {
  const [csv, json, parquet] = [child(element, "CSV"), child(element, "JSON"), child(element, "Parquet")];
  const given = [csv, json, parquet].filter((format) => format !== undefined);
  if (given.length > 1) throw conflict("CSV, JSON or Parquet");
  if (parquet !== undefined) throw new WireError("NotImplemented", "Reading Parquet is not implemented.");
  if (csv !== undefined) return csvInputOf(csv);
  if (json === undefined) throw missing("InputSerialization");
  const type = textOf(json, "Type").trim().toUpperCase();
  if (type !== "LINES" && type !== "DOCUMENT")
    throw new WireError("InvalidJsonType", "The JsonType is not valid: only DOCUMENT and LINES are supported.");
  return { kind: "json", type };
}

function csvInputOf(csv: XmlElement): InputFormat {
  const header = textOf(csv, "FileHeaderInfo").trim().toUpperCase() || "NONE";
  if (header !== "USE" && header !== "IGNORE" && header !== "NONE")
    throw new WireError(
      "InvalidFileHeaderInfo",
      "The FileHeaderInfo is not valid: only NONE, USE, and IGNORE are supported.",
    );
  const quote = quoteOf(csv);
  const recordDelimiter = delimiterOf(csv, "RecordDelimiter", "\n");
  const fieldDelimiter = delimiterOf(csv, "FieldDelimiter", ",");
  if (recordDelimiter === fieldDelimiter || quote === recordDelimiter || quote === fieldDelimiter)
    throw new WireError("InvalidRequestParameter", "The delimiters and the quote of CSV must differ.");
  return {
    kind: "csv",
    header,
    csv: {
      recordDelimiter,
      fieldDelimiter,
      quote,
      escape: oneCharacter(csv, "QuoteEscapeCharacter") || quote,
      comment: oneCharacter(csv, "Comments"),
      allowQuotedRecordDelimiter: flagOf(csv, "AllowQuotedRecordDelimiter"),
    },
  };
}

function outputOf(element: XmlElement): OutputFormat {
  const [csv, json] = [child(element, "CSV"), child(element, "JSON")];
  if (csv !== undefined && json !== undefined) throw conflict("CSV or JSON");
  if (json !== undefined) return { kind: "json", recordDelimiter: delimiterOf(json, "RecordDelimiter", "\n") };
  if (csv === undefined) throw missing("OutputSerialization");
  const quoteFields = textOf(csv, "QuoteFields").trim().toUpperCase() || "ASNEEDED";
  if (quoteFields !== "ALWAYS" && quoteFields !== "ASNEEDED")
    throw new WireError("InvalidQuoteFields", "The QuoteFields is not valid: only ALWAYS and ASNEEDED are supported.");
  const quote = quoteOf(csv);
  return {
    kind: "csv",
    recordDelimiter: delimiterOf(csv, "RecordDelimiter", "\n"),
    fieldDelimiter: delimiterOf(csv, "FieldDelimiter", ","),
    quote,
    escape: oneCharacter(csv, "QuoteEscapeCharacter") || quote,
    quoteAlways: quoteFields === "ALWAYS",
  };
}

function scanRangeOf(root: XmlElement): ParsedSelect["scanRange"] {
  const element = child(root, "ScanRange");
  if (element === undefined) return null;
  const offset = (name: string): number | null => {
    const text = textOf(element, name).trim();
    if (text === "") return null;
    if (!/^\d{1,15}$/.test(text)) throw new WireError("InvalidScanRange", "The scan range is not valid.");
    return Number(text);
  };
  const [first, last] = [offset("Start"), offset("End")];
  if ((first === null && last === null) || (first !== null && last !== null && first > last))
    throw new WireError("InvalidScanRange", "The scan range is not valid.");
  return { first, last };
}

// ---- elements. Delimiters are blanks often, so their text is never trimmed.

function required(parent: XmlElement, name: string): XmlElement {
  const element = child(parent, name);
  if (element === undefined) throw missing(name);
  return element;
}
function textOf(parent: XmlElement, name: string): string {
  return child(parent, name)?.text ?? "";
}
function flagOf(parent: XmlElement, name: string): boolean {
  const text = textOf(parent, name).trim().toLowerCase();
  if (text !== "" && text !== "true" && text !== "false")
    throw new WireError("InvalidRequestParameter", `${name} must be TRUE or FALSE.`);
  return text === "true";
}
function delimiterOf(parent: XmlElement, name: string, fallback: string): string {
  const text = textOf(parent, name) || fallback;
  if (text.length > DELIMITER_CHARACTERS_MAX)
    throw new WireError("InvalidRequestParameter", `${name} has at most ${DELIMITER_CHARACTERS_MAX} characters.`);
  return text;
}
function oneCharacter(parent: XmlElement, name: string): string {
  const text = textOf(parent, name);
  if (text.length > 1) throw new WireError("InvalidRequestParameter", `${name} must be one character.`);
  return text;
}
/** Absent: the default. Empty: none. */
function quoteOf(parent: XmlElement): string {
  return child(parent, "QuoteCharacter") === undefined ? '"' : oneCharacter(parent, "QuoteCharacter");
}
function missing(name: string): WireError {
  return new WireError(
    "MissingRequiredParameter",
    `The SelectRequest entity is missing a required parameter: ${name}. Check the service documentation and try again.`,
  );
}
function conflict(formats: string): WireError {
  return new WireError("ObjectSerializationConflict", `The request must have one of ${formats}, not several.`);
}
