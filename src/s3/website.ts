/**
 * A bucket as a website: what a browser gets at the bucket's host below a website domain. Index documents of folders, redirects,
 * and the bucket's own page for errors. Who may read is judged as for GetObject. Source: AWS's website endpoints.
 */
import type { ByteSink } from "../core/byte-stream.ts";
import { OperatingError } from "../core/errors.ts";
import { locationOf, parseStoredWebsite, routeOf, type Website, type WebsiteRedirect } from "../bucket/website.ts";
import type { ObjectContext } from "../object/context.ts";
import { ObjectError } from "../object/errors.ts";
import { openObject } from "../object/get-object.ts";
import { REDIRECT_LOCATION_KEY } from "../object/version-info.ts";
import type { HeaderList, HttpRequest, HttpResponder } from "../sys/http.ts";
import type { Call } from "./call.ts";
import { errorCodeOf, errorStatusOf } from "./error-reply.ts";
import { S3_ERRORS } from "./errors.ts";
import { getObject, headObject } from "./object-operations.ts";
import { WireError } from "./wire-error.ts";

const ERROR_PAGE_BYTES_MAX = 1024 * 1024;

export interface Visit {
  readonly bucket: string;
  /** As asked: without the leading slash, "" = the site's root. */
  readonly key: string;
  readonly request: HttpRequest;
  readonly response: HttpResponder;
  readonly commonHeaders: HeaderList;
  readonly objects: ObjectContext;
  /** A call for this key, which its caller may read; throws AccessDenied. */
  callFor(key: string): Promise<Call>;
}

/** The bucket that a host names below one of the website domains; "" = none. */
export function siteOf(host: string, domains: readonly string[]): string {
  const name = host.replace(/:\d+$/, "").toLowerCase();
  const domain = domains.find((d) => name.length > d.length + 1 && name.endsWith(`.${d}`));
  return domain === undefined ? "" : name.slice(0, -(domain.length + 1));
}

/** Answers; returns the status. */
export async function serveWebsite(visit: Visit): Promise<number> {
  const { method } = visit.request;
  if (method !== "GET" && method !== "HEAD")
    throw new WireError("MethodNotAllowed", "The specified method is not allowed against this resource.");
  const site = await siteDocument(visit);
  const early = site.redirectAll ?? routeOf(site, visit.key, null);
  if (early !== null)
    return "redirect" in early ? await redirect(visit, early.redirect, early.prefix) : await redirect(visit, early, "");
  const isFolder = visit.key === "" || visit.key.endsWith("/");
  try {
    const key = isFolder ? `${visit.key}${site.index}` : visit.key;
    const location = await redirectOf(visit, key);
    if (location !== null) {
      await visit.response.send(301, [["Location", location], ...visit.commonHeaders], "");
      return 301;
    }
    const call = await visit.callFor(key);
    await (method === "HEAD" ? headObject(call) : getObject(call));
    return 200;
  } catch (error) {
    const status = error instanceof OperatingError ? errorStatusOf(errorCodeOf(error)) : 500;
    if (visit.response.headSent || (status !== 404 && status !== 403)) throw error;
    if (!isFolder && (await canRead(visit, `${visit.key}/${site.index}`))) return await toFolder(visit);
    const rule = routeOf(site, visit.key, status);
    if (rule !== null) return await redirect(visit, rule.redirect, rule.prefix);
    if (site.error === "" || !(await canRead(visit, site.error))) throw error;
    await errorPage(visit, site.error, status);
    return status;
  }
}

async function siteDocument(visit: Visit): Promise<Website> {
  const bucket = await visit.objects.buckets.get(visit.bucket);
  if (bucket === null)
    throw new ObjectError("NoSuchBucket", "The specified bucket does not exist", { bucket: visit.bucket });
  const site = parseStoredWebsite(bucket.metadata.own.get("website"));
  if (site === null) throw new WireError("NoSuchWebsiteConfiguration", S3_ERRORS.NoSuchWebsiteConfiguration.message);
  return site;
}

async function redirect(visit: Visit, to: WebsiteRedirect, prefix: string): Promise<number> {
  const host = visit.request.headers.get("host") ?? "";
  const location = locationOf(to, { key: visit.key, host, isTls: visit.request.isTls, prefix });
  await visit.response.send(to.code, [["Location", location], ...visit.commonHeaders], "");
  return to.code;
}

async function toFolder(visit: Visit): Promise<number> {
  const path = visit.key.split("/").map(encodeURIComponent).join("/");
  await visit.response.send(302, [["Location", `/${path}/`], ...visit.commonHeaders], "");
  return 302;
}

async function canRead(visit: Visit, key: string): Promise<boolean> {
  try {
    await using _ = await open(visit, key);
    return true;
  } catch (error) {
    if (error instanceof OperatingError && errorStatusOf(errorCodeOf(error)) < 500) return false;
    throw error;
  }
}

/** Where the object itself sends its visitors; null = nowhere. */
async function redirectOf(visit: Visit, key: string): Promise<string | null> {
  await using opened = await open(visit, key);
  return opened.info.metadata.get(REDIRECT_LOCATION_KEY) ?? null;
}

async function open(visit: Visit, key: string): Promise<Awaited<ReturnType<typeof openObject>>> {
  const { bucket, objects } = visit;
  await visit.callFor(key);
  return await openObject(objects, { bucket, key, conditions: {} });
}

async function errorPage(visit: Visit, key: string, status: number): Promise<void> {
  await using opened = await open(visit, key);
  const { sizeBytes, metadata } = opened.info;
  if (sizeBytes > ERROR_PAGE_BYTES_MAX)
    throw new WireError("EntityTooLarge", "The website's page for errors is too large.");
  const chunks: Uint8Array[] = [];
  const sink: ByteSink = {
    write(bytes) {
      chunks.push(new Uint8Array(bytes));
      return Promise.resolve();
    },
  };
  if (opened.inline === null) await opened.stream(sink, 0, sizeBytes);
  const page = opened.inline ?? Buffer.concat(chunks);
  const type = metadata.get("content-type") ?? "text/html";
  await visit.response.send(status, [["Content-Type", type], ...visit.commonHeaders], page);
}
