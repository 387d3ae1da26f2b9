/**
 * CertificateWatch: has renewed certificates served without a restart. Looks at the files every few seconds, and at once
 * when asked (SIGHUP, as with MinIO); tells what it took and, once for each change, what it did not. Milliseconds.
 */
import type { Log } from "../observe/log.ts";
import type { Clock } from "../sys/clock.ts";
import { CertificateFolder, type CertificatePair } from "../sys/tls.ts";

const LOOK_EVERY_MS = 5000;

export interface CertificateWatchOptions {
  readonly folder: CertificateFolder;
  readonly clock: Clock;
  readonly log: Log;
  /** Called after a pair was renewed. */
  readonly renewed: () => void;
  readonly everyMs?: number;
}

export class CertificateWatch {
  private cancel: (() => void) | null = null;

  constructor(private readonly options: CertificateWatchOptions) {}

  start(): void {
    const { clock, everyMs = LOOK_EVERY_MS } = this.options;
    this.cancel = clock.after(everyMs, () => {
      this.start();
      this.lookNow();
    });
  }

  stop(): void {
    this.cancel?.();
    this.cancel = null;
  }

  lookNow(): void {
    const { folder, log } = this.options;
    folder.refresh().then(
      ({ renewed, refused }) => {
        for (const pair of renewed) log.info("certificate renewed", described(pair));
        for (const message of refused) log.error("certificate not renewed, the one before stays", { message });
        if (renewed.length > 0) this.options.renewed();
      },
      (error: unknown) => log.error("certificates cannot be looked at", { message: String(error) }),
    );
  }
}

export function described({ folder, leaf }: CertificatePair): Readonly<Record<string, string>> {
  return { folder, names: leaf.subjectAltName ?? leaf.subject, until: leaf.validTo };
}

/** Throws when the folder has no usable pair of its own; a broken pair for further names is told and left out. */
export async function openCertificates(directory: string, log: Log): Promise<CertificateFolder> {
  const { folder, refused } = await CertificateFolder.open(directory);
  for (const message of refused) log.error("certificate not used", { message });
  log.info("certificate", described(folder.main));
  return folder;
}
