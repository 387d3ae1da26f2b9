/** AdminContext: what the operations of this folder work with. Built once, in server.ts. */
import type { BucketCatalog } from "../bucket/catalog.ts";
import type { Pools } from "../erasure/pools.ts";
import type { IamStore } from "../iam/iam-store.ts";
import type { StsProviders } from "../iam/sts.ts";
import type { PasswordEnvelope } from "../iam/password-envelope.ts";
import type { ObjectContext } from "../object/context.ts";
import type { Clock } from "../sys/clock.ts";
import type { HttpCall } from "../sys/http-client.ts";
import type { Rng } from "../sys/rng.ts";
import type { ConfigStore } from "./config-store.ts";

export interface AdminContext {
  readonly iam: IamStore;
  readonly envelope: PasswordEnvelope;
  readonly config: ConfigStore;
  readonly buckets: BucketCatalog;
  readonly pools: Pools;
  readonly objects: ObjectContext;
  readonly clock: Clock;
  readonly rng: Rng;
  readonly server: ServerFacts;
  /** To other deployments. */
  readonly httpCall: HttpCall;
  readonly providers: StsProviders;
  /** Stops this process after the answer; whoever supervises it starts it again on "restart". */
  readonly control: (action: "restart" | "stop") => void;
}

/** What does not change while the server runs. */
export interface ServerFacts {
  readonly deploymentId: string;
  readonly region: string;
  /** host:port */
  readonly endpoint: string;
  readonly scheme: "http" | "https";
  readonly version: string;
  readonly startedMs: number;
  readonly cores: number;
  readonly standardParity: number;
  readonly reducedParity: number;
}
