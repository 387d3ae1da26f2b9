/** Row: one record as expressions see it, and Columns: how a path of the statement becomes a read of it. */
import { SelectError } from "./errors.ts";
import type { PathStep } from "./statement.ts";
import { isStruct, type Value } from "./value.ts";

/** Filled anew by a reader for each record; CSV sets `fields`, JSON `value`. */
export class Row {
  /** CSV: the record's fields, as far as they are asked for. */
  fields: string[] = [];
  /** JSON: the record. */
  value: Value = undefined;
}
export type Evaluate = (row: Row) => Value;

export interface Columns {
  /** Strings are compared and calculated with as the numbers that they spell. */
  readonly untyped: boolean;
  /** What a path reads; throws when there can be no such column. */
  read(steps: readonly PathStep[]): Evaluate;
  /** Everything, for `*`: names and values in order. */
  all(row: Row): (readonly [name: string, value: Value])[];
}

/** For checking a statement before there is data. */
export const ANY_COLUMNS: Columns = { untyped: true, read: () => () => undefined, all: () => [] };

/** `steps` without the name of the row: its alias, or S3Object. */
export function withoutRowName(steps: readonly PathStep[], alias: string | null): readonly PathStep[] {
  const first = steps[0] as PathStep & { kind: "name" };
  const name = first.quoted ? first.name : first.name.toLowerCase();
  if (alias !== null && (name === alias || (!first.quoted && name === alias.toLowerCase()))) return steps.slice(1);
  return !first.quoted && name === "s3object" ? steps.slice(1) : steps;
}

// ---- CSV

const POSITION = /^_(\d{1,9})$/;

export class CsvColumns implements Columns {
  readonly untyped = true;
  /** Fields that the statement asks for. */
  fieldsNeeded = 0;

  constructor(
    private readonly alias: string | null,
    private readonly header: readonly string[] | null,
  ) {}

  read(path: readonly PathStep[]): Evaluate {
    const steps = withoutRowName(path, this.alias);
    const [first] = steps;
    if (steps.length !== 1 || first?.kind !== "name")
      throw new SelectError("InvalidKeyPath", "A path into a CSV record is the name of a column.");
    const index = this.indexOf(first.name, first.quoted);
    this.fieldsNeeded = Math.max(this.fieldsNeeded, index + 1);
    return (row) => row.fields[index];
  }

  all(row: Row): (readonly [string, Value])[] {
    return row.fields.map((field, index) => [this.header?.[index] || `_${index + 1}`, field] as const);
  }

  private indexOf(name: string, quoted: boolean): number {
    const { header } = this;
    if (header !== null) {
      const exact = header.indexOf(name);
      const found = exact >= 0 || quoted ? exact : header.findIndex((h) => h.toLowerCase() === name.toLowerCase());
      const isSame = (h: string): boolean => (quoted ? h === name : h.toLowerCase() === name.toLowerCase());
      if (found >= 0 && header.findIndex((h, at) => at !== found && isSame(h)) >= 0)
        throw new SelectError("AmbiguousFieldName", "The name of a column is there more than once.");
      if (found >= 0) return found;
    }
    const position = POSITION.exec(name)?.[1];
    if (position === undefined)
      throw new SelectError("MissingHeaders", "A column of the SQL expression is not in the file.");
    if (Number(position) === 0)
      throw new SelectError("InvalidColumnIndex", "The index of a column is not valid: the first is _1.");
    return Number(position) - 1;
  }
}

// ---- JSON

export class JsonColumns implements Columns {
  readonly untyped = false;

  /** `rowName`: the last name of FROM's path, by which a row without an alias is known too. */
  constructor(
    private readonly alias: string | null,
    private readonly rowName: string | null,
  ) {}

  read(path: readonly PathStep[]): Evaluate {
    const steps = withoutRowName(path, this.alias);
    if (steps.length < path.length) return (row) => walk(row.value, steps, 0);
    const first = path[0] as PathStep & { kind: "name" };
    const isRow = first.name === "_1" || (this.alias === null && first.name === this.rowName);
    if (!isRow) return (row) => walk(row.value, path, 0);
    // A member of that name comes first.
    return (row) => {
      const found = member(row.value, first.name, first.quoted);
      return walk(found === undefined ? row.value : found, path, 1);
    };
  }

  all(row: Row): (readonly [string, Value])[] {
    return isStruct(row.value) ? [...row.value] : [["_1", row.value]];
  }
}

function walk(value: Value, steps: readonly PathStep[], from: number): Value {
  let at = value;
  for (let i = from; i < steps.length; i++) {
    const step = steps[i] as PathStep;
    if (step.kind === "name") at = member(at, step.name, step.quoted);
    else if (step.kind === "index") at = Array.isArray(at) ? (at[step.index] as Value) : undefined;
    else return undefined;
    if (at === undefined) return undefined;
  }
  return at;
}

/** A member by its name; unquoted names also match in another case. */
export function member(value: Value, name: string, quoted: boolean): Value {
  if (!isStruct(value)) return undefined;
  const exact = value.get(name);
  if (exact !== undefined || quoted) return exact;
  const lower = name.toLowerCase();
  for (const [key, found] of value) if (key.length === name.length && key.toLowerCase() === lower) return found;
  return undefined;
}
