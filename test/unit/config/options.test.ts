/** The option table: precedence, aliases, refusals with the nearest name, the command union, help from the table. */
import { describe, expect, test } from "bun:test";
import { editDistance, nearestName } from "../../../src/config/nearest-name.ts";
import { type Command, helpText, parseCommandLine, type ServerOptions } from "../../../src/config/options.ts";

function serverOptions(flags: readonly string[], env: Record<string, string | undefined> = {}): ServerOptions {
  const command = parseCommandLine(["server", ...flags, "./d1"], env);
  if (command.name !== "server") throw new Error(`not a server: ${JSON.stringify(command)}`);
  return command.options;
}

function refusal(argv: readonly string[], env: Record<string, string | undefined> = {}): string {
  const command = parseCommandLine(argv, env);
  if (command.name !== "error") throw new Error(`accepted: ${JSON.stringify(command)}`);
  return command.message;
}

describe("commands", () => {
  test("server, plan and heal take endpoints as they were typed", () => {
    for (const name of ["server", "plan", "heal"] as const) {
      expect(parseCommandLine([name, "./d{1...4}", "/mnt/x{01...16}"], {})).toMatchObject({
        name,
        endpoints: ["./d{1...4}", "/mnt/x{01...16}"],
      });
    }
  });

  test("flags may stand before the command, between endpoints and after them", () => {
    const command = parseCommandLine(["--json", "server", "a", "--address", ":1", "b", "--quiet"], {});
    expect(command).toMatchObject({
      name: "server",
      endpoints: ["a", "b"],
      options: { json: true, quiet: true, address: { host: "", port: 1 } },
    });
  });

  test("two dashes end the flags", () => {
    expect(parseCommandLine(["server", "--", "--odd"], {})).toMatchObject({ name: "server", endpoints: ["--odd"] });
  });

  test.each([
    [[], "help"],
    [["--help"], "help"],
    [["server", "-h"], "help"],
    [["help", "server"], "help"],
    [["--version"], "version"],
    [["version"], "version"],
    [["codec"], "codec"],
  ] as [string[], Command["name"]][])("%p is %s", (argv, name) => {
    expect(parseCommandLine(argv, {}).name).toBe(name);
  });

  test("MINIO_VOLUMES gives the endpoints when the command line has none", () => {
    expect(parseCommandLine(["server"], { MINIO_VOLUMES: " /d{1...4}  /e{1...4} " })).toMatchObject({
      endpoints: ["/d{1...4}", "/e{1...4}"],
    });
    expect(parseCommandLine(["server", "/x"], { MINIO_VOLUMES: "/y" })).toMatchObject({ endpoints: ["/x"] });
    expect(refusal(["server"])).toContain("needs the drives");
  });

  test("an unknown command names the nearest one", () => {
    expect(refusal(["sever", "./d1"])).toBe('unknown command "sever"; the nearest one is "server"');
  });
});

describe("precedence", () => {
  test("a flag wins over SHERD_, that over MINIO_, that over the default", () => {
    const minio = { MINIO_ADDRESS: ":3" };
    const both = { ...minio, SHERD_ADDRESS: ":2" };
    expect(serverOptions(["--address", ":1"], both).address.port).toBe(1);
    expect(serverOptions([], both).address.port).toBe(2);
    expect(serverOptions([], minio).address.port).toBe(3);
    expect(serverOptions([]).address.port).toBe(9000);
  });

  test("an empty variable counts as not set", () => {
    expect(serverOptions([], { SHERD_ADDRESS: "", MINIO_ADDRESS: ":3" }).address.port).toBe(3);
  });

  test("a switch can be turned off on the command line", () => {
    expect(serverOptions(["--json=off"], { SHERD_JSON: "on" }).json).toBe(false);
  });

  test("the last of two flags counts", () => {
    expect(serverOptions(["--address=:1", "-address", ":2"]).address.port).toBe(2);
  });
});

