/**
 * OperatingError: an expected failure with a code from a closed union per layer. Broken promises of our own are
 * AssertionError (assert.ts) and end the process; everything a client, peer or drive can cause is an OperatingError.
 */
export class OperatingError<Code extends string> extends Error {
  constructor(
    readonly code: Code,
    message: string,
    readonly detail: Readonly<Record<string, unknown>> = {},
    options?: { cause?: unknown },
  ) {
    super(message, options);
    this.name = new.target.name;
  }
}
