/**
 * Waiting for a drive as long as it does something: what is to be done at a start or a stop may take minutes, and no deadline
 * tells that from a drive that hangs. Milliseconds.
 */
import type { Clock } from "../sys/clock.ts";
import type { DriveDisk } from "../sys/disk.ts";

/** No task of the drive has ended for so long: it does not answer. */
export const SILENT_MS = 20_000;
const LOOK_MS = 1_000;

/** What the work comes to; null = the drive does not answer, and the work goes on if it does later. */
export async function whileItAnswers<T extends object>(
  disk: DriveDisk,
  clock: Clock,
  work: Promise<T>,
): Promise<T | null> {
  const { promise: silent, resolve } = Promise.withResolvers<null>();
  let { ended } = disk;
  let sinceMs = clock.elapsedMs();
  const look = (): (() => void) =>
    clock.after(LOOK_MS, () => {
      if (disk.ended !== ended) {
        ({ ended } = disk);
        sinceMs = clock.elapsedMs();
      }
      if (clock.elapsedMs() - sinceMs >= SILENT_MS) resolve(null);
      else stop = look();
    });
  let stop = look();
  try {
    return await Promise.race([work, silent]);
  } finally {
    stop();
  }
}
