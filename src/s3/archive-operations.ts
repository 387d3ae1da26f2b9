/** GetObject, HeadObject and ListObjectsV2 inside a zip archive. Source: s3-api.md §4.21. */
import { escapeXml } from "../core/xml.ts";
import { bucketOf } from "../object/context.ts";
import { ObjectError } from "../object/errors.ts";
import { openObject } from "../object/get-object.ts";
import type { OpenedObject } from "../object/types.ts";
import { findMember, type ListedMember, listMembers, openMember } from "../object/zip-archive.ts";
import type { Header } from "../sys/http.ts";
import type { AskedArchive } from "./archive-key.ts";
import type { Call } from "./call.ts";
import { contentTypeOf } from "./content-types.ts";
import { readingKeyFrom } from "./encryption-headers.ts";
import { conditionsFrom, httpDate, isoDate, refuseUnsupported, versionIdFrom } from "./headers.ts";
import { WireError } from "./wire-error.ts";

/** One member; its time, versions and conditions are the archive's, and it has no ETag. */
export async function serveMember(
  call: Call,
  { archive, inner }: AskedArchive,
  means: { readonly withBody: boolean; readonly overrideHeaders: (headers: Header[]) => void },
): Promise<null> {
  refuseUnsupported(call);
  if (call.query.has("partNumber"))
    throw new WireError("InvalidPartNumber", "What is inside an archive has no part numbers.");
  if (call.request.headers.has("range"))
    throw new WireError("InvalidRange", "Ranges of what is inside an archive cannot be read.");
  await using opened = await openObject(call.objects, {
    bucket: call.bucket,
    key: archive,
    versionId: versionIdFrom(call.query.get("versionId")),
    customerKey: readingKeyFrom(call),
    conditions: conditionsFrom(call),
  });
  const member = await findMember(opened, inner, call.objects.transforms.members);
  if (member === null) throw new ObjectError("NoSuchKey", "The specified key does not exist.");
  const headers: Header[] = [
    ["Last-Modified", httpDate(opened.info.modTimeNs)],
    ["Content-Type", contentTypeOf(inner)],
  ];
  means.overrideHeaders(headers);
  headers.push(...call.commonHeaders);
  if (!means.withBody) {
    call.response.start(200, headers, member.sizeBytes);
    await call.response.end();
    return null;
  }
  await using content = await openMember(call.objects, opened, member);
  let chunk = await content.next(); // what is broken from the start is an error, not a broken connection
  const sink = call.response.start(200, headers, member.sizeBytes);
  for (; chunk !== null; chunk = await content.next()) await sink.write(chunk);
  await call.response.end();
  return null;
}

export interface MemberPage {
  readonly xml: string;
  readonly count: number;
  readonly isTruncated: boolean;
  /** Where the next page goes on. */
  readonly nextAfter: string;
}

/** As MinIO, an archive that is not there is an empty listing. */
export async function memberPage(
  call: Call,
  { archive, inner }: AskedArchive,
  how: {
    readonly delimiter: string;
    readonly after: string;
    readonly maxKeys: number;
    readonly encode: (text: string) => string;
    readonly ownerXml: string;
  },
): Promise<MemberPage> {
  await bucketOf(call.objects, call.bucket);
  await using opened = await openForListing(call, archive);
  if (opened === null) return { xml: "", count: 0, isTruncated: false, nextAfter: "" };
  const below = `${archive}/`;
  const { members, isTruncated } = await listMembers(opened, {
    prefix: inner,
    delimiter: how.delimiter,
    after: how.after.startsWith(below) ? how.after.slice(below.length) : how.after < below ? "" : AFTER_ALL,
    limit: how.maxKeys,
  });
  const modified = isoDate(opened.info.modTimeNs);
  const nameXml = ({ name }: ListedMember): string => escapeXml(how.encode(below + name));
  const objects = members.filter((member) => member.sizeBytes !== null);
  const prefixes = members.filter((member) => member.sizeBytes === null);
  const xml = objects.map(
    (member) =>
      `<Contents><Key>${nameXml(member)}</Key><LastModified>${modified}</LastModified><ETag></ETag><Size>${member.sizeBytes}</Size>${how.ownerXml}<StorageClass>STANDARD</StorageClass></Contents>`,
  );
  xml.push(...prefixes.map((member) => `<CommonPrefixes><Prefix>${nameXml(member)}</Prefix></CommonPrefixes>`));
  const last = members.at(-1)?.name ?? "";
  return { xml: xml.join(""), count: members.length, isTruncated, nextAfter: below + last };
}

/** After every name. */
const AFTER_ALL = "\u{10ffff}".repeat(4);

async function openForListing(call: Call, archive: string): Promise<OpenedObject | null> {
  const request = { bucket: call.bucket, key: archive, conditions: {} };
  try {
    return await openObject(call.objects, { ...request, customerKey: readingKeyFrom(call) });
  } catch (error) {
    if (error instanceof ObjectError && (error.code === "NoSuchKey" || error.code === "DeleteMarker")) return null;
    throw error;
  }
}
