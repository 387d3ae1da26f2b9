/**
 * ErasureSet: N drives that code objects together, in the order of format.json. Owns the drives' order, the coding shape
 * and what is shared by the files of this folder that work on one set; knows no keys' meaning.
 */
import type { Codec } from "../codec/native.ts";
import type { BlockPool } from "../core/block-pool.ts";
import type { Clock } from "../sys/clock.ts";
import type { Disk } from "../sys/disk.ts";
import type { Rng } from "../sys/rng.ts";
import { assert } from "../core/assert.ts";
import { bad, fanOut } from "../core/fan-out.ts";
import { type Drive, DriveError, type DriveOutcome, nameOf, type ObjectPath, type Stamp } from "../storage/drive.ts";
import type { DamageSink, DebtSink } from "./damage.ts";
import type { DigestLanes } from "./digest-lanes.ts";
import { Lateness } from "./late-answers.ts";
import { Patience, READ_PATIENCE_MS, WRITE_PATIENCE_MS } from "./patience.ts";
import { distributionFrom, distributionStart } from "./placement.ts";
import type { Stamps } from "./stamps.ts";

export interface SetResources {
  readonly codec: Codec;
  /** Runs coding and hashing off the JavaScript thread. */
  readonly jobs: Disk;
  /** Hashes the bodies that are being received, together. */
  readonly digests: DigestLanes;
  /** Memory of writes and heals. */
  readonly blocks: BlockPool;
  /** Memory of reads: uploads that wait for their clients must not hold them up, nor a copy wait for itself. */
  readonly readBlocks: BlockPool;
  readonly clock: Clock;
  readonly rng: Rng;
  readonly stamps: Stamps;
  readonly damage: DamageSink;
  /** Shard bytes up to which a single PUT goes into xl.meta. */
  readonly inlineBytesMax: number;
}

/** A write that is acknowledged and not yet settled everywhere. */
export interface Unsettled {
  readonly stamp: Stamp;
  /** The drive has not answered it: it shows what was before, and is about to have it. */
  isLate(position: number): boolean;
}

export class ErasureSet {
  /** Files that are being read: name -> readers. What a commit replaced is discarded when nobody reads it any more. */
  private readonly readers = new Map<string, number>();
  private readonly whenUnread = new Map<string, (() => void)[]>();

  /** All that there are. */
  private readonly distributions: readonly (readonly number[])[];
  /** Of all drives. */
  readonly positions: ReadonlySet<number>;
  /** Positions whose drive came empty and is being rebuilt: what it lacks says nothing. */
  readonly rebuilding = new Set<number>();
  /** Told of writes that drives missed; null = nobody keeps them. */
  debt: DebtSink | null = null;
  /** By key: the next commit of it tells the drives. */
  readonly unsettled = new Map<string, Unsettled>();
  /** What drives have not answered of what is acknowledged. */
  readonly lateness: Lateness;
  /** With reads. */
  readonly patience: Patience;
  /** With what they are to take. */
  readonly writePatience: Patience;

  constructor(
    readonly poolIndex: number,
    readonly setIndex: number,
    /** null = no drive at this position now. */
    readonly drives: readonly (Drive | null)[],
    readonly standardParity: number,
    readonly reducedParity: number,
    readonly resources: SetResources,
  ) {
    this.positions = new Set(drives.keys());
    this.lateness = new Lateness(drives.length, resources.clock);
    this.patience = new Patience(drives.length, standardParity, resources.clock, READ_PATIENCE_MS);
    this.writePatience = new Patience(drives.length, standardParity, resources.clock, WRITE_PATIENCE_MS);
    this.distributions = drives.map((_, start) => distributionFrom(start, drives.length));
    assert(standardParity * 2 <= drives.length, "parity is at most half of the set");
  }

  get size(): number {
    return this.drives.length;
  }
  get clock(): Clock {
    return this.resources.clock;
  }
  /** Data shards of the standard class. */
  get dataShards(): number {
    return this.size - this.standardParity;
  }

  parityFor(bucket: string, storageClass: string): number {
    if (bucket === ".minio.sys") return Math.floor(this.size / 2);
    return storageClass === "REDUCED_REDUNDANCY" ? this.reducedParity : this.standardParity;
  }

  /** dist[i] = 1-based shard number of the drive at position i. */
  distribution(key: ObjectPath): readonly number[] {
    return this.distributions[distributionStart(nameOf(key), this.size)] as readonly number[];
  }

  /** Positions with a drive. */
  present(): number[] {
    return [...this.positions].filter((position) => this.drives[position] !== null);
  }

  /** The same on every drive at once, all awaited; a position without a drive answers "Faulty". */
  each<T>(work: (drive: Drive, position: number) => Promise<DriveOutcome<T>>): Promise<DriveOutcome<T>[]> {
    return fanOut<Drive | null, T, DriveError>(this.drives, (drive, i) =>
      drive === null ? Promise.resolve(bad(this.noDrive(i))) : work(drive, i),
    );
  }

  /** What a position without a drive answers. */
  noDrive(position: number): DriveError {
    return new DriveError("Faulty", `no drive at position ${position} of set ${this.setIndex}`);
  }

  /** Marks a key as being read until disposed. */
  pin(key: ObjectPath): ReadPin {
    return new ReadPin([this], key);
  }

  /** For ReadPin. */
  beginReading(name: string): void {
    this.readers.set(name, (this.readers.get(name) ?? 0) + 1);
  }

  /** For ReadPin. */
  endReading(name: string): void {
    const left = (this.readers.get(name) ?? 1) - 1;
    if (left > 0) {
      this.readers.set(name, left);
      return;
    }
    this.readers.delete(name);
    const waiting = this.whenUnread.get(name);
    if (waiting === undefined) return;
    this.whenUnread.delete(name);
    for (const resume of waiting) resume();
  }

  isRead(key: ObjectPath): boolean {
    return this.readers.has(nameOf(key));
  }

  /** Resolves when nobody reads the key. */
  unread(key: ObjectPath): Promise<void> {
    const name = nameOf(key);
    if (!this.readers.has(name)) return Promise.resolve();
    const { promise, resolve } = Promise.withResolvers<void>();
    const waiting = this.whenUnread.get(name);
    if (waiting === undefined) this.whenUnread.set(name, [resolve]);
    else waiting.push(resolve);
    return promise;
  }

  /** What waits for readers of the bucket's keys goes on: what they still read is taken away under them. */
  leaveReaders(bucket: string): void {
    for (const [name, waiting] of this.whenUnread) {
      if (!name.startsWith(`${bucket}/`)) continue;
      this.whenUnread.delete(name);
      for (const resume of waiting) resume();
    }
  }
}

/** A key that is being read in these sets until it is disposed: what a commit replaces meanwhile stays. */
export class ReadPin implements Disposable {
  private isHeld = true;
  private readonly name: string;

  constructor(
    private readonly sets: readonly ErasureSet[],
    key: ObjectPath,
  ) {
    this.name = nameOf(key);
    for (const set of sets) set.beginReading(this.name);
  }

  [Symbol.dispose](): void {
    if (!this.isHeld) return;
    this.isHeld = false;
    for (const set of this.sets) set.endReading(this.name);
  }
}
