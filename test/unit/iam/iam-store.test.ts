/** What IamStore makes of documents that are damaged, sealed with another key or not readable: it fails closed, and root works. */
import { beforeEach, expect, test } from "bun:test";
import { loadCodec } from "../../../src/codec/native.ts";
import { QuorumError } from "../../../src/core/quorum-error.ts";
import { ConfigDocuments, type SystemDocuments } from "../../../src/iam/config-documents.ts";
import { ConfigSeal } from "../../../src/iam/config-seal.ts";
import { IamError } from "../../../src/iam/iam-error.ts";
import { IamStore } from "../../../src/iam/iam-store.ts";
import { PasswordEnvelope } from "../../../src/iam/password-envelope.ts";
import { putPolicy, setAttached } from "../../../src/iam/policies.ts";
import { judge } from "../../../src/iam/policy.ts";
import { addSession } from "../../../src/iam/sessions.ts";
import { addMembers, putUser, setGroupStatus } from "../../../src/iam/users.ts";
import { BuiltinKms } from "../../../src/kms/builtin-kms.ts";
import type { Clock } from "../../../src/sys/clock.ts";
import { realRng } from "../../../src/sys/rng.ts";

const codec = loadCodec({ tier: -1 });
const rng = realRng();
const SILENT = { info: () => undefined, warn: () => undefined, error: () => undefined };
const ALLOW_ALL = { Version: "2012-10-17", Statement: [{ Effect: "Allow", Action: ["s3:*"], Resource: ["*"] }] };
const START_MS = Date.UTC(2026, 0, 1);

let drives: Map<string, Uint8Array>;
let canRead: boolean;
let nowMs: number;
beforeEach(() => {
  drives = new Map();
  canRead = true;
  nowMs = START_MS;
});

const lost = (): QuorumError => new QuorumError("ReadQuorum", "1 of 2 needed drives");
const store: SystemDocuments = {
  readDocument: (path) => (canRead ? Promise.resolve(drives.get(path) ?? null) : Promise.reject(lost())),
  writeDocument: (path, bytes) => Promise.resolve(void drives.set(path, bytes)),
  removeDocument: (path) => Promise.resolve(void drives.delete(path)),
  listDocuments: (prefix) =>
    canRead ? Promise.resolve([...drives.keys()].filter((path) => path.startsWith(prefix))) : Promise.reject(lost()),
  readVersion: (_, path) => Promise.resolve(drives.has(path) ? { modTimeNs: 5n } : null),
};
const clock: Clock = {
  nowMs: () => nowMs,
  nowNs: () => BigInt(nowMs) * 1_000_000n,
  elapsedMs: () => nowMs,
  sleep: () => Promise.resolve(),
  after: () => () => undefined,
  yieldNow: () => Promise.resolve(),
};
function open(secrets: { root?: string; kms?: string } = {}): IamStore {
  const root = { accessKey: "root", secretKey: secrets.root ?? "root-secret" };
  const kms = secrets.kms === undefined ? null : BuiltinKms.parse(secrets.kms, { codec, rng });
  const envelope = new PasswordEnvelope(codec, rng);
  const seal = new ConfigSeal({ codec, rng, kms, envelope, rootUser: root.accessKey, rootPassword: root.secretKey });
  return new IamStore({ documents: new ConfigDocuments(store, seal), root, clock, rng, log: SILENT, roles: new Map() });
}
async function loaded(secrets: { root?: string; kms?: string } = {}): Promise<IamStore> {
  const iam = open(secrets);
  expect(await iam.reload()).toBe(true);
  return iam;
}
async function withAnna(iam: IamStore): Promise<void> {
  await putPolicy(iam, "all", ALLOW_ALL);
  await putUser(iam, "anna", { secretKey: "anna-secret", isEnabled: true });
  await setAttached(iam, { kind: "user", name: "anna" }, ["all"]);
}
function verdict(iam: IamStore, user: string): string {
  const found = iam.find(user);
  if (found === null) return "unknown";
  const values = { get: () => undefined };
  return judge(found.principal.policies, {
    action: "s3:GetObject",
    resource: "arn:aws:s3:::b/k",
    principalNames: [],
    values,
  });
}
const damage = (path: string): unknown => drives.set(path, new TextEncoder().encode('{"half":'));

