/** Runs a statement over text, as SelectObjectContent would, with the input cut into pieces of any size. */
import { parseSelect } from "../../../../src/object/select/parser.ts";
import type { OutputFormat } from "../../../../src/object/select/output-format.ts";
import type { CsvInput } from "../../../../src/object/select/csv-reader.ts";
import { type InputFormat, SelectRun } from "../../../../src/object/select/select-run.ts";

export const CSV: CsvInput = {
  recordDelimiter: "\n",
  fieldDelimiter: ",",
  quote: '"',
  escape: '"',
  comment: "",
  allowQuotedRecordDelimiter: false,
};
export const CSV_OUT: OutputFormat = {
  kind: "csv",
  recordDelimiter: "\n",
  fieldDelimiter: ",",
  quote: '"',
  escape: '"',
  quoteAlways: false,
};
export const JSON_OUT: OutputFormat = { kind: "json", recordDelimiter: "\n" };
export const NOW_MS = Date.UTC(2026, 0, 2, 3, 4, 5);

export interface How {
  readonly input?: InputFormat;
  readonly output?: OutputFormat;
  readonly pieceBytes?: number;
}
export const csvWith = (csv: Partial<CsvInput>, header: "USE" | "IGNORE" | "NONE" = "NONE"): InputFormat => ({
  kind: "csv",
  header,
  csv: { ...CSV, ...csv },
});
export const DOCUMENT: InputFormat = { kind: "json", type: "DOCUMENT" };

export async function runSelect(sql: string, data: string | Uint8Array, how: How = {}): Promise<string> {
  const bytes = typeof data === "string" ? Buffer.from(data) : data;
  let out = "";
  const run = new SelectRun({
    statement: parseSelect(sql),
    input: how.input ?? csvWith({}),
    output: how.output ?? CSV_OUT,
    header: null,
    nowMs: NOW_MS,
    elapsedMs: () => 0,
    yieldNow: () => Promise.resolve(),
    emit: (text) => {
      out += text;
      return Promise.resolve();
    },
  });
  const piece = how.pieceBytes ?? bytes.length;
  for (let at = 0; at < bytes.length && !run.finished; at += piece) await run.push(bytes.subarray(at, at + piece));
  await run.end();
  return out;
}

/** The code of the error that it ends with. */
export async function codeOf(work: () => Promise<unknown>): Promise<string> {
  try {
    await work();
  } catch (error) {
    return (error as { code?: string }).code ?? String(error);
  }
  return "none";
}
