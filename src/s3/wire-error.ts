/** WireError: what is wrong with a request on the wire itself. The code is the S3 code; errors.ts has status and words. */
import { OperatingError } from "../core/errors.ts";
import type { S3Code } from "./errors.ts";

export class WireError extends OperatingError<S3Code> {}
