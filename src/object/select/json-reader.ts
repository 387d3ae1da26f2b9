/**
 * JSON records out of pieces of text: FROM's path is followed while the text goes by, so that only what it names is held, a
 * record at a time. Values may follow each other with or without line ends: LINES and DOCUMENT are read alike. Where a
 * path leads nowhere there is one record that is MISSING; an array that a path ends at by name gives its members, as MinIO
 * has it.
 */
import { SelectError } from "./errors.ts";
import { jsonError, JSON_DEPTH_MAX, parseJson, parseJsonString } from "./json-value.ts";
import type { Row } from "./row.ts";
import type { PathStep } from "./statement.ts";
import { RECORD_CHARACTERS_MAX } from "./value.ts";

/** What may come next. */
type Expect = "value" | "first-value" | "first-name" | "name" | "colon" | "separator";

interface Frame {
  readonly isObject: boolean;
  /** Steps of the path that led here; SKIP = not on the path. */
  readonly step: number;
  /** Members so far. */
  index: number;
  /** The present member is what the step names. */
  isMatch: boolean;
  matches: number;
}
const SKIP = -1;

export class JsonReader {
  private text = "";
  private at = 0;
  private ended = false;
  private expect: Expect = "value";
  private readonly stack: Frame[] = [];
  /** Where the record that is being read begins, and how deep; -1 = outside of records. */
  private recordFrom = -1;
  private recordDepth = 0;
  /** Where the string that is being read begins; -1 = outside of strings. */
  private stringFrom = -1;
  private readonly steps: readonly PathStep[];

  constructor(from: readonly PathStep[]) {
    this.steps = from[0]?.kind === "elements" ? from.slice(1) : from;
  }

  push(text: string): void {
    const kept = [this.at, this.recordFrom, this.stringFrom].filter((place) => place >= 0);
    const from = Math.min(...kept);
    this.text = this.text.slice(from) + text;
    this.at -= from;
    if (this.recordFrom >= 0) this.recordFrom -= from;
    if (this.stringFrom >= 0) this.stringFrom -= from;
    if (Math.max(this.text.length - text.length, 0) > RECORD_CHARACTERS_MAX)
      throw new SelectError("OverMaxRecordSize", "The length of a record in the input is greater than 1 MiB.");
  }
  end(): void {
    this.ended = true;
  }

  /** Fills the row with the next record; false = more text is needed, or there is none. */
  next(row: Row): boolean {
    for (;;) {
      const found = this.step();
      if (found === false) return false;
      if (found === true) continue;
      row.value = found === MISSING ? undefined : parseJson(found);
      return true;
    }
  }

  /** One token: the text of a record that ended, MISSING, true = go on, false = more text is needed. */
  private step(): string | typeof MISSING | boolean {
    if (this.stringFrom >= 0) return this.goOnInString();
    const { text } = this;
    let code = text.charCodeAt(this.at);
    while (code === 32 || code === 10 || code === 13 || code === 9) code = text.charCodeAt(++this.at);
    if (this.at >= text.length) {
      if (this.ended && this.stack.length > 0)
        throw new SelectError("TruncatedInput", "Object decompression or parsing failed: the JSON ends too early.");
      return false;
    }
    switch (this.expect) {
      case "value":
      case "first-value":
        return code === 93 && this.expect === "first-value" ? this.close(code) : this.value(code);
      case "first-name":
      case "name":
        if (code === 125 && this.expect === "first-name") return this.close(code);
        if (code !== 34) throw jsonError();
        this.stringFrom = this.at++;
        return true;
      case "colon":
        if (code !== 58) throw jsonError();
        this.at++;
        this.expect = "value";
        return true;
      case "separator":
        return this.separator(code);
    }
  }

  private separator(code: number): string | typeof MISSING | boolean {
    if (code !== 44) return this.close(code);
    const frame = this.stack.at(-1) as Frame;
    this.at++;
    frame.index++;
    this.expect = frame.isObject ? "name" : "value";
    return true;
  }

