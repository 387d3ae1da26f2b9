/**
 * Named checks for the suites written in JavaScript: each goes on after a failure; `finish` prints the counts as the last line.
 * Modules come from the cache folder of install.sh.
 */
import { createRequire } from "node:module";

export const installed = createRequire(`${process.env.SHERD_COMPAT_DIR}/node/`);

let passed = 0;
let failed = 0;

export async function check(sentence, work) {
  try {
    await work();
    passed++;
    console.log(`ok   ${sentence}`);
  } catch (error) {
    failed++;
    console.log(`FAIL ${sentence}\n     ${String(error?.stack ?? error).replaceAll("\n", "\n     ")}`);
  }
}

/** The call must fail with this code (or HTTP status). */
export async function refused(code, call) {
  let answer;
  try {
    answer = await call();
  } catch (error) {
    const seen = [error.name, error.code, error.Code, error.$metadata?.httpStatusCode];
    if (seen.includes(code)) return;
    throw new Error(`expected ${code}, got ${seen.join(" ")}: ${error.message}`);
  }
  throw new Error(`succeeded, expected ${code}: ${JSON.stringify(answer)}`);
}

export function finish() {
  console.log(`${passed} passed, ${failed} failed, 0 skipped`);
  process.exit(failed > 0 ? 1 : 0);
}
