/** What somebody types: endpoints with ellipses, options, storage classes. Refused with words, never a crash, never huge. */
import { expect } from "bun:test";
import { EndpointsError, layoutPools } from "../../src/config/endpoints.ts";
import { parseCommandLine } from "../../src/config/options.ts";
import { parseStorageClass, StorageClassError } from "../../src/config/storage-class.ts";
import { fuzz, latin1, samplesOf } from "./fuzz.ts";

fuzz("endpoints with ellipses", {
  samples: samplesOf(
    "/mnt/drive{1...4}",
    "d{01...16}/e{a...f}",
    "/a /b /c /d",
    "http://host{1...4}:9000/d{1...8}",
    "{0...ff}",
  ),
  errors: [EndpointsError],
  words: [
    "{",
    "}",
    "...",
    "{1...4}",
    "{1...99999999}",
    "{a...z}",
    "{ffffffffffff...0}",
    "{4...1}",
    "{0...0}",
    " ",
    "//",
    "../",
  ],
  run(bytes) {
    for (const { sets } of layoutPools(latin1(bytes).split(" ")) as readonly { readonly sets?: readonly unknown[] }[])
      expect(sets?.length ?? 1).toBeLessThanOrEqual(1 << 16);
  },
});

fuzz("options", {
  samples: samplesOf(
    "server --address :9000 --json d{1...4}",
    "server --quiet --certs-dir /x /a /b /c /d",
    "plan d{1...4}",
    "codec",
    "--help",
  ),
  errors: [],
  words: [
    "--",
    "--address",
    "=",
    ":",
    ":99999",
    "[::1]:1",
    "\0SHERD_ADDRESS=:1",
    "\0MINIO_X=1",
    "\0SHERD_UNKNOWN=1",
    " ",
    "--json=maybe",
  ],
  run(bytes) {
    const [line = "", ...variables] = latin1(bytes).split("\0");
    const env = Object.fromEntries(
      variables.map((text) => [text.split("=")[0] ?? "", text.split("=").slice(1).join("=")]),
    );
    const command = parseCommandLine(
      line.split(" ").filter((word) => word !== ""),
      env,
    );
    if (command.name === "error") expect(command.message.length).toBeGreaterThan(0);
  },
});

fuzz("storage classes", {
  samples: samplesOf("EC:2", "EC:16", ""),
  errors: [StorageClassError],
  words: ["EC:", "-1", "1.5", "1e1", " "],
  run(bytes) {
    const parity = parseStorageClass(latin1(bytes));
    expect(Number.isInteger(parity) && parity >= 0).toBe(true);
  },
});
