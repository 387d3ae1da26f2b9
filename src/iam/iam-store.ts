/**
 * IamStore: the identities of a deployment. Read from the drives at the start and every few minutes, answered from memory;
 * every change is on a write quorum of drives before memory knows it, one after the other. While the documents cannot be
 * read only root is known, and everybody else is told so, never refused as unknown. A document that is damaged costs its
 * own identity or policy (which then denies); a damaged group or mapping keeps the whole from being used, because what it
 * denied is not known. Throws IamError, SealError, QuorumError.
 */
import { FormatError } from "../core/format-error.ts";
import { GO_ZERO_TIME } from "../core/go-time.ts";
import { KeyLock } from "../core/key-lock.ts";
import type { Log } from "../observe/log.ts";
import type { Clock } from "../sys/clock.ts";
import type { Rng } from "../sys/rng.ts";
import { isCanned } from "./canned-policies.ts";
import type { ConfigDocuments } from "./config-documents.ts";
import {
  decodeGroup,
  decodeIdentity,
  decodeMapping,
  decodePolicy,
  encodeGroup,
  encodeIdentity,
  encodeMapping,
  encodePolicy,
  type StoredGroup,
  type StoredIdentity,
  type StoredMapping,
  type StoredPolicy,
} from "./documents.ts";
import { IamError } from "./iam-error.ts";
import {
  type DocumentName,
  documentName,
  FORMAT_PATH,
  groupPath,
  IAM_FOLDER,
  IamState,
  type IdentityKind,
  identityPath,
  type MappingKind,
  mappingPath,
  policyPath,
} from "./iam-state.ts";
import type { Account, FoundIdentity, Identities } from "./principal.ts";
import { Principals, type RootCredentials } from "./principals.ts";

const READS_AT_ONCE = 16;
const RELOAD_MS = 10 * 60_000;
const RETRY_MS = 5_000;
/** Of each kind: memory is bounded, and a runaway client is told. */
export const IDENTITIES_MAX = 100_000;
const DOCUMENT_LOCK = "iam";

export interface IamOptions {
  readonly documents: ConfigDocuments;
  readonly root: RootCredentials;
  readonly clock: Clock;
  readonly rng: Rng;
  readonly log: Log;
  /** Role ARN of an OpenID provider -> policy names. */
  readonly roles: ReadonlyMap<string, readonly string[]>;
}

export class IamStore implements Identities {
  private current = new IamState();
  private principals: Principals;
  private loaded = false;
  private why = "the identities have not been read yet";
  private readonly changing = new KeyLock();
  private cancelTimer: (() => void) | null = null;
  private reloading: Promise<void> = Promise.resolve();
  private stopped = false;

  constructor(readonly options: IamOptions) {
    this.principals = this.principalsOf(this.current);
  }

  // ---- Identities

  find(accessKey: string): FoundIdentity | null {
    if (!this.loaded && accessKey !== this.options.root.accessKey) throw this.notLoaded();
    return this.principals.find(accessKey);
  }
  accountById(canonicalId: string): Account | null {
    return this.principals.accountById(canonicalId);
  }
  accountByName(userName: string): Account | null {
    return this.principals.accountByName(userName);
  }

  // ---- what is known

  get isLoaded(): boolean {
    return this.loaded;
  }
  /** Throws NotLoaded. */
  get state(): IamState {
    if (!this.loaded) throw this.notLoaded();
    return this.current;
  }
  get known(): Principals {
    return this.principals;
  }

  private notLoaded(): IamError {
    return new IamError("NotLoaded", `Identities cannot be read: ${this.why}`);
  }

  private principalsOf(state: IamState): Principals {
    const { root, roles, clock } = this.options;
    return new Principals(state, root, roles, clock);
  }

  // ---- reading

  /** Reads everything; what was known stays when that fails, with the reason in the log. True = read. */
  async reload(): Promise<boolean> {
    using _ = await this.changing.acquire(DOCUMENT_LOCK);
    try {
      const state = await this.readAll();
      this.current = state;
      this.principals = this.principalsOf(state);
      this.loaded = true;
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      if (why !== this.why || this.loaded) this.options.log.error("identities cannot be read", { message: why });
      this.why = why;
      return false;
    }
    await this.removeExpired();
    return true;
  }

  /** The first reading, then on and on; `stop` ends it. Resolves after the first. */
  async start(): Promise<void> {
    await this.reload();
    this.schedule();
  }

  async stop(): Promise<void> {
    this.stopped = true;
    this.cancelTimer?.();
    await this.reloading;
  }

  private schedule(): void {
    if (this.stopped) return;
    this.cancelTimer = this.options.clock.after(this.loaded ? RELOAD_MS : RETRY_MS, () => {
      this.reloading = this.reload().then(() => this.schedule());
    });
  }

