/** Bearer tokens for the metrics: what is accepted, and every way in which one is not. */
import { expect, test } from "bun:test";
import { createHmac } from "node:crypto";
import { bearerAccessKey, bearerIsValid } from "../../../src/observe/prometheus-auth.ts";

const NOW_MS = 1_700_000_000_000;
const secretOf = (accessKey: string): string | undefined => (accessKey === "admin" ? "admin-secret" : undefined);
const part = (value: unknown): string =>
  Buffer.from(typeof value === "string" ? value : JSON.stringify(value)).toString("base64url");
const GOOD = { sub: "admin", iss: "prometheus", exp: NOW_MS / 1000 + 60 };

function tokenOf(claims: unknown, options: { secret?: string; head?: unknown; digest?: string } = {}): string {
  const signed = `${part(options.head ?? { alg: "HS512", typ: "JWT" })}.${part(claims)}`;
  return `Bearer ${signed}.${createHmac(options.digest ?? "sha512", options.secret ?? "admin-secret")
    .update(signed)
    .digest("base64url")}`;
}

test("a token signed by the user it names is valid and names the user", () => {
  expect(bearerIsValid(tokenOf(GOOD), secretOf, NOW_MS)).toBe(true);
  expect(bearerAccessKey(tokenOf(GOOD).replace("Bearer", "bearer"), secretOf, NOW_MS)).toBe("admin");
});

test.each([
  ["no header", undefined],
  ["another scheme", tokenOf(GOOD).replace("Bearer", "Basic")],
  ["no token", "Bearer "],
  ["a token of two parts", tokenOf(GOOD).split(".").slice(0, 2).join(".")],
  ["a token of four parts", `${tokenOf(GOOD)}.AAAA`],
  ["another secret", tokenOf(GOOD, { secret: "guess" })],
  ["an empty signature", tokenOf(GOOD).replace(/[^.]*$/, "")],
  ["a cut signature", tokenOf(GOOD).slice(0, -3)],
  ["algorithm none", tokenOf(GOOD, { head: { alg: "none" } })],
  ["algorithm HS256", tokenOf(GOOD, { head: { alg: "HS256" }, digest: "sha256" })],
  ["an unknown user", tokenOf({ ...GOOD, sub: "nobody" })],
  ["an unknown user with the stand-in secret", tokenOf({ ...GOOD, sub: "nobody" }, { secret: "unknown" })],
  ["no user", tokenOf({ iss: "prometheus", exp: GOOD.exp })],
  ["another issuer", tokenOf({ ...GOOD, iss: "console" })],
  ["an expired token", tokenOf({ ...GOOD, exp: NOW_MS / 1000 })],
  ["no expiry", tokenOf({ sub: "admin", iss: "prometheus" })],
  ["a token of the future", tokenOf({ ...GOOD, nbf: NOW_MS / 1000 + 5 })],
  ["claims that are no object", tokenOf([1])],
  ["claims that are no JSON", tokenOf("{")],
  ["a token that is far too long", tokenOf({ ...GOOD, more: "x".repeat(5000) })],
])("%s is refused", (_what, header) => {
  expect(bearerIsValid(header, secretOf, NOW_MS)).toBe(false);
});
