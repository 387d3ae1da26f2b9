/** What `sherd drive repair` says of one drive, for the person at the terminal. Pure text; names from the log are quoted. */
import type { RepairReport } from "./repair-log.ts";

const LOST_SHOWN_MAX = 20;

export function repairText(report: RepairReport): string {
  const { drive, damage, kept, lost, withoutImage, unreadableBytes, movedTo } = report;
  if (damage === null) return `${drive}: the commit log is whole, nothing to repair\n`;
  const missing = lost.reduce((sum, { first, last }) => sum + last - first + 1, 0);
  const lines = [
    `${drive}: the commit log is damaged: ${damage}`,
    `  ${kept} records are whole and ${movedTo === null ? "would be kept" : "are kept"}, ${missing} are missing`,
    ...lost.slice(0, LOST_SHOWN_MAX).map(({ first, last, segment, offset, perhapsOf }) => {
      const which = first === last ? `record ${first}` : `records ${first} to ${last}`;
      return `  missing: ${which}, segment-${segment} from byte ${offset}${perhapsOf === null ? "" : `, perhaps of ${JSON.stringify(perhapsOf)}`}`;
    }),
  ];
  if (lost.length > LOST_SHOWN_MAX) lines.push(`  and ${lost.length - LOST_SHOWN_MAX} more holes: see the report`);
  if (unreadableBytes > 0) lines.push(`  ${unreadableBytes} bytes cannot be read from the drive: replace it soon`);
  if (withoutImage.length > 0)
    lines.push(`  ${withoutImage.length} records name an image of xl.meta that is not there`);
  if (movedTo === null) lines.push("  nothing was changed; without --dry-run the log is repaired");
  else {
    lines.push(`  the damaged log and report.json are in ${movedTo}`);
    lines.push("  start sherd now: until the drive is rebuilt from the others, what it lacks does not count");
  }
  return `${lines.join("\n")}\n`;
}
