/**
 * DebtBook: what the drives of one set are owed, kept durably on the others (engine.md §6), below `.minio.sys/sherd/debt/`.
 *
 * A PUT pays nothing for it: a missed write is noted in memory before it is acknowledged and written by a timer, together
 * with others. A clean stop writes all. A crash forgets the notes of the last moments: the mark `debt/run` of each start
 * stays "open" then, and the next start compares the drives by their indexes, all of them, before it trusts notes alone. So it does
 * with a drive that is owed more than may be kept, or whose notes are damaged.
 */
import { type Drive, type DriveOutcome, nameOf, type ObjectPath, type Stamp } from "../storage/drive.ts";
import { SYSTEM_BUCKET } from "../storage/paths.ts";
import type { BackgroundWork } from "./background-work.ts";
import type { Committed, DebtSink } from "./damage.ts";
import { DebtAccount, type Owed, type Segment } from "./debt-account.ts";
import type { ErasureSet } from "./erasure-set.ts";

const FLUSH_MS = 500;
export const DEBT_BYTES_MAX = 16 * 1024 * 1024;
const FOLDER = "debt";
const RUN_MARK = `${FOLDER}/run`;
const INCOMPLETE = "incomplete";

export interface DebtFacts {
  readonly position: number;
  readonly bytes: number;
  readonly keys: number;
  /** ms since 1970; null = nothing is owed. */
  readonly oldestMs: number | null;
  readonly isIncomplete: boolean;
}

export class DebtBook implements DebtSink {
  private readonly accounts: readonly DebtAccount[];
  private flushing: Promise<void> | null = null;
  private stopTimer: (() => void) | null = null;
  private run = 1;
  private isClosed = false;
  /** Positions whose account has a note on drives that it is incomplete. */
  private readonly incompleteNoted = new Set<number>();
  /** The last run ended without a clean stop: any drive may lack what its last moments brought. */
  comparesAll = false;

  constructor(
    private readonly set: ErasureSet,
    private readonly background: BackgroundWork,
    bytesMax = DEBT_BYTES_MAX,
  ) {
    this.accounts = set.drives.map(() => new DebtAccount(bytesMax));
  }

  owe({ key, stamp, removed }: Committed, positions: readonly number[]): void {
    if (key.bucket === SYSTEM_BUCKET && key.path.startsWith("multipart/")) return; // readable from the others, and it ends
    const sinceMs = this.set.resources.clock.nowMs();
    for (const position of positions)
      for (const id of removed.length === 0 ? [""] : removed)
        this.accounts[position]?.add({ key, stamp, removed: id, sinceMs });
    this.flushLater();
  }

  behind(key: ObjectPath): ReadonlySet<number> | null {
    let found: Set<number> | null = null;
    for (let position = 0; position < this.accounts.length; position++) {
      const account = this.accounts[position] as DebtAccount;
      if (!account.isIncomplete && (account.keys === 0 || !account.has(nameOf(key)))) continue;
      found ??= new Set();
      found.add(position);
    }
    return found;
  }

  removed(position: number, key: ObjectPath): ReadonlyMap<string, Stamp> | null {
    return this.accounts[position]?.get(nameOf(key))?.removed ?? null;
  }

  // ---- what is owed

  facts(): readonly DebtFacts[] {
    return this.accounts.map(({ bytes, keys, oldestMs, isIncomplete }, position) => ({
      position,
      bytes: keys === 0 ? 0 : bytes,
      keys,
      oldestMs,
      isIncomplete: isIncomplete || this.comparesAll,
    }));
  }
  /** Keys that some drive is owed; null = not known, a drive is yet to be compared. */
  namesOwed(): ReadonlySet<string> | null {
    if (this.comparesAll || this.accounts.some((account) => account.isIncomplete)) return null;
    return new Set(this.accounts.flatMap((account) => [...account.names()]));
  }
  keysOwed(): number | null {
    return this.namesOwed()?.size ?? null;
  }
  isOwed(key: ObjectPath): boolean {
    return this.accounts.some((account) => account.has(nameOf(key)));
  }
  /** Oldest first. */
  owedTo(position: number): readonly Owed[] {
    return this.accounts[position]?.all() ?? [];
  }
  owes(position: number): boolean {
    return (this.accounts[position]?.keys ?? 0) > 0;
  }
  settled(position: number, owed: Owed): void {
    this.accounts[position]?.settled(nameOf(owed.key), owed.stamp);
    this.flushLater();
  }

  needsComparison(position: number): boolean {
    return this.comparesAll || this.accounts[position]?.isIncomplete === true;
  }
  comparisonBegins(): void {
    for (const account of this.accounts) account.comparisonBegins();
  }
  /** The drives at these positions were compared with the others; those that were not there are to be when they come. */
  compared(positions: readonly number[]): void {
    for (const [position, account] of this.accounts.entries()) {
      if (positions.includes(position)) account.comparisonEnds();
      else if (this.comparesAll) account.giveUp();
    }
    this.comparesAll = false;
    this.flushLater();
  }

  // ---- notes

