/**
 * SelectRun: text in, records out. Bytes are decoded and read in pieces; between records the JavaScript thread is given up
 * when a slice of time is over, and the answer is handed on in blocks. Memory: a piece, a record, a block.
 */
import { truthOf } from "./compile-condition.ts";
import { compileStatement, type Plan } from "./compile.ts";
import { type CsvInput, CsvReader } from "./csv-reader.ts";
import { SelectError } from "./errors.ts";
import { JsonReader } from "./json-reader.ts";
import { type Members, type OutputFormat, recordWriter } from "./output-format.ts";
import { ANY_COLUMNS, type Columns, CsvColumns, JsonColumns, Row } from "./row.ts";
import type { Statement } from "./statement.ts";

export interface CsvSource {
  readonly kind: "csv";
  readonly header: "USE" | "IGNORE" | "NONE";
  readonly csv: CsvInput;
}
export interface JsonSource {
  readonly kind: "json";
  readonly type: "LINES" | "DOCUMENT";
}
export type InputFormat = CsvSource | JsonSource;

export interface SelectRunOptions {
  readonly statement: Statement;
  readonly input: InputFormat;
  readonly output: OutputFormat;
  /** Names of the columns when the header is not in what is read. */
  readonly header: readonly string[] | null;
  readonly nowMs: number;
  readonly elapsedMs: () => number;
  readonly yieldNow: () => Promise<void>;
  /** Takes a block of the answer. */
  readonly emit: (text: string) => Promise<void>;
}

const PIECE_BYTES = 64 * 1024;
const BLOCK_CHARACTERS = 64 * 1024;
const SLICE_MS = 0.5;
const RECORDS_BETWEEN_LOOKS = 16;

export class SelectRun {
  /** Nothing more is needed: LIMIT is reached. */
  finished = false;
  private readonly decoder = new TextDecoder("utf-8", { fatal: true });
  private readonly row = new Row();
  private readonly csv: CsvReader | null;
  private readonly json: JsonReader | null;
  private readonly write: (members: Members) => string;
  private plan: Plan | null = null;
  private columns: Columns | null = null;
  private headerDue: boolean;
  private answered = 0;
  private block = "";
  private sliceStarted = 0;

  constructor(private readonly options: SelectRunOptions) {
    const { input, statement } = options;
    this.csv = input.kind === "csv" ? new CsvReader(input.csv) : null;
    this.json = input.kind === "json" ? new JsonReader(statement.from) : null;
    this.write = recordWriter(options.output);
    this.headerDue = input.kind === "csv" && input.header !== "NONE" && options.header === null;
    if (statement.limit === 0) this.finished = true;
    if (!this.headerDue) this.begin(options.header);
  }

  async push(bytes: Uint8Array): Promise<void> {
    this.sliceStarted = this.options.elapsedMs();
    for (let at = 0; at < bytes.length && !this.finished; at += PIECE_BYTES) {
      await this.read(this.decoded(bytes.subarray(at, at + PIECE_BYTES), true));
      await this.pause();
    }
  }

  async end(): Promise<void> {
    if (!this.finished) {
      const rest = this.decoded(new Uint8Array(0), false);
      this.csv?.end();
      this.json?.end();
      await this.read(rest);
    }
    // Without a record there was no header either, and no column to miss.
    const plan = this.plan ?? compileStatement(this.options.statement, ANY_COLUMNS, this.options.nowMs);
    if (plan.isAggregated && plan.limit > 0) {
      const members = (plan.columns ?? []).map(({ name, evaluate }) => [name, evaluate(this.row)] as const);
      this.block += this.write(members);
    }
    await this.flush();
  }

  private decoded(bytes: Uint8Array, stream: boolean): string {
    try {
      return this.decoder.decode(bytes, { stream });
    } catch (cause) {
      throw new SelectError(
        "InvalidTextEncoding",
        "The encoding is not valid: only UTF-8 is supported.",
        {},
        { cause },
      );
    }
  }

  private begin(header: readonly string[] | null): void {
    const { statement, input, nowMs } = this.options;
    this.headerDue = false;
    const columns = input.kind === "csv" ? new CsvColumns(statement.alias, header) : jsonColumns(statement);
    this.plan = compileStatement(statement, columns, nowMs);
    this.columns = columns;
    if (this.csv !== null && columns instanceof CsvColumns)
      this.csv.fieldsNeeded = this.plan.columns === null ? Number.POSITIVE_INFINITY : Math.max(1, columns.fieldsNeeded);
  }

  private async read(text: string): Promise<void> {
    const reader = this.csv ?? (this.json as JsonReader);
    if (text !== "") reader.push(text);
    for (let looks = 1; !this.finished && reader.next(this.row); looks++) {
      if (this.headerDue) this.begin((this.options.input as CsvSource).header === "USE" ? [...this.row.fields] : null);
      else this.take();
      if (this.block.length >= BLOCK_CHARACTERS) await this.flush();
      if (looks % RECORDS_BETWEEN_LOOKS === 0) {
        const now = this.options.elapsedMs();
        if (now - this.sliceStarted > SLICE_MS) await this.pause();
      }
    }
  }

  private async pause(): Promise<void> {
    if (this.options.elapsedMs() - this.sliceStarted <= SLICE_MS) return;
    await this.options.yieldNow();
    this.sliceStarted = this.options.elapsedMs();
  }

  /** One record. */
  private take(): void {
    const { row } = this;
    const plan = this.plan as Plan;
    if (plan.where !== null && truthOf(plan.where(row)) !== true) return;
    if (plan.isAggregated) {
      for (const aggregate of plan.aggregates) aggregate.add(row);
      return;
    }
    this.block += this.write(
      plan.columns === null
        ? (this.columns as Columns).all(row)
        : plan.columns.map(({ name, evaluate }) => [name, evaluate(row)] as const),
    );
    if (++this.answered >= plan.limit) this.finished = true;
  }

  private async flush(): Promise<void> {
    if (this.block === "") return;
    const { block } = this;
    this.block = "";
    await this.options.emit(block);
    this.sliceStarted = this.options.elapsedMs();
  }
}

function jsonColumns(statement: Statement): JsonColumns {
  const last = statement.from.at(-1);
  return new JsonColumns(statement.alias, last?.kind === "name" ? last.name : null);
}

/** The names in the first record; null = it does not end in these bytes yet. */
export function headerOf(bytes: Uint8Array, format: CsvInput, isWhole: boolean): readonly string[] | null {
  const reader = new CsvReader(format);
  const row = new Row();
  reader.push(new TextDecoder("utf-8").decode(bytes, { stream: true }));
  if (isWhole) reader.end();
  return reader.next(row) ? row.fields : isWhole ? [] : null;
}
