/** Remote targets of buckets by the admin API, plain and sealed by a KMS, and the replication rules that name them. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { AdminClient, type AdminAnswer } from "./admin-client.ts";
import { enableVersioning, KEYS, type S3Server, startServer } from "./server.ts";

let plain: S3Server;
let sealed: S3Server;
beforeAll(async () => {
  plain = await startServer();
  sealed = await startServer({ MINIO_KMS_SECRET_KEY: `k:${Buffer.alloc(32, 7).toString("base64")}` });
  for (const server of [plain, sealed])
    for (const bucket of ["source", "destination"]) {
      await server.call("PUT", `/${bucket}`);
      await enableVersioning(server, bucket);
    }
  await plain.call("PUT", "/unversioned");
});
afterAll(async () => {
  await plain.stop();
  await sealed.stop();
});

const target = (at: S3Server, more: object = {}): object => ({
  sourcebucket: "",
  endpoint: `${at.host}:${at.port}`,
  credentials: { accessKey: KEYS.user, secretKey: KEYS.secret },
  targetbucket: "destination",
  secure: false,
  path: "auto",
  api: "s3v4",
  type: "replication",
  ...more,
});
const set = (server: S3Server, body: object, query = "bucket=source"): Promise<AdminAnswer> =>
  new AdminClient(server).call("PUT", "set-remote-target", { query, sealed: body });
const list = (server: S3Server, query = "bucket=source"): Promise<AdminAnswer> =>
  new AdminClient(server).call("GET", "list-remote-targets", { query });
const remove = (server: S3Server, arn: string): Promise<AdminAnswer> =>
  new AdminClient(server).call("DELETE", "remove-remote-target", {
    query: `arn=${encodeURIComponent(arn)}&bucket=source`,
  });
const rule = (arn: string): string =>
  `<ReplicationConfiguration><Rule><ID>r</ID><Status>Enabled</Status><Priority>1</Priority><DeleteMarkerReplication><Status>Disabled</Status></DeleteMarkerReplication><Destination><Bucket>${arn}</Bucket></Destination></Rule></ReplicationConfiguration>`;

/** Whether the text lies anywhere on the server's drives. */
function isOnDrives({ root }: S3Server, text: string): boolean {
  const files = readdirSync(root, { recursive: true, withFileTypes: true });
  return files.some((file) => file.isFile() && readFileSync(`${file.parentPath}/${file.name}`).includes(text));
}

test.each(["plain", "sealed"])(
  "a target is set, listed without its secret, named by a rule and removed (%s)",
  async (how) => {
    const server = how === "plain" ? plain : sealed;
    expect((await list(server)).code ?? (await list(server)).json.Code).toBe("XMinioAdminRemoteTargetNotFoundError");
    const made = await set(server, target(plain, { region: "eu-west-1" }));
    expect([made.status, made.json]).toEqual([
      200,
      expect.stringMatching(/^arn:minio:replication:eu-west-1:[0-9a-f-]{36}:destination$/),
    ]);
    const arn: string = made.json;
    expect((await set(server, target(plain, { region: "eu-west-1" }))).json).toBe(arn); // again is the same
    const [shown] = (await list(server, "bucket=source&type=replication")).json;
    expect(shown).toMatchObject({
      arn,
      sourcebucket: "source",
      type: "replication",
      credentials: { accessKey: KEYS.user },
    });
    expect(shown.credentials.secretKey).toBeUndefined();
    expect((await list(server, "type=replication")).json).toHaveLength(1);
    await server.restart();
    expect((await list(server)).json).toHaveLength(1);
    expect(isOnDrives(server, KEYS.secret)).toBe(how === "plain");

    const unknown = await server.call("PUT", "/source", { query: "replication", body: rule(`${arn}x`) });
    expect([unknown.status, unknown.code]).toEqual([404, "RemoteTargetNotFoundError"]);
    expect((await server.call("PUT", "/source", { query: "replication", body: rule(arn) })).status).toBe(200);
    expect((await remove(server, arn)).json.Code).toBe("XMinioAdminRemoteRemoveDisallowed");
    expect((await server.call("DELETE", "/source", { query: "replication" })).status).toBe(200);
    expect((await list(server)).status).toBe(404); // as in MinIO, they go with the rules
    const again = (await set(server, target(plain))).json;
    expect((await remove(server, again)).status).toBe(204);
    expect((await remove(server, again)).json.Code).toBe("XMinioAdminRemoteTargetNotFoundError");
  },
);

test("only the fields that the query names are changed", async () => {
  const arn = (await set(plain, target(plain))).json;
  const change = { ...target(plain), arn, bandwidthlimit: 200_000_000, replicationSync: true, disableProxy: true };
  expect((await set(plain, change, "bucket=source&update=true&bandwidth=true&sync=true")).json).toBe(arn);
  expect((await list(plain)).json[0]).toMatchObject({
    bandwidthlimit: 200_000_000,
    replicationSync: true,
    disableProxy: false,
  });
  expect((await set(plain, { ...change, arn: `${arn}x` }, "bucket=source&update=true&sync=true")).status).toBe(404);
  const slow = await set(plain, { ...change, bandwidthlimit: 5 }, "bucket=source&update=true&bandwidth=true");
  expect(slow.json.Code).toBe("XMinioAdminReplicationBandwidthLimitError");
  expect((await set(plain, target(plain, { targetbucket: "source2" }))).status).toBe(404);
  await remove(plain, arn);
});

test("what cannot be a target is refused with the reason", async () => {
  const code = async (more: object, query?: string): Promise<unknown> => {
    const answer = await set(plain, target(plain, more), query);
    return [answer.status, answer.json.Code];
  };
  expect(await code({ targetbucket: "none-such" })).toEqual([404, "XMinioAdminRemoteTargetNotFoundError"]);
  expect(await code({ targetbucket: "unversioned" })).toEqual([400, "RemoteTargetNotVersionedError"]);
  expect(await code({ targetbucket: "source" })).toEqual([400, "XMinioAdminRemoteIdenticalToSource"]);
  expect(await code({}, "bucket=unversioned")).toEqual([400, "ReplicationSourceNotVersionedError"]);
  expect(await code({ type: "ilm" })).toEqual([400, "XMinioAdminRemoteARNTypeInvalid"]);
  expect(await code({ endpoint: "127.0.0.1:1" })).toEqual([503, "XMinioAdminReplicationRemoteConnectionError"]);
  expect(await code({ credentials: { accessKey: KEYS.user, secretKey: "wrong-secret" } })).toEqual([
    503,
    "XMinioAdminReplicationRemoteConnectionError",
  ]);
  for (const bad of [
    { endpoint: "a/b" },
    { endpoint: "u@h" },
    { credentials: null },
    { path: "x" },
    { bandwidthlimit: -1 },
  ])
    expect(await code(bad)).toEqual([400, "XMinioAdminConfigBadJSON"]);
  expect((await set(plain, target(plain), "bucket=no-such-bucket")).json.Code).toBe("NoSuchBucket");
});