  /** At start, before anything is served: reads the notes and marks the run as open. */
  async open(): Promise<void> {
    const marks = await this.set.each((drive) => drive.upkeep.readNote(RUN_MARK));
    const read = marks.flatMap((o) => (o.ok && o.value !== null ? [Buffer.from(o.value).toString("utf8")] : []));
    const runs = read.map((text) => Number.parseInt(text, 10)).filter((run) => run > 0);
    const last = Math.max(0, ...runs);
    this.comparesAll = last > 0 && !read.some((text) => text === `${last} clean\n`);
    this.run = last + 1;
    for (const [position, account] of this.accounts.entries()) await this.load(position, account);
    await this.mark("open");
  }

  private async load(position: number, account: DebtAccount): Promise<void> {
    for (const [holder, drive] of this.set.drives.entries()) {
      const names = await drive?.upkeep.noteNames(`${FOLDER}/${position}`);
      if (drive === null || names?.ok !== true) continue;
      for (const name of names.value) {
        if (name === INCOMPLETE) {
          account.isIncomplete = true;
          this.incompleteNoted.add(position);
        }
        if (!/^\d{1,12}$/.test(name)) continue;
        const note = await drive.upkeep.readNote(`${FOLDER}/${position}/${name}`);
        const text = note.ok && note.value !== null ? Buffer.from(note.value).toString("utf8") : "";
        if (!account.load(Number(name), text, holder)) account.isIncomplete = true;
      }
    }
    if (account.isIncomplete) account.clear();
  }

  /** All notes, and the mark that says so; a note that cannot be written leaves the run open. */
  async close(): Promise<void> {
    this.isClosed = true;
    this.stopTimer?.();
    await this.flush();
    const isWritten = this.accounts.every((account) => account.dirty().length === 0);
    if (isWritten && !this.comparesAll) await this.mark("clean");
  }

  private async mark(state: "open" | "clean"): Promise<void> {
    const text = new TextEncoder().encode(`${this.run} ${state}\n`);
    await this.set.each((drive) => drive.upkeep.writeNote(RUN_MARK, text, true));
  }

  private flushLater(): void {
    if (this.stopTimer !== null || this.isClosed) return;
    this.stopTimer = this.set.resources.clock.after(FLUSH_MS, () => {
      this.stopTimer = null;
      this.background.track(this.flush().then(() => this.flushAgain()));
    });
  }

  private flushAgain(): void {
    if (this.accounts.some((account) => account.isUnwritten)) this.flushLater();
  }

  /** Writes what the notes lack; one at a time. */
  async flush(): Promise<void> {
    while (this.flushing !== null) await this.flushing;
    this.flushing = this.write().finally(() => {
      this.flushing = null;
    });
    await this.flushing;
  }

  private async write(): Promise<void> {
    for (const [position, account] of this.accounts.entries()) {
      await this.writeIncomplete(position, account.isIncomplete);
      for (const { segment, text } of account.dirty()) {
        segment.isDirty = false; // what comes meanwhile sets it again
        const name = `${FOLDER}/${position}/${String(segment.number).padStart(12, "0")}`;
        if (text === null) await this.remove(account, segment, name);
        else if (!(await this.keep(position, segment, { name, text }))) segment.isDirty = true;
      }
    }
  }

  private async writeIncomplete(position: number, isIncomplete: boolean): Promise<void> {
    if (isIncomplete === this.incompleteNoted.has(position)) return;
    const bytes = isIncomplete ? new TextEncoder().encode("compare\n") : null;
    const done = await this.others(position, (drive) =>
      drive.upkeep.writeNote(`${FOLDER}/${position}/${INCOMPLETE}`, bytes, false),
    );
    if (!done.some((o) => o?.ok === true)) return;
    if (isIncomplete) this.incompleteNoted.add(position);
    else this.incompleteNoted.delete(position);
  }

  /** On one drive more than may be lost without losing data; false = on too few. */
  private async keep(position: number, segment: Segment, note: { name: string; text: string }): Promise<boolean> {
    const bytes = new TextEncoder().encode(note.text);
    const wanted = this.set.standardParity + 1;
    let kept = 0;
    for (let i = 1; i < this.set.size && kept < wanted; i++) {
      const holder = (position + i) % this.set.size;
      const drive = this.set.drives[holder];
      if (drive == null || drive.state === "faulty") continue;
      const written = await drive.upkeep.writeNote(note.name, bytes, false);
      if (!written.ok) continue;
      segment.holders.add(holder);
      kept++;
    }
    return kept > 0;
  }

  private async remove(account: DebtAccount, segment: Segment, name: string): Promise<void> {
    for (const holder of segment.holders) {
      const gone = await this.set.drives[holder]?.upkeep.writeNote(name, null, false);
      if (gone?.ok === true) segment.holders.delete(holder);
    }
    // A note that could not be removed is read again at a start: what it names is looked at once more.
    account.forget(segment);
  }

  private async others(
    position: number,
    work: (drive: Drive) => Promise<DriveOutcome<void>>,
  ): Promise<readonly (DriveOutcome<void> | null)[]> {
    return await Promise.all(
      this.set.drives.map((drive, i) => (drive === null || i === position ? null : work(drive))),
    );
  }
}