  /** The beginning of a value: what of it is on the path. */
  private value(code: number): string | typeof MISSING | boolean {
    const isContainer = code === 123 || code === 91;
    // The end of a number or word is seen by what follows.
    if (!isContainer && code !== 34 && !this.ended && this.scalarEnd() === this.text.length) return false;
    const place = this.recordFrom >= 0 ? SKIP : this.placeOf();
    const { steps } = this;
    if (place > steps.length || (place === steps.length && !(code === 91 && steps.at(-1)?.kind === "name"))) {
      this.recordFrom = this.at;
      this.recordDepth = this.stack.length;
      return isContainer ? this.open(code, SKIP) : this.scalar(code);
    }
    if (place === steps.length) return this.open(code, place);
    const step = place === SKIP ? undefined : steps[place];
    const fits = step !== undefined && (code === 123 ? isOfObject(step) : code === 91 && !isOfObject(step));
    if (fits) return this.open(code, place);
    const after = isContainer ? this.open(code, SKIP) : this.scalar(code);
    return step === undefined ? after : MISSING;
  }

  /** How many steps of the path lead to the value that begins here. */
  private placeOf(): number {
    const frame = this.stack.at(-1);
    if (frame === undefined) return 0;
    if (frame.step === SKIP) return SKIP;
    const step = this.steps[frame.step];
    const isMatch = frame.isObject ? frame.isMatch : step?.kind !== "index" || step.index === frame.index;
    if (!isMatch) return SKIP;
    frame.matches++;
    return frame.step + 1;
  }

  private open(code: number, step: number): true {
    if (this.stack.length >= JSON_DEPTH_MAX) throw jsonError();
    const isObject = code === 123;
    this.stack.push({ isObject, step, index: 0, isMatch: false, matches: 0 });
    this.expect = isObject ? "first-name" : "first-value";
    this.at++;
    return true;
  }

  private close(code: number): string | typeof MISSING | boolean {
    const frame = this.stack.pop();
    if (frame === undefined || code !== (frame.isObject ? 125 : 93)) throw jsonError();
    this.at++;
    const record = this.valueEnded();
    if (frame.step !== SKIP && frame.step < this.steps.length && frame.matches === 0) return MISSING;
    return record;
  }

  private valueEnded(): string | true {
    this.expect = this.stack.length === 0 ? "value" : "separator";
    if (this.recordFrom < 0 || this.stack.length > this.recordDepth) return true;
    const record = this.text.slice(this.recordFrom, this.at);
    this.recordFrom = -1;
    if (record.length > RECORD_CHARACTERS_MAX)
      throw new SelectError("OverMaxRecordSize", "The length of a record in the input is greater than 1 MiB.");
    return record;
  }

  private scalar(code: number): string | true {
    if (code === 34) {
      this.stringFrom = this.at++;
      return true;
    }
    this.at = this.scalarEnd();
    return this.valueEnded();
  }

  private scalarEnd(): number {
    let end = this.at;
    while (end < this.text.length && isOfScalar(this.text.charCodeAt(end))) end++;
    if (end === this.at) throw jsonError();
    return end;
  }

  private goOnInString(): string | boolean {
    const { text } = this;
    let at = this.at;
    for (; at < text.length; at++) {
      const code = text.charCodeAt(at);
      if (code === 34) return this.stringEnded(at + 1);
      if (code !== 92) continue;
      if (at + 1 >= text.length) break;
      at++;
    }
    this.at = at;
    if (this.ended) throw jsonError();
    return false;
  }

  private stringEnded(next: number): string | boolean {
    const from = this.stringFrom;
    this.stringFrom = -1;
    this.at = next;
    if (this.expect !== "name" && this.expect !== "first-name") return this.valueEnded();
    this.expect = "colon";
    const frame = this.stack.at(-1) as Frame;
    if (frame.step !== SKIP && this.recordFrom < 0)
      frame.isMatch = isNamed(this.steps[frame.step], parseJsonString(this.text.slice(from, next)));
    return true;
  }
}
const MISSING = Symbol("MISSING");

function isOfObject(step: PathStep): boolean {
  return step.kind === "name" || step.kind === "members";
}
function isNamed(step: PathStep | undefined, name: string): boolean {
  if (step?.kind !== "name") return true;
  return name === step.name || (!step.quoted && name.toLowerCase() === step.name.toLowerCase());
}
/** Letters, digits and signs: parseJson says what they are. */
function isOfScalar(code: number): boolean {
  return (
    code > 32 && code !== 44 && code !== 93 && code !== 125 && code !== 34 && code !== 91 && code !== 123 && code !== 58
  );
}
