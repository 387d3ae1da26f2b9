/** The tags of a bucket as they are stored. Pure. Source: s3-api.md §1.3. */
import { allChildren, firstChild, storedDocument, textOf, type XmlElement } from "../core/xml.ts";
import { malformed } from "./document-error.ts";

const TAGS_MAX = 50;
const KEY_MAX = 128;
const VALUE_MAX = 256;
/** What MinIO takes, on reading too. */
const TEXT = /^[a-zA-Z0-9 +\-=._:/@]*$/;

export function storedTagging(root: XmlElement): Uint8Array {
  const set = firstChild(root, "TagSet");
  const tags = (set === undefined ? [] : allChildren(set, "Tag")).map(
    (tag) => [textOf(tag, "Key") ?? "", textOf(tag, "Value") ?? ""] as const,
  );
  if (set === undefined || tags.length > TAGS_MAX) throw malformed(`A bucket can have at most ${TAGS_MAX} tags.`);
  if (tags.some(([key, value]) => key === "" || key.length > KEY_MAX || value.length > VALUE_MAX))
    throw malformed(`A tag has a key of at most ${KEY_MAX} and a value of at most ${VALUE_MAX} characters.`);
  if (tags.some(([key, value]) => !TEXT.test(key) || !TEXT.test(value)))
    throw malformed("A tag holds characters that tags cannot.");
  if (new Set(tags.map(([key]) => key)).size < tags.length) throw malformed("Each key can be there once.");
  const nodes = tags.map(([key, value]) => ["Tag", [["Key", key] as const, ["Value", value] as const]] as const);
  return storedDocument("Tagging", [["TagSet", nodes]]);
}
