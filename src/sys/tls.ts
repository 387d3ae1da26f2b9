/**
 * Certificates as MinIO lays them out: `public.crt` and `private.key` in the folder, and in each sub-folder (not `CAs`, which
 * holds authorities) a pair for further names. Which pair answers a name is decided by the names inside the certificates,
 * wildcards included, never by the folder's. A renewed pair is taken on `refresh`; a broken one leaves the pair that was
 * there and is told once. Throws CertificateError when there is no usable pair at the start.
 */
import { X509Certificate } from "node:crypto";
import { readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { createSecureContext, type SecureContext } from "node:tls";
import { OperatingError } from "../core/errors.ts";

export class CertificateError extends OperatingError<"NoCertificate" | "BadCertificate"> {}

export interface CertificatePair {
  readonly folder: string;
  readonly cert: string;
  readonly key: string;
  readonly context: SecureContext;
  readonly leaf: X509Certificate;
}

export interface CertificateNews {
  readonly renewed: readonly CertificatePair[];
  /** In words, each once: why a changed pair is not used. */
  readonly refused: readonly string[];
}

interface Known {
  /** Identity of the two files when they were last read. */
  readonly stamp: string;
  readonly pair: CertificatePair | null;
}

const CERT_FILE = "public.crt";
const KEY_FILE = "private.key";

export class CertificateFolder {
  private readonly known = new Map<string, Known>();
  private refreshing: Promise<CertificateNews> | null = null;

  private constructor(private readonly directory: string) {}

  /** Authorities of the sub-folder `CAs`, PEM; null = there are none, and the system's count. Read at the start. */
  authorities: readonly string[] | null = null;

  static async open(
    directory: string,
  ): Promise<{ readonly folder: CertificateFolder; readonly refused: readonly string[] }> {
    const folder = new CertificateFolder(directory);
    const { refused } = await folder.refresh();
    folder.authorities = await authoritiesOf(join(directory, "CAs"));
    if (folder.known.get(directory)?.pair instanceof Object) return { folder, refused };
    throw new CertificateError(
      refused.length > 0 ? "BadCertificate" : "NoCertificate",
      `--certs-dir ${directory}: ${refused[0] ?? `${CERT_FILE} and ${KEY_FILE} are needed there`}`,
    );
  }

  /** The pair of the folder itself: for clients that name no host, and for names that no other pair has. */
  get main(): CertificatePair {
    return this.known.get(this.directory)?.pair as CertificatePair; // open() made sure, and a pair is only ever replaced
  }

  pairFor(serverName: string): CertificatePair {
    const { main } = this;
    if (hasName(main, serverName)) return main;
    for (const { pair } of this.known.values()) if (pair !== null && hasName(pair, serverName)) return pair;
    return main;
  }

  /** Looks at the files; reads those that changed. One look at a time. */
  refresh(): Promise<CertificateNews> {
    this.refreshing ??= this.look().finally(() => {
      this.refreshing = null;
    });
    return this.refreshing;
  }

  private async look(): Promise<CertificateNews> {
    const renewed: CertificatePair[] = [];
    const refused: string[] = [];
    const folders = await this.folders();
    for (const folder of folders) {
      const before = this.known.get(folder);
      const stamp = await stampOf(folder);
      if (stamp === before?.stamp || (stamp === null && before === undefined)) continue;
      if (stamp === null) {
        // In the middle of being replaced, or removed by mistake: what was read stays.
        this.known.set(folder, { stamp: "", pair: before?.pair ?? null });
        if (before?.stamp !== "") refused.push(`${folder}: ${CERT_FILE} or ${KEY_FILE} is not there any more`);
        continue;
      }
      const read = await readPair(folder);
      if (typeof read === "string") refused.push(read);
      else renewed.push(read);
      this.known.set(folder, { stamp, pair: typeof read === "string" ? (before?.pair ?? null) : read });
    }
    for (const folder of [...this.known.keys()]) if (!folders.includes(folder)) this.known.delete(folder);
    return { renewed, refused };
  }

  private async folders(): Promise<string[]> {
    const found = [this.directory];
    for (const name of (await readdir(this.directory).catch(() => [])).sort()) {
      // Kubernetes keeps the real files of a mounted secret in folders that start with two dots.
      if (name === "CAs" || name.startsWith("..")) continue;
      const path = join(this.directory, name);
      if (this.known.has(path) ? await isFolder(path) : (await stampOf(path)) !== null) found.push(path);
    }
    return found;
  }
}

async function authoritiesOf(folder: string): Promise<readonly string[] | null> {
  const found: string[] = [];
  for (const name of (await readdir(folder).catch(() => [])).sort()) {
    const text = await readFile(join(folder, name), "utf8").catch(() => "");
    if (text.includes("-----BEGIN CERTIFICATE-----")) found.push(text);
  }
  return found.length === 0 ? null : found;
}

function hasName(pair: CertificatePair, name: string): boolean {
  return pair.leaf.checkHost(name, { subject: "never" }) !== undefined;
}

async function isFolder(path: string): Promise<boolean> {
  return await stat(path).then(
    (facts) => facts.isDirectory(),
    () => false,
  );
}

/** Changes when either file does, also behind a symbolic link; null = one of them is not there. */
async function stampOf(folder: string): Promise<string | null> {
  const one = async (name: string): Promise<string | null> =>
    await stat(join(folder, name), { bigint: true }).then(
      (facts) => (facts.isFile() ? `${facts.dev}:${facts.ino}:${facts.size}:${facts.mtimeNs}:${facts.ctimeNs}` : null),
      () => null,
    );
  const [cert, key] = [await one(CERT_FILE), await one(KEY_FILE)];
  return cert === null || key === null ? null : `${cert} ${key}`;
}

/** The pair, or in words why it is none. */
async function readPair(folder: string): Promise<CertificatePair | string> {
  try {
    const cert = await readFile(join(folder, CERT_FILE), "utf8");
    const key = await readFile(join(folder, KEY_FILE), "utf8");
    const leaf = new X509Certificate(cert);
    const context = createSecureContext({ cert, key }); // throws when key and certificate do not belong together
    return { folder, cert, key, context, leaf };
  } catch (error) {
    return `${folder}: the certificate cannot be used: ${error instanceof Error ? error.message : String(error)}`;
  }
}
