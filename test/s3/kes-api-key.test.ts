/** A server whose master keys are at a KES that knows it by an API key. */
import { expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { identityOfApiKey } from "../../src/kms/kes-api-key.ts";
import { Keys, kesOverTls } from "../unit/kms/kes-server.ts";
import { startServer } from "./server.ts";

const API_KEY = "kes:v1:ABuhW1PU/dL1VL41trsQJzYYFMV5FfAcoF7NHu1U9ckk";

test("objects are encrypted under a key of KES, and read after a restart", async () => {
  const folder = mkdtempSync(join(tmpdir(), "sherd-kes-"));
  const kes = kesOverTls(new Keys(), identityOfApiKey(API_KEY)?.cert ?? "", folder);
  const server = await startServer({
    MINIO_KMS_KES_ENDPOINT: kes.endpoint,
    MINIO_KMS_KES_KEY_NAME: "first",
    MINIO_KMS_KES_API_KEY: API_KEY,
    MINIO_KMS_KES_CAPATH: kes.caFile,
  });
  try {
    await server.call("PUT", "/box");
    const headers = {
      "x-amz-server-side-encryption": "aws:kms",
      "x-amz-server-side-encryption-aws-kms-key-id": "second",
    };
    const put = await server.call("PUT", "/box/key", { headers, body: "sealed at KES" });
    expect(put.text).toBe("");
    expect(put.headers.get("x-amz-server-side-encryption-aws-kms-key-id")).toBe("arn:aws:kms:second");
    await server.restart();
    expect((await server.call("GET", "/box/key")).text).toBe("sealed at KES");
    expect((await server.call("GET", "/minio/health/ready", { anonymous: true })).status).toBe(200);
  } finally {
    await server.stop();
    await kes.stop();
    rmSync(folder, { recursive: true, force: true });
  }
});
