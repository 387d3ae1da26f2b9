/**
 * The website document of a bucket, and what it makes of a request of a browser. Pure. Source: AWS's WebsiteConfiguration.
 */
import {
  contentOf,
  allChildren,
  firstChild,
  parseXmlDocument,
  storedDocument,
  textOf,
  type XmlElement,
} from "../core/xml.ts";
import { DocumentError, malformed } from "./document-error.ts";

const RULES_MAX = 50;

export interface WebsiteRedirect {
  readonly protocol: string;
  readonly host: string;
  readonly code: number;
  readonly replaceKeyWith: string | null;
  readonly replacePrefixWith: string | null;
}
export interface RoutingRule {
  readonly prefix: string;
  /** HTTP status that the object's answer has; null = before it is looked for. */
  readonly errorStatus: number | null;
  readonly redirect: WebsiteRedirect;
}
export interface Website {
  readonly redirectAll: WebsiteRedirect | null;
  readonly index: string;
  readonly error: string;
  readonly rules: readonly RoutingRule[];
}

export function parseWebsite(root: XmlElement): Website {
  const all = firstChild(root, "RedirectAllRequestsTo");
  if (all !== undefined) {
    if (root.children.length > 1) throw malformed("RedirectAllRequestsTo stands alone.");
    const redirect = redirectOf(all);
    if (redirect.host === "") throw malformed("RedirectAllRequestsTo needs a HostName.");
    return { redirectAll: redirect, index: "", error: "", rules: [] };
  }
  const index = textOf(firstChild(root, "IndexDocument") ?? root, "Suffix") ?? "";
  if (firstChild(root, "IndexDocument") === undefined) throw malformed("A website needs an IndexDocument.");
  if (index === "" || index.includes("/"))
    throw new DocumentError("InvalidArgument", "The IndexDocument Suffix is not well formed");
  const errors = firstChild(root, "ErrorDocument");
  const error = errors === undefined ? "" : (textOf(errors, "Key") ?? "");
  if (errors !== undefined && error === "")
    throw new DocumentError("InvalidArgument", "The ErrorDocument Key is not well formed");
  const routing = firstChild(root, "RoutingRules");
  const rules = routing === undefined ? [] : allChildren(routing, "RoutingRule").map(ruleOf);
  if (rules.length > RULES_MAX)
    throw invalid(
      `${rules.length} routing rules provided, the number of routing rules in a website configuration is limited to ${RULES_MAX}.`,
    );
  return { redirectAll: null, index, error, rules };
}

export function parseStoredWebsite(document: Uint8Array | undefined): Website | null {
  return document === undefined ? null : parseWebsite(parseXmlDocument(document, "WebsiteConfiguration"));
}

export function storedWebsite(root: XmlElement): Uint8Array {
  parseWebsite(root);
  return storedDocument("WebsiteConfiguration", root.children.map(contentOf));
}

function ruleOf(element: XmlElement): RoutingRule {
  const condition = firstChild(element, "Condition");
  const wanted = firstChild(element, "Redirect");
  if (wanted === undefined) throw malformed("A routing rule needs a Redirect.");
  const prefix = condition === undefined ? "" : (textOf(condition, "KeyPrefixEquals") ?? "");
  const status = condition === undefined ? undefined : textOf(condition, "HttpErrorCodeReturnedEquals");
  if (condition !== undefined && prefix === "" && status === undefined) throw malformed("A Condition is empty.");
  if (status !== undefined && !/^\d{1,9}$/.test(status)) throw malformed("HttpErrorCodeReturnedEquals is no number.");
  if (status !== undefined && !/^(?:4(?:0\d|1[0-7])|50[0-5])$/.test(status))
    throw invalid(`The provided HTTP error code (${status}) is not valid. Valid codes are 4XX or 5XX.`);
  if (wanted.children.length === 0) throw malformed("A Redirect says nothing.");
  return { prefix, errorStatus: status === undefined ? null : Number(status), redirect: redirectOf(wanted) };
}

function redirectOf(element: XmlElement): WebsiteRedirect {
  const protocol = textOf(element, "Protocol") ?? "";
  if (!["", "http", "https"].includes(protocol))
    throw invalid(
      "Invalid protocol, protocol can be http or https. If not defined the protocol will be selected automatically.",
    );
  const host = textOf(element, "HostName") ?? "";
  if (!/^[A-Za-z0-9.\-:]{0,255}$/.test(host)) throw malformed("A HostName is not one.");
  const code = textOf(element, "HttpRedirectCode") ?? "301";
  if (!/^\d{1,9}$/.test(code)) throw malformed("An HttpRedirectCode is no number.");
  if (!/^30[123578]$/.test(code))
    throw invalid(`The provided HTTP redirect code (${code}) is not valid. Valid codes are 3XX except 300.`);
  const [replaceKeyWith, replacePrefixWith] = ["ReplaceKeyWith", "ReplaceKeyPrefixWith"].map(
    (name) => textOf(element, name) ?? null,
  ) as [string | null, string | null];
  if (replaceKeyWith !== null && replacePrefixWith !== null)
    throw invalid("You can only define ReplaceKeyPrefix or ReplaceKey but not both.");
  return { protocol, host, code: Number(code), replaceKeyWith, replacePrefixWith };
}

function invalid(message: string): DocumentError {
  return new DocumentError("InvalidRequest", message);
}

/** The first rule for this key; `errorStatus` null = before the object is looked for. */
export function routeOf(website: Website, key: string, errorStatus: number | null): RoutingRule | null {
  return website.rules.find((rule) => rule.errorStatus === errorStatus && key.startsWith(rule.prefix)) ?? null;
}

/** Where a redirect leads. `prefix`: of the rule, which may be replaced. */
export function locationOf(
  redirect: WebsiteRedirect,
  request: { readonly key: string; readonly host: string; readonly isTls: boolean; readonly prefix: string },
): string {
  const { key, prefix } = request;
  const target =
    redirect.replaceKeyWith ??
    (redirect.replacePrefixWith === null ? key : `${redirect.replacePrefixWith}${key.slice(prefix.length)}`);
  const protocol = redirect.protocol === "" ? (request.isTls ? "https" : "http") : redirect.protocol;
  const path = target.split("/").map(encodeURIComponent).join("/");
  return `${protocol}://${redirect.host === "" ? request.host : redirect.host}/${path}`;
}
