/**
 * A directory of a few people that answers LDAP's bind and search (RFC 4511), enough for a client that looks users and their groups
 * up: filters of one equality, or of several joined by "and". On loopback, any free port.
 */
import { createServer, type Socket } from "node:net";
import type { AddressInfo } from "node:net";

export interface LdapEntry {
  readonly dn: string;
  /** null = cannot log in. */
  readonly password: string | null;
  readonly attributes: Readonly<Record<string, readonly string[]>>;
}
export interface LdapServer {
  readonly address: string;
  stop(): Promise<void>;
}

interface Element {
  readonly tag: number;
  readonly body: Buffer;
}

function encode(tag: number, ...parts: readonly (Buffer | string)[]): Buffer {
  const body = Buffer.concat(parts.map((part): Uint8Array => (typeof part === "string" ? Buffer.from(part) : part)));
  const length = body.length < 128 ? Buffer.of(body.length) : Buffer.of(0x82, body.length >> 8, body.length & 255);
  return Buffer.concat([Buffer.of(tag), length, body]);
}

/** null = not all of it is there yet. */
function decode(bytes: Buffer): { readonly element: Element; readonly size: number } | null {
  if (bytes.length < 2) return null;
  const first = bytes[1] as number;
  const extra = first < 128 ? 0 : first & 127;
  if (bytes.length < 2 + extra) return null;
  const length = extra === 0 ? first : bytes.readUIntBE(2, extra);
  const start = 2 + extra;
  if (bytes.length < start + length) return null;
  return { element: { tag: bytes[0] as number, body: bytes.subarray(start, start + length) }, size: start + length };
}

function children(body: Buffer): Element[] {
  const found: Element[] = [];
  for (let at = 0; at < body.length; ) {
    const next = decode(body.subarray(at));
    if (next === null) throw new Error("a message is cut short");
    found.push(next.element);
    at += next.size;
  }
  return found;
}

function matches(filter: Element, entry: LdapEntry): boolean {
  if (filter.tag === 0xa0) return children(filter.body).every((part) => matches(part, entry));
  if (filter.tag === 0x87) return true; // is there such an attribute
  if (filter.tag !== 0xa3) return false;
  const [name, value] = children(filter.body).map(({ body }) => body.toString());
  return (entry.attributes[name as string] ?? []).includes(value as string);
}

export async function startLdapServer(entries: readonly LdapEntry[]): Promise<LdapServer> {
  const result = (tag: number, code: number): Buffer =>
    encode(tag, encode(10, Buffer.of(code)), encode(4, ""), encode(4, ""));
  const answersOf = ({ tag, body }: Element): Buffer[] => {
    const parts = children(body);
    if (tag === 0x60) {
      const [dn, password] = [parts[1]?.body.toString(), parts[2]?.body.toString()];
      const isRight = entries.some(
        (entry) => entry.dn === dn && entry.password !== null && entry.password === password,
      );
      return [result(0x61, isRight ? 0 : 49)];
    }
    if (tag !== 0x63) return [];
    const base = parts[0]?.body.toString() as string;
    const found = entries.filter((entry) => entry.dn.endsWith(base) && matches(parts[6] as Element, entry));
    return [...found.map(({ dn }) => encode(0x64, encode(4, dn), encode(0x30))), result(0x65, 0)];
  };
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    let rest: Buffer = Buffer.alloc(0);
    socket.on("error", () => socket.destroy());
    socket.on("close", () => sockets.delete(socket));
    socket.on("data", (chunk) => {
      rest = Buffer.concat([rest, chunk as Buffer]);
      for (let next = decode(rest); next !== null; next = decode(rest)) {
        rest = rest.subarray(next.size);
        const [id, operation] = children(next.element.body);
        if (id === undefined || operation === undefined || operation.tag === 0x42) return void socket.end();
        for (const answer of answersOf(operation)) socket.write(encode(0x30, encode(2, id.body), answer));
      }
    });
  });
  await new Promise<void>((resolve) => {
    server.listen(0, "127.0.0.1", resolve);
  });
  return {
    address: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    async stop() {
      for (const socket of sockets) socket.destroy();
      await new Promise<void>((resolve) => {
        server.close(() => resolve());
      });
    },
  };
}