test("while the drives cannot be read root works, nobody else is refused as unknown, and it goes on when they are back", async () => {
  await withAnna(await loaded());
  canRead = false;
  const iam = open();
  expect(await iam.reload()).toBe(false);
  expect(iam.find("root")?.secretKey).toBe("root-secret");
  expect(() => iam.find("anna")).toThrow(IamError);
  expect(() => iam.find("nobody")).toThrow(IamError);
  canRead = true;
  await iam.reload();
  expect([verdict(iam, "anna"), verdict(iam, "nobody")]).toEqual(["allow", "unknown"]);
});

test("what was known stays when a later reading fails", async () => {
  const iam = await loaded();
  await withAnna(iam);
  canRead = false;
  expect(await iam.reload()).toBe(false);
  expect(verdict(iam, "anna")).toBe("allow");
});

test("a damaged identity is not there, a damaged policy denies, a damaged group or mapping keeps all from being used", async () => {
  const iam = await loaded();
  await withAnna(iam);
  await addMembers(iam, "staff", ["anna"]);
  const whole = new Map(drives);
  damage("config/iam/policies/all/policy.json");
  expect(verdict(await loaded(), "anna")).toBe("deny");
  drives = new Map(whole);
  damage("config/iam/users/anna/identity.json");
  expect(verdict(await loaded(), "anna")).toBe("unknown");
  for (const path of ["config/iam/groups/staff/members.json", "config/iam/policydb/users/anna.json"]) {
    drives = new Map(whole);
    damage(path);
    expect(await open().reload()).toBe(false);
  }
});

test("without the key that sealed them identities are not read, and with another neither", async () => {
  const key = (fill: number): string => `key:${Buffer.alloc(32, fill).toString("base64")}`;
  await withAnna(await loaded({ kms: key(1) }));
  for (const bytes of drives.values()) expect(Buffer.from(bytes).toString("latin1")).not.toContain("anna-secret");
  expect(await open().reload()).toBe(false);
  expect(await open({ kms: key(2) }).reload()).toBe(false);
  expect(verdict(await loaded({ kms: key(1) }), "anna")).toBe("allow");
});

test("a disabled group takes everything from its members, and a policy that is missing is nothing", async () => {
  const iam = await loaded();
  await withAnna(iam);
  await addMembers(iam, "staff", ["anna"]);
  expect(verdict(iam, "anna")).toBe("allow");
  await setGroupStatus(iam, "staff", false);
  expect(verdict(iam, "anna")).toBe("none");
  await setGroupStatus(iam, "staff", true);
  drives.delete("config/iam/policies/all/policy.json");
  expect(verdict(await loaded(), "anna")).toBe("none");
});

test("a session ends with its time, with its user and with root's secret, and its document goes", async () => {
  const iam = await loaded();
  await withAnna(iam);
  const expiresMs = START_MS + 900_000;
  const session = { parent: "anna", groups: [], claims: {}, expiresMs, policy: "", tokenRevokeType: "", attach: null };
  const { accessKey } = await addSession(iam, session);
  expect(verdict(iam, accessKey)).toBe("allow");
  expect(verdict(await loaded({ root: "another-secret" }), accessKey)).toBe("unknown");
  nowMs = expiresMs;
  expect(verdict(iam, accessKey)).toBe("unknown");
  const path = `config/iam/sts/${accessKey}/identity.json`;
  expect(drives.has(path)).toBe(true);
  await iam.reload();
  expect(drives.has(path)).toBe(false);
});
