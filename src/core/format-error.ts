/**
 * FormatError: bytes that came from a drive do not follow their format (truncated, corrupt, or newer than we read).
 * Expected on damaged drives: callers count it as a missing copy, never as a bug.
 */
export class FormatError extends Error {
  constructor(message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.name = "FormatError";
  }
}
