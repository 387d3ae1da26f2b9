/** The LDAP provider: its configuration, and names of users and groups in one form. Source: admin API §5, s3-api.md §6.3. */
import type { LdapOptions } from "../sys/ldap-directory.ts";

/** From the values of the sub-system `identity_ldap`; null = none is configured. */
export function ldapOptions(values: ReadonlyMap<string, string>): LdapOptions | null {
  const value = (key: string): string => values.get(key) ?? "";
  const isOn = (key: string): boolean => value(key) === "on" || value(key) === "true";
  const bases = (key: string): string[] =>
    value(key)
      .split(";")
      .map((base) => base.trim())
      .filter((base) => base !== "");
  if (value("server_addr") === "" || value("enable") === "off") return null;
  return {
    server: value("server_addr"),
    transport: isOn("server_insecure") ? "plain" : isOn("server_starttls") ? "starttls" : "tls",
    verifiesCertificate: !isOn("tls_skip_verify"),
    lookupDn: value("lookup_bind_dn"),
    lookupPassword: value("lookup_bind_password"),
    userBases: bases("user_dn_search_base_dn"),
    userFilter: value("user_dn_search_filter"),
    groupBases: bases("group_search_base_dn"),
    groupFilter: value("group_search_filter"),
  };
}

/** Attribute types in lower case, without blanks around commas and equal signs: policies are mapped by this form. */
export function normalDn(dn: string): string {
  return dn
    .split(/(?<!\\),/)
    .map((part) => {
      const equals = part.indexOf("=");
      if (equals < 0) return part.trim();
      return `${part.slice(0, equals).trim().toLowerCase()}=${part.slice(equals + 1).trim()}`;
    })
    .join(",");
}

export function isDn(text: string): boolean {
  return /^[A-Za-z0-9.-]+=/.test(text);
}
