/**
 * Identities and configuration of a server that starts: what server.ts builds of this folder and `iam`, in order. Identities are
 * read before anything is served; while they cannot be, root works and the others are told to come back.
 */
import type { Codec } from "../codec/native.ts";
import { ConfigDocuments } from "../iam/config-documents.ts";
import { ConfigSeal } from "../iam/config-seal.ts";
import { IamStore } from "../iam/iam-store.ts";
import { PasswordEnvelope } from "../iam/password-envelope.ts";
import type { Pools } from "../erasure/pools.ts";
import type { Kms } from "../kms/kms.ts";
import type { Log } from "../observe/log.ts";
import type { Clock } from "../sys/clock.ts";
import type { Rng } from "../sys/rng.ts";
import { mayDo } from "./call.ts";
import { ConfigStore } from "./config-store.ts";

export interface IdentitiesOptions {
  readonly pools: Pools;
  readonly codec: Codec;
  readonly clock: Clock;
  readonly rng: Rng;
  readonly log: Log;
  readonly kms: Kms | null;
  readonly options: {
    readonly rootUser: string;
    readonly rootPassword: string;
    readonly identityEnvironment: ReadonlyMap<string, string>;
  };
}

export interface OpenedIdentities {
  readonly iam: IamStore;
  readonly config: ConfigStore;
  readonly envelope: PasswordEnvelope;
  /** The secret of who may read the metrics. */
  metricsSecretOf(accessKey: string): string | undefined;
}

export async function openIdentities(parts: IdentitiesOptions): Promise<OpenedIdentities> {
  const { pools, codec, clock, rng, log, kms } = parts;
  const { rootUser, rootPassword, identityEnvironment: environment } = parts.options;
  const envelope = new PasswordEnvelope(codec, rng);
  const seal = new ConfigSeal({ codec, rng, kms, envelope, rootUser, rootPassword });
  const documents = new ConfigDocuments(pools, seal);
  const config = new ConfigStore({ documents, rng, environment });
  const root = { accessKey: rootUser, secretKey: rootPassword };
  const iam = new IamStore({ documents, root, clock, rng, log, roles: new Map() });
  await iam.start();
  return {
    iam,
    config,
    envelope,
    metricsSecretOf(accessKey) {
      const found = accessKey === rootUser || iam.isLoaded ? iam.find(accessKey) : null;
      if (found === null || found.sessionToken !== null) return undefined;
      const values = { get: () => undefined };
      return mayDo(found.principal, { action: "admin:Prometheus", resource: "", values }) ? found.secretKey : undefined;
    },
  };
}