describe("values", () => {
  test("the defaults", () => {
    expect(serverOptions([])).toEqual({
      address: { host: "", port: 9000 },
      consoleAddress: null,
      certsDir: null,
      json: false,
      quiet: false,
      allowRootDrive: false,
      rootUser: "minioadmin",
      rootPassword: "minioadmin",
      domains: [],
      websiteDomains: [],
      region: "",
      defaultChecksum: true,
      objectOwnership: "BucketOwnerEnforced",
      signatureV2: true,
      corsOrigins: ["*"],
      standardClass: "",
      reducedClass: "",
      storageClassOptimize: "availability",
      inlineBlockBytes: null,
      setDriveCount: 0,
      codecThreads: 0,
      codecTier: "auto",
      metricsAuth: "jwt",
      scanSpeed: "default",
      scanIntervalMs: 3_600_000,
      scanGraceMs: 86_400_000,
      scrubDays: 30,
      scrubBytesPerSecond: null,
      staleUploadMs: 86_400_000,
      restore: null,
      drop: null,
      kmsSecretKey: null,
      kmsAutoEncryption: false,
      compressionEnable: false,
      compressionExtensions: [".txt", ".log", ".csv", ".json", ".tar", ".xml", ".bin"],
      compressionTypes: ["text/*", "application/json", "application/xml", "binary/octet-stream"],
      compressionEncrypted: false,
      kesEndpoint: null,
      kesKeyName: null,
      kesApiKey: null,
      kesCertFile: null,
      kesKeyFile: null,
      kesCaPath: null,
      vaultEndpoint: null,
      vaultToken: null,
      vaultKeyName: null,
      vaultMount: "transit",
      vaultCaPath: null,
      connectionsMax: 16_384,
      headerMs: 30_000,
      idleMs: 75_000,
      bodyIdleMs: 60_000,
      drainTimeoutMs: 30_000,
      logSizeBytes: 67_108_864,
      applyAfterMs: 60_000,
      dryRun: false,
      rootIsDefault: true,
      ignoredEnvironment: [],
      identityEnvironment: new Map(),
    });
  });

  test("MinIO's environment is understood", () => {
    const options = serverOptions(["--console-address", ":9001", "-S", "/certs"], {
      MINIO_ROOT_USER: "root-s4",
      MINIO_ROOT_PASSWORD: "root-secret-s4",
      MINIO_STORAGE_CLASS_STANDARD: "EC:4",
      MINIO_STORAGE_CLASS_RRS: "EC:1",
      MINIO_STORAGE_CLASS_INLINE_BLOCK: "64KiB",
      MINIO_ERASURE_SET_DRIVE_COUNT: "4",
      MINIO_DOMAIN: "s3.example.org, Files.example.net",
      MINIO_REGION: "eu-west-1",
      MINIO_PROMETHEUS_AUTH_TYPE: "public",
      MINIO_CI_CD: "1",
      MINIO_BROWSER: "off",
    });
    expect(options).toMatchObject({
      consoleAddress: { host: "", port: 9001 },
      certsDir: "/certs",
      rootUser: "root-s4",
      rootPassword: "root-secret-s4",
      rootIsDefault: false,
      standardClass: "EC:4",
      reducedClass: "EC:1",
      inlineBlockBytes: 65_536,
      setDriveCount: 4,
      domains: ["s3.example.org", "files.example.net"],
      region: "eu-west-1",
      metricsAuth: "public",
      allowRootDrive: true,
      ignoredEnvironment: [],
    });
  });

  test.each([
    [":0", "", 0],
    ["127.0.0.1:9000", "127.0.0.1", 9000],
    ["[::1]:65535", "::1", 65_535],
    ["localhost:80", "localhost", 80],
  ])("the address %s", (text, host, port) => {
    expect(serverOptions(["--address", text]).address).toEqual({ host, port });
  });

  test("the size of the commit logs", () => {
    expect(serverOptions(["--log-size", "1GiB"]).logSizeBytes).toBe(2 ** 30);
    expect(serverOptions([], { SHERD_LOG_SIZE: "100MB" }).logSizeBytes).toBe(100_000_000);
  });

  test.each([
    ["1m30s", 90_000],
    ["500ms", 500],
    ["1h", 3_600_000],
  ])("the duration %s", (text, ms) => {
    expect(serverOptions(["--shutdown-timeout", text]).drainTimeoutMs).toBe(ms);
  });

  test.each([
    ["--address", "9000", "expected HOST:PORT"],
    ["--address", ":65536", "expected HOST:PORT"],
    ["--json=maybe", null, "expected on or off"],
    ["--codec-tier", "sse9", "expected auto, portable, avx2, avx512 or neon"],
    ["--codec-threads", "-1", "expected a whole number from 0 to 256"],
    ["--shutdown-timeout", "30", "expected a duration"],
    ["--log-size", "32MiB", "expected a size from 48MiB to 4GiB"],
    ["--log-size", "5GiB", "expected a size from 48MiB to 4GiB"],
    ["--log-size", "much", "expected a size from 48MiB to 4GiB"],
  ])("%s %s is refused: %s", (flag, value, message) => {
    expect(refusal(["server", flag, ...(value === null ? [] : [value]), "./d1"])).toContain(message);
  });

  test.each([
    ["MINIO_STORAGE_CLASS_STANDARD", "4", "expected EC:PARITY"],
    ["MINIO_STORAGE_CLASS_RRS", "EC:x", "expected EC:PARITY"],
    ["MINIO_DOMAIN", "a.example.org,example.org", "none a suffix of another"],
    ["SHERD_ERASURE_SET_DRIVE_COUNT", "17", "from 0 to 16"],
  ])("%s=%s is refused, naming the variable", (name, value, message) => {
    const said = refusal(["server", "./d1"], { [name]: value });
    expect(said).toStartWith(`${name} "${value}": `);
    expect(said).toContain(message);
  });
});

