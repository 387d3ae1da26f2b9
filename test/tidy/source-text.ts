/**
 * TypeScript source as the tidy rules see it: comments and the contents of strings, templates and regular expressions
 * replaced by blanks, every offset and line number kept. A small lexer, not a parser: enough to tell code from text.
 */

export interface SourceFile {
  /** Relative to the repository, with "/". */
  readonly path: string;
  readonly text: string;
}

/** After these a "/" starts a regular expression and not a division. */
const REGEX_MAY_FOLLOW =
  /(?:^|[=(,:;!&|?{}[+\-*%<>~^]|\b(?:return|typeof|case|in|of|do|else|void|throw|await|yield))\s*$/;

/** The end of the regular expression that starts at `at`, or -1 when the line ends first. */
function regexEnd(text: string, at: number): number {
  let inClass = false;
  for (let i = at + 1; i < text.length && text[i] !== "\n"; i++) {
    const c = text[i];
    if (c === "\\") i++;
    else if (c === "[") inClass = true;
    else if (c === "]") inClass = false;
    else if (c === "/" && !inClass) return i + 1;
  }
  return -1;
}

/** The end of the quoted string that starts at `at`; an unterminated one ends with its line. */
function quoteEnd(text: string, at: number): number {
  for (let i = at + 1; i < text.length; i++) {
    if (text[i] === "\\") i++;
    else if (text[i] === text[at] || text[i] === "\n") return i + 1;
  }
  return text.length;
}

function blank(text: string): string {
  return text.replace(/[^\n]/g, " ");
}

/** A quoted text with its quotes kept and its contents blanked. */
function hollow(text: string): string {
  return text.length < 2 ? text : `${text[0]}${blank(text.slice(1, -1))}${text.at(-1)}`;
}

/** `text` with comments and the contents of literals blanked; same length, same lines. Code inside `${}` stays. */
export function maskSource(text: string): string {
  let out = "";
  let i = 0;
  const templateDepths: number[] = [];
  let depth = 0;

  const takeTemplate = (): void => {
    const start = i;
    while (i < text.length && text[i] !== "`" && !text.startsWith("${", i)) i += text[i] === "\\" ? 2 : 1;
    out += blank(text.slice(start, i));
    if (text[i] === "`") {
      out += "`";
      i++;
    } else if (i < text.length) {
      out += "${";
      i += 2;
      templateDepths.push(depth++);
    }
  };

  while (i < text.length) {
    const c = text[i] as string;
    const start = i;
    if (text.startsWith("//", i)) {
      while (i < text.length && text[i] !== "\n") i++;
      out += blank(text.slice(start, i));
    } else if (text.startsWith("/*", i)) {
      const end = text.indexOf("*/", i + 2);
      i = end < 0 ? text.length : end + 2;
      out += blank(text.slice(start, i));
    } else if (c === '"' || c === "'") {
      i = quoteEnd(text, i);
      out += hollow(text.slice(start, i));
    } else if (c === "`") {
      out += c;
      i++;
      takeTemplate();
    } else if (c === "/" && REGEX_MAY_FOLLOW.test(out.slice(-80)) && regexEnd(text, i) > 0) {
      i = regexEnd(text, i);
      out += hollow(text.slice(start, i));
    } else {
      out += c;
      i++;
      if (c === "{") depth++;
      if (c === "}") {
        depth--;
        if (templateDepths.at(-1) === depth) {
          templateDepths.pop();
          takeTemplate();
        }
      }
    }
  }
  return out;
}

/** The line number, from 1, of an offset. */
export function lineAt(text: string, offset: number): number {
  let line = 1;
  for (let i = 0; i < offset; i++) if (text[i] === "\n") line++;
  return line;
}

export function countLines(text: string): number {
  return text.split("\n").length - (text.endsWith("\n") ? 1 : 0);
}
