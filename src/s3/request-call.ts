/** The Call of a request: what many operations never ask for is made when it is asked for. */
import { Digest } from "../codec/checksum.ts";
import type { Codec } from "../codec/native.ts";
import type { ObjectContext } from "../object/context.ts";
import type { Digests } from "../object/types.ts";
import type { HeaderList, HttpRequest, HttpResponder } from "../sys/http.ts";
import { Access } from "./access.ts";
import type { AccessFacts } from "./access-facts.ts";
import type { AuthOptions, Identity } from "./authenticate.ts";
import type { Call } from "./call.ts";
import type { PostedForm } from "./post-object.ts";
import { RequestValues } from "./request-values.ts";

export interface CallMeans {
  readonly objects: ObjectContext;
  readonly codec: Codec;
  readonly auth: AuthOptions;
  readonly access: AccessFacts;
}

export interface CallFacts {
  readonly response: HttpResponder;
  readonly place: { readonly bucket: string; readonly key: string };
  readonly query: ReadonlyMap<string, string>;
  readonly identity: Identity;
  readonly form: PostedForm | null;
  readonly requestId: string;
  readonly commonHeaders: HeaderList;
}

export class RequestCall implements Call {
  readonly response: HttpResponder;
  readonly bucket: string;
  readonly key: string;
  readonly query: ReadonlyMap<string, string>;
  readonly identity: Identity;
  readonly form: PostedForm | null;
  readonly requestId: string;
  readonly commonHeaders: HeaderList;
  /** Parameters of a presigned URL by their lower-case names; null = only headers count. */
  private readonly hoisted: ReadonlyMap<string, string> | null;
  private knownAccess: Access | null = null;

  constructor(
    private readonly means: CallMeans,
    readonly request: HttpRequest,
    facts: CallFacts,
  ) {
    this.response = facts.response;
    this.bucket = facts.place.bucket;
    this.key = facts.place.key;
    this.query = facts.query;
    this.identity = facts.identity;
    this.form = facts.form;
    this.requestId = facts.requestId;
    this.commonHeaders = facts.commonHeaders;
    this.hoisted = facts.identity.isPresigned ? withLowerNames(facts.query) : null;
  }

  get objects(): ObjectContext {
    return this.means.objects;
  }

  get codec(): Codec {
    return this.means.codec;
  }

  get access(): Access {
    this.knownAccess ??= new Access(this.means.access, this.identity.principal, this.values());
    return this.knownAccess;
  }

  private values(): RequestValues {
    const { request, query, identity } = this;
    const { region, nowMs } = this.means.auth;
    return new RequestValues({ request, query, identity, region, nowMs, parameter: (name) => this.parameter(name) });
  }

  parameter(name: string): string | undefined {
    return this.request.headers.get(name) ?? this.hoisted?.get(name);
  }

  digest(bytes: Uint8Array, flags: number): Digests {
    const digest = new Digest(this.codec, flags);
    if (bytes.length > 0) digest.update(bytes);
    return digest.final();
  }
}

function withLowerNames(query: ReadonlyMap<string, string>): ReadonlyMap<string, string> {
  return new Map([...query].map(([name, value]) => [name.toLowerCase(), value]));
}
