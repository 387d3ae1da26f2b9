/**
 * CORS rules of a bucket: the document, and which rule a request of a browser matches. Pure. Origins and headers may have one
 * `*`, which stands for any text. Source: s3-api.md §4.19; AWS's rules.
 */
import {
  allChildren,
  parseXmlDocument,
  storedDocument,
  textOf,
  type XmlContent,
  type XmlElement,
} from "../core/xml.ts";
import { DocumentError, malformed } from "./document-error.ts";

const RULES_MAX = 100;
const ID_MAX = 255;
export const CORS_METHODS = ["GET", "PUT", "POST", "DELETE", "HEAD"] as const;

export interface CorsRule {
  readonly id: string;
  readonly origins: readonly string[];
  readonly methods: readonly string[];
  /** As they were written; they match in any case. */
  readonly headers: readonly string[];
  readonly exposed: readonly string[];
  /** Seconds; null = not said. */
  readonly maxAge: number | null;
}

export function parseCors(root: XmlElement): readonly CorsRule[] {
  const rules = allChildren(root, "CORSRule").map(ruleOf);
  if (rules.length === 0 || rules.length > RULES_MAX) throw malformed(`Between 1 and ${RULES_MAX} rules are needed.`);
  return rules;
}

/** What lies on the drives. */
export function parseStoredCors(document: Uint8Array | undefined): readonly CorsRule[] | null {
  return document === undefined ? null : parseCors(parseXmlDocument(document, "CORSConfiguration"));
}

function ruleOf(element: XmlElement): CorsRule {
  const texts = (name: string): string[] => allChildren(element, name).map((e) => e.text.trim());
  const [origins, methods] = [texts("AllowedOrigin"), texts("AllowedMethod")];
  const [headers, exposed] = [texts("AllowedHeader"), texts("ExposeHeader")];
  if (origins.length === 0 || methods.length === 0) throw malformed("A rule needs an origin and a method.");
  const id = textOf(element, "ID") ?? "";
  if (id.length > ID_MAX) throw malformed(`An ID has at most ${ID_MAX} characters.`);
  for (const method of methods)
    if (!(CORS_METHODS as readonly string[]).includes(method))
      throw invalid(`Found unsupported HTTP method in CORS config. Unsupported method is ${method}`);
  for (const header of headers)
    if (!/^[A-Za-z0-9!#$%&'*+\-.^_`|~]+$/.test(header))
      throw invalid(`AllowedHeader "${header}" contains invalid character.`);
  for (const pattern of [...origins, ...headers]) {
    if (pattern === "" || !isHeaderText(pattern)) throw invalid("An origin is not one.");
    if (pattern.split("*").length > 2) throw invalid(`"${pattern}" can not have more than one wildcard.`);
  }
  for (const header of exposed)
    if (!/^[A-Za-z0-9\-_.]+$/.test(header)) throw invalid(`ExposeHeader "${header}" contains invalid character.`);
  const age = textOf(element, "MaxAgeSeconds");
  if (age !== undefined && !/^-?\d{1,9}$/.test(age))
    // a negative one is AWS's too, and means 0 to a browser
    throw malformed("MaxAgeSeconds is not a number.");
  return { id, origins, methods, headers, exposed, maxAge: age === undefined ? null : Number(age) };
}

function isHeaderText(text: string): boolean {
  return /^[\x21-\x7e]+$/.test(text);
}

function invalid(message: string): DocumentError {
  return new DocumentError("InvalidRequest", message);
}

export function storedCors(rules: readonly CorsRule[]): Uint8Array {
  const all = (name: string, texts: readonly string[]): XmlContent[] => texts.map((text) => [name, text]);
  const nodes = rules.map(
    (rule): XmlContent => [
      "CORSRule",
      [
        rule.id === "" ? null : ["ID", rule.id],
        ...all("AllowedOrigin", rule.origins),
        ...all("AllowedMethod", rule.methods),
        ...all("AllowedHeader", rule.headers),
        ...all("ExposeHeader", rule.exposed),
        rule.maxAge === null ? null : ["MaxAgeSeconds", rule.maxAge],
      ],
    ],
  );
  return storedDocument("CORSConfiguration", nodes);
}

export interface CorsMatch {
  readonly rule: CorsRule;
  /** "*", or the origin of the request. */
  readonly allowOrigin: string;
}

/** The first rule for this origin, method and these headers (lower case). */
export function matchCors(
  rules: readonly CorsRule[],
  origin: string,
  method: string,
  headers: readonly string[],
): CorsMatch | null {
  for (const rule of rules) {
    const pattern = rule.origins.find((p) => matches(p, origin));
    if (pattern === undefined || !rule.methods.includes(method)) continue;
    if (headers.every((h) => rule.headers.some((p) => matches(p.toLowerCase(), h))))
      return { rule, allowOrigin: pattern === "*" ? "*" : origin };
  }
  return null;
}

function matches(pattern: string, text: string): boolean {
  const star = pattern.indexOf("*");
  if (star < 0) return pattern === text;
  const [before, after] = [pattern.slice(0, star), pattern.slice(star + 1)];
  return text.length >= before.length + after.length && text.startsWith(before) && text.endsWith(after);
}
