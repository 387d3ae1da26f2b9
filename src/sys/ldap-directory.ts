/**
 * An LDAP server as a directory of users: who has this name and password, and of which groups. Each question opens a connection
 * of its own. Throws LdapError when the server cannot be asked; a wrong password is a value. Milliseconds.
 */
import { Client, InvalidCredentialsError, type SearchResult } from "ldapts";
import { OperatingError } from "../core/errors.ts";

export class LdapError extends OperatingError<"Unreachable" | "Ambiguous"> {}

const TIMEOUT_MS = 10_000;
const ENTRIES_MAX = 1000;

export interface LdapOptions {
  /** host[:port] */
  readonly server: string;
  readonly transport: "tls" | "starttls" | "plain";
  readonly verifiesCertificate: boolean;
  readonly lookupDn: string;
  readonly lookupPassword: string;
  readonly userBases: readonly string[];
  /** `%s` = the name. */
  readonly userFilter: string;
  readonly groupBases: readonly string[];
  /** `%s` = the name, `%d` = the user's DN; "" = no groups. */
  readonly groupFilter: string;
}

export interface LdapUser {
  /** As the server writes it. */
  readonly dn: string;
  readonly groups: readonly string[];
}

export interface LdapDirectory {
  /** null = no such user. */
  find(name: string): Promise<LdapUser | null>;
  /** null = no such user, or another password. */
  login(name: string, password: string): Promise<LdapUser | null>;
}

export function ldapDirectory(options: LdapOptions): LdapDirectory {
  return {
    find: (name) => asking(options, async (client) => await findUser(client, options, name)),
    login: (name, password) =>
      asking(options, async (client) => {
        if (password === "") return null; // an empty one would be an anonymous bind, which succeeds
        const user = await findUser(client, options, name);
        if (user === null) return null;
        try {
          await client.bind(user.dn, password);
          return user;
        } catch (error) {
          if (error instanceof InvalidCredentialsError) return null;
          throw error;
        }
      }),
  };
}

async function asking<T>(options: LdapOptions, work: (client: Client) => Promise<T>): Promise<T> {
  const tlsOptions = { rejectUnauthorized: options.verifiesCertificate };
  const scheme = options.transport === "tls" ? "ldaps" : "ldap";
  const client = new Client({
    url: `${scheme}://${options.server}`,
    timeout: TIMEOUT_MS,
    connectTimeout: TIMEOUT_MS,
    strictDN: false,
    ...(options.transport === "tls" ? { tlsOptions } : {}),
  });
  try {
    if (options.transport === "starttls") await client.startTLS(tlsOptions);
    await client.bind(options.lookupDn, options.lookupPassword);
    return await work(client);
  } catch (cause) {
    if (cause instanceof LdapError) throw cause;
    const why = cause instanceof Error ? `${cause.name}: ${cause.message}` : String(cause);
    throw new LdapError("Unreachable", `The LDAP server cannot be asked: ${why}`, {}, { cause });
  } finally {
    await client.unbind();
  }
}

async function findUser(client: Client, options: LdapOptions, name: string): Promise<LdapUser | null> {
  const filter = options.userFilter.replaceAll("%s", escapedValue(name));
  const found: string[] = [];
  for (const base of options.userBases) found.push(...(await dnsOf(client, base, filter)));
  const dns = [...new Set(found)];
  if (dns.length > 1) throw new LdapError("Ambiguous", `Several users of the LDAP server have the name ${name}.`);
  const [dn] = dns;
  if (dn === undefined) return null;
  const groups: string[] = [];
  if (options.groupFilter !== "") {
    const groupFilter = options.groupFilter
      .replaceAll("%s", () => escapedValue(name))
      .replaceAll("%d", () => escapedValue(dn));
    for (const base of options.groupBases) groups.push(...(await dnsOf(client, base, groupFilter)));
  }
  return { dn, groups: [...new Set(groups)] };
}

async function dnsOf(client: Client, base: string, filter: string): Promise<string[]> {
  const result: SearchResult = await client.search(base, {
    scope: "sub",
    filter,
    attributes: ["dn"],
    sizeLimit: ENTRIES_MAX,
  });
  return result.searchEntries.map((entry) => entry.dn);
}

/** A value in a filter: RFC 4515. */
function escapedValue(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: NUL is one of those to be escaped
  return text.replace(/[\\*()\u0000]/g, (c) => `\\${c.charCodeAt(0).toString(16).padStart(2, "0")}`);
}
