/** IP addresses and CIDR ranges, v4 and v6, as numbers. A v4 address in v6 form (`::ffff:192.0.2.1`) is the v4 address. */
interface Address {
  readonly bits: 32 | 128;
  readonly value: bigint;
}
export interface IpRange {
  contains(address: string): boolean;
  readonly prefixBits: number;
  readonly bits: 32 | 128;
}

const MAPPED = 0xffffn << 32n;

/** null = not a range. A single address is the range of it alone. */
export function parseIpRange(text: string): IpRange | null {
  const slash = text.indexOf("/");
  const address = parseIp(slash < 0 ? text : text.slice(0, slash));
  if (address === null) return null;
  const suffix = slash < 0 ? String(address.bits) : text.slice(slash + 1);
  const prefixBits = /^\d{1,3}$/.test(suffix) ? Number(suffix) : -1;
  if (prefixBits < 0 || prefixBits > address.bits) return null;
  const { bits } = address;
  const shift = BigInt(bits - prefixBits);
  const network = address.value >> shift;
  return {
    bits,
    prefixBits,
    contains(other) {
      const found = parseIp(other);
      return found !== null && found.bits === bits && found.value >> shift === network;
    },
  };
}

function parseIp(text: string): Address | null {
  if (!text.includes(":")) {
    const value = parseV4(text);
    return value === null ? null : { bits: 32, value };
  }
  const value = parseV6(text);
  if (value === null) return null;
  return value >> 32n === MAPPED >> 32n ? { bits: 32, value: value & 0xffffffffn } : { bits: 128, value };
}

function parseV4(text: string): bigint | null {
  const parts = text.split(".");
  if (parts.length !== 4) return null;
  let value = 0n;
  for (const part of parts) {
    if (!/^\d{1,3}$/.test(part) || Number(part) > 255) return null;
    value = (value << 8n) | BigInt(part);
  }
  return value;
}

function parseV6(text: string): bigint | null {
  if (text.length > 45) return null;
  const halves = text.split("::");
  if (halves.length > 2) return null;
  const head = groupsOf(halves[0] as string);
  const tail = halves.length === 2 ? groupsOf(halves[1] as string) : [];
  if (head === null || tail === null) return null;
  const missing = 8 - head.length - tail.length;
  if (halves.length === 1 ? missing !== 0 : missing < 1) return null;
  let value = 0n;
  for (const group of [...head, ...new Array<number>(missing).fill(0), ...tail]) value = (value << 16n) | BigInt(group);
  return value;
}

function groupsOf(text: string): number[] | null {
  if (text === "") return [];
  const groups: number[] = [];
  const parts = text.split(":");
  for (const [i, part] of parts.entries()) {
    if (i === parts.length - 1 && part.includes(".")) {
      const v4 = parseV4(part);
      if (v4 === null) return null;
      groups.push(Number(v4 >> 16n), Number(v4 & 0xffffn));
    } else if (/^[0-9a-f]{1,4}$/i.test(part)) groups.push(Number.parseInt(part, 16));
    else return null;
  }
  return groups;
}
