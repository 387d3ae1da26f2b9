/** Records of the answer as CSV or JSON text. A record is bounded like one of the input. */
import { SelectError } from "./errors.ts";
import { csvText, jsonObject, RECORD_CHARACTERS_MAX, type Value } from "./value.ts";

export interface CsvOutput {
  readonly kind: "csv";
  readonly recordDelimiter: string;
  readonly fieldDelimiter: string;
  /** "" = nothing is quoted. */
  readonly quote: string;
  readonly escape: string;
  readonly quoteAlways: boolean;
}
export interface JsonOutput {
  readonly kind: "json";
  readonly recordDelimiter: string;
}
export type OutputFormat = CsvOutput | JsonOutput;
export type Members = readonly (readonly [name: string, value: Value])[];

export function recordWriter(format: OutputFormat): (members: Members) => string {
  const write = format.kind === "csv" ? csvWriter(format) : jsonWriter(format);
  return (members) => {
    const text = write(members);
    if (text.length > RECORD_CHARACTERS_MAX)
      throw new SelectError("OverMaxRecordSize", "The length of a record in the result is greater than 1 MiB.");
    return text;
  };
}

function csvWriter(format: CsvOutput): (members: Members) => string {
  const { fieldDelimiter, recordDelimiter, quote, escape: escapedBy } = format;
  const special = [quote, fieldDelimiter, recordDelimiter, "\n", "\r"].filter((text) => text !== "");
  const quoted = (text: string): string => {
    const inner = escapedBy === quote ? text : text.replaceAll(escapedBy, () => escapedBy + escapedBy);
    return quote + inner.replaceAll(quote, () => escapedBy + quote) + quote;
  };
  const field = (value: Value): string => {
    const text = csvText(value);
    if (quote === "" || typeof value === "number" || typeof value === "boolean")
      return format.quoteAlways ? quote + text + quote : text;
    return format.quoteAlways || special.some((part) => text.includes(part)) ? quoted(text) : text;
  };
  return (members) => {
    let text = "";
    for (let i = 0; i < members.length; i++) {
      if (i > 0) text += fieldDelimiter;
      text += field((members[i] as Members[number])[1]);
      if (text.length > RECORD_CHARACTERS_MAX) return text;
    }
    return text + recordDelimiter;
  };
}

function jsonWriter({ recordDelimiter }: JsonOutput): (members: Members) => string {
  return (members) => jsonObject(members) + recordDelimiter;
}