  private async readAll(): Promise<IamState> {
    const { documents } = this.options;
    const state = new IamState();
    const paths = await documents.list(IAM_FOLDER);
    if (!paths.includes(FORMAT_PATH)) await documents.write(FORMAT_PATH, new TextEncoder().encode('{"version":1}'));
    const named = paths.flatMap((path) => {
      const name = documentName(path);
      return name === null ? [] : [{ path, name }];
    });
    for (let at = 0; at < named.length; at += READS_AT_ONCE) {
      const some = named.slice(at, at + READS_AT_ONCE);
      const read = await Promise.all(some.map(async ({ path }) => await documents.read(path)));
      for (const [i, { path, name }] of some.entries()) {
        const bytes = read[i];
        if (bytes !== null && bytes !== undefined) this.take(state, name, { path, bytes });
      }
    }
    await this.dateBarePolicies(state);
    return state;
  }

  /** Policies of older releases have no dates of their own: theirs is that of the document. */
  private async dateBarePolicies(state: IamState): Promise<void> {
    for (const [name, policy] of state.policies) {
      if (policy.createdNs !== GO_ZERO_TIME || isCanned(name, policy.document)) continue;
      const writtenNs = await this.options.documents.writtenNs(policyPath(name));
      if (writtenNs !== null) state.setPolicy(name, { ...policy, createdNs: writtenNs, updatedNs: writtenNs });
    }
  }

  private take(state: IamState, name: DocumentName, { path, bytes }: { path: string; bytes: Uint8Array }): void {
    try {
      takeDocument(state, name, bytes);
    } catch (error) {
      if (!(error instanceof FormatError)) throw error;
      if (name.type === "group" || name.type === "mapping")
        throw new FormatError(`${path} is damaged: ${error.message}`);
      this.options.log.error("identity document is damaged", { path, message: error.message });
      if (name.type === "policy") state.setPolicy(name.name, { document: {}, createdNs: 0n, updatedNs: 0n });
    }
  }

  // ---- changing: the drives first, then memory

  /** One change at a time, on what is known then. */
  async change<T>(work: (state: IamState) => Promise<T>): Promise<T> {
    using _ = await this.changing.acquire(DOCUMENT_LOCK);
    try {
      return await work(this.state);
    } finally {
      this.principals.forget();
    }
  }

  /** Inside `change`. */
  async putIdentity(kind: IdentityKind, identity: StoredIdentity): Promise<void> {
    const known = this.state.identities[kind];
    if (known.size >= IDENTITIES_MAX && !known.has(identity.accessKey))
      throw new IamError("TooMany", `There are ${IDENTITIES_MAX} access keys of this kind, which is the limit.`);
    await this.options.documents.write(identityPath(kind, identity.accessKey), encodeIdentity(identity));
    known.set(identity.accessKey, identity);
  }

  async dropIdentity(kind: IdentityKind, accessKey: string): Promise<void> {
    await this.options.documents.remove(identityPath(kind, accessKey));
    this.state.identities[kind].delete(accessKey);
  }

  async putGroup(name: string, group: StoredGroup): Promise<void> {
    await this.options.documents.write(groupPath(name), encodeGroup(group));
    this.state.setGroup(name, group);
  }

  async dropGroup(name: string): Promise<void> {
    await this.options.documents.remove(groupPath(name));
    this.state.setGroup(name, null);
  }

  async putPolicy(name: string, policy: StoredPolicy): Promise<void> {
    await this.options.documents.write(policyPath(name), encodePolicy(policy));
    this.state.setPolicy(name, policy);
  }

  async dropPolicy(name: string): Promise<void> {
    await this.options.documents.remove(policyPath(name));
    this.state.setPolicy(name, null);
  }

  /** No policies = the mapping goes. */
  async putMapping(kind: MappingKind, name: string, mapping: StoredMapping): Promise<void> {
    const known = this.state.mappings[kind];
    if (mapping.policies.length === 0) {
      if (!known.has(name)) return;
      await this.options.documents.remove(mappingPath(kind, name));
      known.delete(name);
      return;
    }
    await this.options.documents.write(mappingPath(kind, name), encodeMapping(mapping));
    known.set(name, mapping);
  }

  /** Inside the lock of reload. */
  private async removeExpired(): Promise<void> {
    const now = BigInt(this.options.clock.nowMs()) * 1_000_000n;
    const expired = [...this.current.identities.sts.values()].filter((i) => i.expiresNs !== null && i.expiresNs <= now);
    try {
      for (const { accessKey } of expired) await this.dropIdentity("sts", accessKey);
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      this.options.log.warn("expired keys stay on the drives", { message }); // they are no use to anybody; next time
    }
  }
}

function takeDocument(state: IamState, name: DocumentName, bytes: Uint8Array): void {
  switch (name.type) {
    case "identity": {
      const identity = decodeIdentity(bytes);
      if (identity.secretKey !== "") state.identities[name.kind].set(name.name, { ...identity, accessKey: name.name });
      return;
    }
    case "mapping":
      state.mappings[name.kind].set(name.name, decodeMapping(bytes));
      return;
    case "group":
      state.setGroup(name.name, decodeGroup(bytes));
      return;
    case "policy":
      state.setPolicy(name.name, decodePolicy(bytes));
  }
}
