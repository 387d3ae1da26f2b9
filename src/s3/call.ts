/** Call: one S3 request on its way: what was asked, by whom, and the means to answer. Made by pipeline.ts. */
import type { Codec } from "../codec/native.ts";
import type { ObjectContext } from "../object/context.ts";
import type { Digests } from "../object/types.ts";
import type { Header, HeaderList, HttpRequest, HttpResponder } from "../sys/http.ts";
import type { Access } from "./access.ts";
import type { Identity } from "./authenticate.ts";
import type { PostedForm } from "./post-object.ts";

export interface Call {
  readonly request: HttpRequest;
  readonly response: HttpResponder;
  readonly requestId: string;
  readonly bucket: string;
  readonly key: string;
  readonly query: ReadonlyMap<string, string>;
  readonly identity: Identity;
  /** What the caller may do. */
  readonly access: Access;
  readonly objects: ObjectContext;
  readonly codec: Codec;
  /** Of PostObject. */
  readonly form: PostedForm | null;
  /** Headers of every answer. */
  readonly commonHeaders: HeaderList;
  /** An `x-amz-*` parameter: a header, or of presigned URLs the query. */
  parameter(name: string): string | undefined;
  /** Digests of bytes in memory. */
  digest(bytes: Uint8Array, flags: number): Digests;
}

/** What a handler answers; handlers that stream answer themselves and return null. */
export interface Reply {
  readonly status: number;
  readonly headers: HeaderList;
  readonly body: string | Uint8Array;
}

export function reply(
  status: number,
  headers: Readonly<Record<string, string | null | undefined>> = {},
  body: string | Uint8Array = "",
): Reply {
  const list: Header[] = [];
  for (const name of Object.keys(headers)) {
    const value = headers[name];
    if (value !== null && value !== undefined) list.push([name, value]);
  }
  return { status, headers: list, body };
}

export function xmlReply(
  status: number,
  document: string,
  headers: Readonly<Record<string, string | null | undefined>> = {},
): Reply {
  return reply(status, { "Content-Type": "application/xml", ...headers }, document);
}
