/**
 * IndexTail: rows of a key index that are known and not in its table yet, so that a listing is exact at once. Sorted, newest
 * row of a key only. What has been written is let go unless a newer row took its place meanwhile.
 */
import { compareKeys } from "../core/key-order.ts";
import { SortedMap } from "../core/sorted-map.ts";
import type { TableChange, TableRow } from "../sys/ordered-table.ts";

export class IndexTail {
  private readonly groups = new Map<string, SortedMap<TableChange>>();
  private rows = 0;

  get size(): number {
    return this.rows;
  }
  has(group: string, key: string): boolean {
    return this.groups.get(group)?.get(key) !== undefined;
  }

  set(change: TableChange): void {
    let group = this.groups.get(change.group);
    if (group === undefined) this.groups.set(change.group, (group = new SortedMap()));
    const before = group.size;
    group.set(change.key, change);
    this.rows += group.size - before;
  }

  dropGroup(group: string): void {
    this.rows -= this.groups.get(group)?.size ?? 0;
    this.groups.delete(group);
  }

  /** Everything, by group and key. */
  all(): TableChange[] {
    return [...this.groups.values()].flatMap((group) => group.all());
  }

  written(changes: readonly TableChange[]): void {
    for (const change of changes) {
      const group = this.groups.get(change.group);
      if (group?.get(change.key) !== change) continue;
      group.delete(change.key);
      this.rows--;
      if (group.size === 0) this.groups.delete(change.group);
    }
  }

  /** The table's rows of a range with the tail's in their places. `reach`: the last key that `rows` speak of; null = all. */
  merge(
    rows: readonly TableRow[],
    range: {
      readonly group: string;
      readonly from: string;
      readonly inclusive: boolean;
      readonly before: string | null;
    },
    reach: string | null,
  ): readonly TableRow[] {
    const group = this.groups.get(range.group);
    if (group === undefined) return rows;
    const out: TableRow[] = [];
    let at = 0;
    for (const [key, change] of group.range(range.from, range.inclusive, range.before)) {
      if (reach !== null && compareKeys(key, reach) > 0) break;
      for (; at < rows.length && compareKeys((rows[at] as TableRow).key, key) < 0; at++) out.push(rows[at] as TableRow);
      if (at < rows.length && (rows[at] as TableRow).key === key) at++;
      if (change.value !== null) out.push({ key, value: change.value, extra: change.extra });
    }
    for (; at < rows.length; at++) out.push(rows[at] as TableRow);
    return out;
  }
}
