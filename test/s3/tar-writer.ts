/** Tar archives for tests: ustar members and PAX records. Written apart from src. */
export interface Member {
  readonly name: string;
  readonly content?: string | Uint8Array;
  readonly type?: string;
  readonly records?: Readonly<Record<string, string>>;
  readonly modTimeS?: number;
}

function header(name: string, size: number, type: string, modTimeS: number): Buffer {
  const block = Buffer.alloc(512);
  block.write(name.slice(0, 100), 0, "utf8");
  block.write("0000644\0", 100);
  block.write(`${size.toString(8).padStart(11, "0")}\0`, 124);
  block.write(`${modTimeS.toString(8).padStart(11, "0")}\0`, 136);
  block.write("        ", 148);
  block.write(type, 156);
  block.write("ustar\x0000", 257, "latin1");
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148);
  return block;
}

function padded(content: Uint8Array): Buffer {
  return Buffer.concat([content, Buffer.alloc((512 - (content.length % 512)) % 512)]);
}

export function tarOf(members: readonly Member[]): Buffer {
  const pieces: Buffer[] = [];
  for (const { name, content = "", type = "0", records, modTimeS = 1_700_000_000 } of members) {
    const bytes = Buffer.from(content);
    if (records !== undefined) {
      const text = Object.entries(records).map(([key, value]) => {
        const rest = ` ${key}=${value}\n`;
        let length = Buffer.byteLength(rest) + 1;
        while (String(length).length + Buffer.byteLength(rest) !== length) length++;
        return `${length}${rest}`;
      });
      const pax = Buffer.from(text.join(""));
      pieces.push(header("pax", pax.length, "x", 0), padded(pax));
    }
    pieces.push(header(name, bytes.length, type, modTimeS), padded(bytes));
  }
  return Buffer.concat([...pieces, Buffer.alloc(1024)]);
}
