/** Zip archives of exports: written without compression, read within a bound on what they unpack to. Throws AdminError. */
import { unzipSync, zipSync } from "fflate";
import { AdminError } from "./errors.ts";

const UNPACKED_BYTES_MAX = 64 * 1024 * 1024;
const FILES_MAX = 20_000;
export const ARCHIVE_BYTES_MAX = 16 * 1024 * 1024;

export function zipped(files: ReadonlyMap<string, Uint8Array | string>): Uint8Array {
  const encoder = new TextEncoder();
  const entries = [...files].map(([name, content]) => [
    name,
    typeof content === "string" ? encoder.encode(content) : content,
  ]);
  return zipSync(Object.fromEntries(entries) as Record<string, Uint8Array>, { level: 0 });
}

export function unzipped(archive: Uint8Array): ReadonlyMap<string, Uint8Array> {
  let bytes = 0;
  let count = 0;
  try {
    const files = unzipSync(archive, {
      filter({ originalSize }) {
        bytes += originalSize;
        count++;
        if (bytes > UNPACKED_BYTES_MAX || count > FILES_MAX)
          throw new AdminError("InvalidRequest", "The archive unpacks to more than an import may hold.");
        return true;
      },
    });
    return new Map(Object.entries(files));
  } catch (cause) {
    if (cause instanceof AdminError) throw cause;
    throw new AdminError("InvalidRequest", "The body is not a zip archive that can be read.", {}, { cause });
  }
}
