/** One row of an option table: its names, how its text is read, its default and its help. */
import type { z } from "zod";

export interface OptionRow<Schema extends z.ZodType = z.ZodType> {
  /** Without the dashes; null: no flag (secrets do not belong in a process list). */
  readonly flag: string | null;
  /** Without `SHERD_`; the alias is the same with `MINIO_`. */
  readonly env: string;
  /** More `MINIO_*` names for it. */
  readonly aliases?: readonly string[];
  readonly schema: Schema;
  /** As text, parsed like one that was given. */
  readonly fallback: string;
  /** What help shows for the value; null: a switch. */
  readonly value: string | null;
  readonly help: string;
  /** Never printed back. */
  readonly secret?: boolean;
}

export const row = <Schema extends z.ZodType>(definition: OptionRow<Schema>): OptionRow<Schema> => definition;
