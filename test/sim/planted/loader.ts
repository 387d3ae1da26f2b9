/** Preloaded by planted test processes: plants the bug that PLANT names while its source file is read. */
import { plugin } from "bun";
import { join } from "node:path";
import { PLANTS } from "./plants.ts";

const plant = PLANTS.find(({ name }) => name === process.env["PLANT"]);
if (plant === undefined) throw new Error(`there is no plant ${process.env["PLANT"]}`);
const { name, file, find, replace } = plant;
const target = join(import.meta.dir, "../../..", file);

plugin({
  name,
  setup(build) {
    build.onLoad({ filter: new RegExp(`${file.replaceAll(/[./-]/g, "\\$&")}$`) }, async ({ path }) => {
      const text = await Bun.file(path).text();
      const parts = text.split(find);
      if (path === target && parts.length !== 2) throw new Error(`PLANT DOES NOT APPLY: ${name} in ${file}`);
      return { contents: parts.join(replace), loader: "ts" };
    });
  },
});
