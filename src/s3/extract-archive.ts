/**
 * PutObject of an archive that is to be extracted ("snowball"): each file of the tar becomes an object, as it arrives. Members
 * that were stored stay when a later one cannot be: the answer says so. Source: s3-api.md §4.22.
 */
import { NO_LOCK } from "../bucket/object-lock.ts";
import { DIGEST, Digest } from "../codec/checksum.ts";
import { OperatingError } from "../core/errors.ts";
import { headBucket } from "../object/buckets.ts";
import { checkKey } from "../object/names.ts";
import { putObject as put } from "../object/put-object.ts";
import type { Encryption, ObjectBody } from "../object/types.ts";
import { unpackStream } from "../object/unpack-stream.ts";
import { aclOfNewVersion } from "./acl-operations.ts";
import { onObject } from "./authorize.ts";
import { type Call, type Reply, reply } from "./call.ts";
import { encryptionFrom } from "./encryption-headers.ts";
import { memberMetadata, quoted, refuseUnsupported, storageClassFrom } from "./headers.ts";
import { putObject } from "./object-operations.ts";
import { requestBody } from "./request-body.ts";
import { type TarMember, TarReader } from "./tar.ts";
import { WireError } from "./wire-error.ts";

const OPTION = "x-amz-meta-minio-snowball-";
const METADATA_RECORD = "minio.metadata.";

export async function extractArchive(call: Call): Promise<Reply> {
  if (call.parameter("x-amz-meta-snowball-auto-extract")?.toLowerCase() !== "true") return await putObject(call);
  refuseUnsupported(call);
  await headBucket(call.objects, call.bucket);
  const body = requestBody(call);
  const digest = new Digest(call.codec, body.digests | DIGEST.md5);
  const hashed = {
    async next() {
      const chunk = await body.next();
      if (chunk !== null && chunk.length > 0) digest.update(chunk);
      return chunk;
    },
  };
  const isOn = (name: string): boolean => call.parameter(OPTION + name)?.toLowerCase() === "true";
  const options = {
    prefix: (call.parameter(`${OPTION}prefix`) ?? "").replace(/^\/+|\/+$/g, ""),
    ignoreDirs: isOn("ignore-dirs"),
    ignoreErrors: isOn("ignore-errors"),
    storageClass: storageClassFrom(call) ?? "STANDARD",
    encryption: encryptionFrom(call),
  };
  {
    await using content = await unpackStream(call.objects, hashed, broken);
    await extractAll(call, new TarReader(content), options);
    for (let rest = await content.next(); rest !== null; ) rest = await content.next(); // blocks of zeros
  }
  for (let rest = await hashed.next(); rest !== null; ) rest = await hashed.next();
  const digests = digest.final();
  body.verify(digests);
  return reply(200, { ETag: quoted(Buffer.from(digests.md5).toString("hex")) });
}

function broken(cause: unknown): WireError {
  return new WireError("BadRequest", "The archive cannot be decompressed.", {}, { cause });
}

interface Options {
  readonly prefix: string;
  readonly ignoreDirs: boolean;
  readonly ignoreErrors: boolean;
  readonly storageClass: string;
  /** Of every member; undefined = as the bucket says. */
  readonly encryption: Encryption | undefined;
}

async function extractAll(call: Call, archive: TarReader, options: Options): Promise<void> {
  for (let member = await archive.next(); member !== null; member = await archive.next()) {
    if (!(member.isFile || (member.isDirectory && !options.ignoreDirs))) continue;
    if (/^(\.\/)*\.?$/.test(member.name)) continue; // the folder that was packed
    try {
      await store(call, member, options);
    } catch (error) {
      if (!options.ignoreErrors || !(error instanceof OperatingError)) throw error;
    }
  }
}

async function store(call: Call, member: TarMember, options: Options): Promise<void> {
  const key = keyOf(member, options.prefix);
  checkKey(key);
  await call.access.demand(onObject("s3:PutObject", call.bucket, key));
  const fields = new Map(
    [...member.records]
      .filter(([name]) => name.startsWith(METADATA_RECORD))
      .map(([name, value]) => [name.slice(METADATA_RECORD.length).toLowerCase(), value] as const),
  );
  await put(call.objects, {
    bucket: call.bucket,
    key,
    signal: call.request.signal,
    body: bodyOf(member),
    conditions: {},
    metadata: memberMetadata(fields),
    tagging: "",
    storageClass: options.storageClass,
    encryption: options.encryption,
    lock: NO_LOCK,
    internal: await aclOfNewVersion(call),
    ...(member.modTimeMs > 0 ? { modTimeNs: BigInt(member.modTimeMs) * 1_000_000n } : {}),
  });
}

/** What leads out of the archive is refused, never tidied up. */
function keyOf(member: TarMember, prefix: string): string {
  const name = member.name.replace(/^(\.\/)+/, "").replace(/\/+$/, "");
  const segments = name.split("/");
  if (name.startsWith("/") || name.includes("\\") || segments.some((s) => s === "" || s === "." || s === ".."))
    throw new WireError("XMinioInvalidObjectName", "A name in the archive leads out of it or is none.");
  return `${prefix === "" ? "" : `${prefix}/`}${name}${member.isDirectory ? "/" : ""}`;
}

function bodyOf(member: TarMember): ObjectBody {
  return {
    sizeBytes: member.isDirectory ? 0 : member.sizeBytes,
    digests: 0,
    declares: null,
    next: () => (member.isDirectory ? Promise.resolve(null) : member.content.next()),
    verify: () => undefined,
    checksum: () => null,
  };
}
