/**
 * CSV records out of pieces of text. A record without a quote is cut by searching for delimiters, as far as its fields are
 * asked for; one with a quote is read character by character. A quote opens a field only at its start. Blank lines and
 * comments are no records; "\r" before a "\n" that ends a record is not part of it.
 */
import { SelectError } from "./errors.ts";
import type { Row } from "./row.ts";
import { RECORD_CHARACTERS_MAX } from "./value.ts";

export interface CsvInput {
  readonly recordDelimiter: string;
  readonly fieldDelimiter: string;
  /** "" = no quoting. */
  readonly quote: string;
  /** Inside of quotes, before a quote or itself; the quote itself by default. */
  readonly escape: string;
  /** "" = no comments. */
  readonly comment: string;
  readonly allowQuotedRecordDelimiter: boolean;
}

export class CsvReader {
  /** Fields to fill in; the rest of a record is skipped. */
  fieldsNeeded = Number.POSITIVE_INFINITY;
  private text = "";
  private at = 0;
  private ended = false;
  /** The next quote, field and record delimiter at or after a place, if still ahead; Infinity = none in the text. */
  private nextQuote = -1;
  private nextField = -1;
  private nextRecord = -1;

  constructor(private readonly format: CsvInput) {
    if (format.quote === "") this.nextQuote = Number.POSITIVE_INFINITY;
  }

  push(text: string): void {
    this.text = this.at >= this.text.length ? text : this.text.slice(this.at) + text;
    this.at = 0;
    this.nextQuote = this.format.quote === "" ? Number.POSITIVE_INFINITY : -1;
    this.nextField = -1;
    this.nextRecord = -1;
  }
  end(): void {
    this.ended = true;
  }

  /** Fills the row with the next record; false = more text is needed, or there is none. */
  next(row: Row): boolean {
    const { comment } = this.format;
    while (this.at < this.text.length) {
      const start = this.at;
      const end = this.recordFrom(start);
      const isComment = comment !== "" && this.text.startsWith(comment, start);
      if (!isComment && this.quoteFrom(start) < end) {
        if (!this.quoted(row)) return this.more(start);
        return true;
      }
      if (end === Number.POSITIVE_INFINITY && !this.ended) return this.more(start);
      const stop = Math.min(end, this.text.length);
      if (stop - start > RECORD_CHARACTERS_MAX) throw tooLong();
      this.at = stop + this.format.recordDelimiter.length;
      const last = this.withoutReturn(start, stop);
      if (isComment || last === start) continue;
      this.plain(row, start, last);
      return true;
    }
    return false;
  }

  /** More text is needed for the record that begins here. */
  private more(start: number): false {
    if (this.text.length - start > RECORD_CHARACTERS_MAX) throw tooLong();
    this.at = start;
    return false;
  }

  private recordFrom(at: number): number {
    if (this.nextRecord < at) this.nextRecord = found(this.text.indexOf(this.format.recordDelimiter, at));
    return this.nextRecord;
  }
  private fieldFrom(at: number): number {
    if (this.nextField < at) this.nextField = found(this.text.indexOf(this.format.fieldDelimiter, at));
    return this.nextField;
  }
  private quoteFrom(at: number): number {
    if (this.nextQuote < at) this.nextQuote = found(this.text.indexOf(this.format.quote, at));
    return this.nextQuote;
  }

  private withoutReturn(start: number, stop: number): number {
    return this.format.recordDelimiter === "\n" && stop > start && this.text.charCodeAt(stop - 1) === 13
      ? stop - 1
      : stop;
  }

  private plain(row: Row, start: number, stop: number): void {
    const { fields } = row;
    const width = this.format.fieldDelimiter.length;
    const needed = this.fieldsNeeded;
    let count = 0;
    let at = start;
    while (count < needed) {
      const end = this.fieldFrom(at);
      if (end >= stop) {
        fields[count++] = this.text.slice(at, stop);
        break;
      }
      fields[count++] = this.text.slice(at, end);
      at = end + width;
    }
    fields.length = count;
  }

  /** A record with quotes; false = it does not end in this text. */
  private quoted(row: Row): boolean {
    const { text, format } = this;
    const { fields } = row;
    let at = this.at;
    for (let count = 0; ; ) {
      let value = "";
      if (text.startsWith(format.quote, at)) {
        const inner = this.insideQuotes(at + format.quote.length);
        if (inner === null) return false;
        value = inner.value;
        at = inner.next;
      }
      const [field, record] = [this.fieldFrom(at), this.recordFrom(at)];
      if (record === Number.POSITIVE_INFINITY && field === record && !this.ended) return false;
      const isLast = record <= field;
      const end = Math.min(field, record, text.length);
      value += text.slice(at, isLast ? this.withoutReturn(at, end) : end);
      if (count < this.fieldsNeeded) fields[count++] = value;
      at = end + (isLast ? format.recordDelimiter : format.fieldDelimiter).length;
      if (!isLast) continue;
      fields.length = count;
      if (at - this.at > RECORD_CHARACTERS_MAX) throw tooLong();
      this.at = at;
      return true;
    }
  }

  /** What stands between quotes, from behind the first to behind the last; null = it does not end in this text. */
  private insideQuotes(from: number): { value: string; next: number } | null {
    const { text, format } = this;
    const { quote, escape: escapeCharacter } = format;
    let value = "";
    let start = from;
    for (let at = from; at < text.length; at++) {
      const c = text[at] as string;
      if (c === escapeCharacter && escapeCharacter !== quote) {
        if (at + 1 >= text.length) break;
        value += text.slice(start, at) + (text[at + 1] as string);
        start = at + 2;
        at++;
      } else if (c === quote) {
        if (at + 1 >= text.length && !this.ended) return null; // the next one may double it
        if (escapeCharacter !== quote || text[at + 1] !== quote) {
          value += text.slice(start, at);
          this.demandOneLine(value);
          return { value, next: at + 1 };
        }
        value += text.slice(start, at + 1);
        start = at + 2;
        at++;
      }
    }
    if (this.ended) throw new SelectError("CSVParsingError", "A quoted field of the CSV file does not end.");
    return null;
  }

  private demandOneLine(value: string): void {
    if (this.format.allowQuotedRecordDelimiter || !value.includes(this.format.recordDelimiter)) return;
    throw new SelectError(
      "CSVEscapingRecordDelimiter",
      "A quoted record delimiter was found in the file. To allow it, set AllowQuotedRecordDelimiter to TRUE.",
    );
  }
}

function found(index: number): number {
  return index < 0 ? Number.POSITIVE_INFINITY : index;
}
function tooLong(): SelectError {
  return new SelectError("OverMaxRecordSize", "The length of a record in the input is greater than 1 MiB.");
}
