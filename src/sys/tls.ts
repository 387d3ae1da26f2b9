/**
 * Certificates as MinIO lays them out: `public.crt` and `private.key` in the folder, and in sub-folders one pair each for
 * further names. Read at start; null = no pair there, which is an error of the operator.
 */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { TlsMaterial } from "./http.ts";

export interface Certificates extends TlsMaterial {
  /** Host name of the sub-folder -> its pair, for SNI. */
  readonly byName: ReadonlyMap<string, TlsMaterial>;
}

/** Throws with words when the folder holds no usable pair. */
export function readCertificates(directory: string): Certificates {
  const main = readPair(directory);
  if (main === null) throw new Error(`--certs-dir ${directory}: public.crt and private.key are needed there`);
  const byName = new Map<string, TlsMaterial>();
  for (const entry of readdirSync(directory, { withFileTypes: true })) {
    if (!entry.isDirectory() || entry.name === "CAs") continue;
    const pair = readPair(join(directory, entry.name));
    if (pair !== null) byName.set(entry.name, pair);
  }
  return { ...main, byName };
}

function readPair(directory: string): TlsMaterial | null {
  try {
    return {
      cert: readFileSync(join(directory, "public.crt"), "utf8"),
      key: readFileSync(join(directory, "private.key"), "utf8"),
    };
  } catch (error) {
    if ((error as { code?: string }).code === "ENOENT") return null;
    throw error;
  }
}