describe("refusals", () => {
  test("an unknown flag names the nearest one", () => {
    expect(refusal(["server", "--adress", ":1", "./d1"])).toBe("unknown flag --adress; the nearest one is --address");
  });

  test("an unknown SHERD_ variable names the nearest one", () => {
    expect(refusal(["server", "./d1"], { SHERD_ROOT_PASWORD: "x" })).toBe(
      "unknown environment variable SHERD_ROOT_PASWORD; the nearest one is SHERD_ROOT_PASSWORD",
    );
  });

  test("an unknown MINIO_ variable is reported as having no effect", () => {
    const options = serverOptions([], { MINIO_ETCD_ENDPOINTS: "e", MINIO_NOTIFY_WEBHOOK_ENABLE_T1: "on", HOME: "/" });
    expect(options.ignoredEnvironment).toEqual(["MINIO_ETCD_ENDPOINTS", "MINIO_NOTIFY_WEBHOOK_ENABLE_T1"]);
  });

  test("what Kubernetes sets for a service called sherd is no option", () => {
    expect(serverOptions([], { SHERD_SERVICE_HOST: "10.0.0.1", SHERD_PORT: "tcp://10.0.0.1:9000" }).address.port).toBe(
      9000,
    );
  });

  test("a flag without its value says which value", () => {
    expect(refusal(["server", "./d1", "--address"])).toBe("--address needs a value: HOST:PORT");
  });

  test("half of the root credentials is refused, and the secret is never repeated", () => {
    expect(refusal(["server", "./d1"], { SHERD_ROOT_USER: "someone" })).toContain("set SHERD_ROOT_PASSWORD too");
    const short = refusal(["server", "./d1"], { SHERD_ROOT_USER: "someone", SHERD_ROOT_PASSWORD: "shorty" });
    expect(short).toContain("at least 8 characters");
    expect(short).not.toContain("shorty");
  });

  test("root credentials are no flags", () => {
    expect(refusal(["server", "--root-password", "x", "./d1"])).toStartWith("unknown flag --root-password");
  });
});

describe("help", () => {
  test("shows every flag, every variable and every command, and no secret", () => {
    const text = helpText();
    for (const word of [
      "--address HOST:PORT",
      "--certs-dir DIR",
      "SHERD_ROOT_USER",
      "SHERD_DOMAIN",
      "plan",
      "codec",
      "heal",
    ]) {
      expect(text).toContain(word);
    }
    expect(text.split("\n").filter((line) => line.length > 160)).toEqual([]);
  });
});

describe("the nearest name", () => {
  test("has the smallest edit distance", () => {
    expect(editDistance("kitten", "sitting")).toBe(3);
    expect(editDistance("", "abc")).toBe(3);
    expect(nearestName("jsn", ["quiet", "json"])).toBe("json");
    expect(nearestName("x", [])).toBeNull();
  });
});
