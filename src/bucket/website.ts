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
import { malformed } from "./document-error.ts";

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
  if (index === "" || index.includes("/")) throw malformed("IndexDocument needs a Suffix without a slash.");
  const errors = firstChild(root, "ErrorDocument");
  const error = errors === undefined ? "" : (textOf(errors, "Key") ?? "");
  if (errors !== undefined && error === "") throw malformed("ErrorDocument needs a Key.");
  const routing = firstChild(root, "RoutingRules");
  const rules = routing === undefined ? [] : allChildren(routing, "RoutingRule").map(ruleOf);
  if (rules.length > RULES_MAX) throw malformed(`There are more than ${RULES_MAX} routing rules.`);
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
  if (status !== undefined && !/^[45]\d\d$/.test(status)) throw malformed("HttpErrorCodeReturnedEquals is no error.");
  return { prefix, errorStatus: status === undefined ? null : Number(status), redirect: redirectOf(wanted) };
}

function redirectOf(element: XmlElement): WebsiteRedirect {
  const protocol = textOf(element, "Protocol") ?? "";
  if (!["", "http", "https"].includes(protocol)) throw malformed("A Protocol is http or https.");
  const host = textOf(element, "HostName") ?? "";
  if (!/^[A-Za-z0-9.\-:]{0,255}$/.test(host)) throw malformed("A HostName is not one.");
  const code = textOf(element, "HttpRedirectCode") ?? "301";
  if (!/^3\d\d$/.test(code) || code === "304") throw malformed("An HttpRedirectCode is not one of a redirect.");
  const [replaceKeyWith, replacePrefixWith] = ["ReplaceKeyWith", "ReplaceKeyPrefixWith"].map(
    (name) => textOf(element, name) ?? null,
  ) as [string | null, string | null];
  if (replaceKeyWith !== null && replacePrefixWith !== null)
    throw malformed("ReplaceKeyWith and ReplaceKeyPrefixWith exclude each other.");
  return { protocol, host, code: Number(code), replaceKeyWith, replacePrefixWith };
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
