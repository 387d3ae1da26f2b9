/** What lies under /minio/ and is not S3: health, metrics, the admin API. Source: s3-api.md §6, admin API §1. */
import { clusterHealth } from "../erasure/health.ts";
import type { Pools } from "../erasure/pools.ts";
import type { Kms } from "../kms/kms.ts";
import { type Metrics, metricsKindOf } from "../observe/metrics.ts";
import { bearerIsValid } from "../observe/prometheus-auth.ts";
import type { HttpExchange } from "../sys/http.ts";
import { type AdminOptions, isAdminPath, serveAdmin } from "./serve.ts";

export interface Aside {
  readonly pools: Pools;
  readonly metrics: Metrics;
  readonly kms: Kms | null;
  readonly isPublic: boolean;
  readonly secretOf: (accessKey: string) => string | undefined;
  readonly nowMs: () => number;
  readonly admin: AdminOptions;
}

/** Health and metrics: never the S3 surface. Source: s3-api.md §6. */
export async function serveAside(exchange: HttpExchange, aside: Aside): Promise<boolean> {
  const { rawPath, method, headers } = exchange.request;
  const kind = metricsKindOf(rawPath);
  if (kind !== null) {
    if (!aside.isPublic && !bearerIsValid(headers.get("authorization"), aside.secretOf, aside.nowMs())) {
      await exchange.response.send(
        403,
        [["Content-Type", "application/json"]],
        JSON.stringify({ Code: "AccessDenied", Message: "Access Denied." }),
      );
      return true;
    }
    await exchange.response.send(
      200,
      [["Content-Type", "text/plain; version=0.0.4; charset=utf-8"]],
      await aside.metrics.render(kind),
    );
    return true;
  }
  if (!rawPath.startsWith("/minio/health/") || (method !== "GET" && method !== "HEAD")) {
    if (isAdminPath(rawPath)) {
      await serveAdmin(exchange, aside.admin);
      return true;
    }
    return false;
  }
  const what = rawPath.slice("/minio/health/".length);
  if (what === "ready" && aside.kms !== null && !(await aside.kms.status()).endpoints.some((e) => e.online)) {
    await exchange.response.send(503, [], "");
    return true;
  }
  const answer = health(what, aside.pools);
  if (answer === null) return false;
  await exchange.response.send(answer.status, answer.headers, "");
  return true;
}

function health(what: string, pools: Pools): { status: number; headers: [string, string][] } | null {
  if (what === "live" || what === "ready") return { status: 200, headers: [] };
  if (what !== "cluster" && what !== "cluster/read") return null;
  const now = clusterHealth(pools.allSets, {
    isHealing: (id) =>
      pools.allSets.some((set) => set.drives.some((drive, i) => drive?.id === id && set.rebuilding.has(i))),
  });
  const good = what === "cluster" ? now.writable : now.readable;
  const quorum: [string, string] =
    what === "cluster"
      ? ["x-minio-write-quorum", String(now.writeQuorum)]
      : ["x-minio-read-quorum", String(now.readQuorum)];
  return { status: good ? 200 : 503, headers: [quorum, ["x-minio-storage-class-defaults", "true"]] };
}
