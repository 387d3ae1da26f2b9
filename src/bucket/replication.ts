/**
 * The replication document: where new versions go. Pure. Destinations are ARNs of remote targets that were registered for the
 * bucket. Source: s3-api.md §4.18.
 */
import { contentOf, allChildren, firstChild, storedDocument, textOf, type XmlElement } from "../core/xml.ts";
import { FormatError } from "../core/format-error.ts";
import { DocumentError, malformed } from "./document-error.ts";

const RULES_MAX = 1000;
const ID_MAX = 255;

/** As it is stored. `known`: ARNs of the bucket's remote targets. */
export function storedReplication(root: XmlElement, known: ReadonlySet<string>): Uint8Array {
  const rules = allChildren(root, "Rule");
  if (rules.length === 0 || rules.length > RULES_MAX) throw malformed(`Between 1 and ${RULES_MAX} rules are needed.`);
  const role = textOf(root, "Role") ?? "";
  const [ids, priorities] = [new Set<string>(), new Set<string>()];
  for (const rule of rules) {
    const id = textOf(rule, "ID") ?? "";
    if (id.length > ID_MAX) throw malformed(`An ID has at most ${ID_MAX} characters.`);
    if (id !== "" && ids.has(id)) throw malformed("Rule ID must be unique.");
    ids.add(id);
    demandStatus(rule, "the rule");
    for (const name of ["DeleteMarkerReplication", "DeleteReplication", "ExistingObjectReplication"]) {
      const part = firstChild(rule, name);
      if (part !== undefined) demandStatus(part, name);
    }
    const priority = textOf(rule, "Priority") ?? "";
    if (priority !== "" && !/^\d{1,9}$/.test(priority)) throw malformed("A priority is a number.");
    if (rules.length > 1 && (priority === "" || priorities.has(priority)))
      throw malformed("Of several rules each needs a priority of its own.");
    priorities.add(priority);
    const bucket = textOf(firstChild(rule, "Destination") ?? rule, "Bucket") ?? "";
    if (bucket === "") throw malformed("A rule has no destination.");
    const arn = role === "" ? bucket : role;
    if (!known.has(arn)) throw new DocumentError("NoSuchRemoteTarget", "The remote target does not exist.", { arn });
  }
  return storedDocument("ReplicationConfiguration", root.children.map(contentOf));
}

function demandStatus(element: XmlElement, what: string): void {
  const status = textOf(element, "Status");
  if (status !== "Enabled" && status !== "Disabled")
    throw malformed(`The status of ${what} must be Enabled or Disabled.`);
}

/** ARNs of the bucket's targets, from the document in the clear. */
export function targetArns(document: Uint8Array): ReadonlySet<string> {
  if (document.length === 0) return new Set();
  const { targets } = parsedTargets(document);
  return new Set((targets ?? []).flatMap(({ arn }) => (arn === undefined ? [] : [arn])));
}

function parsedTargets(document: Uint8Array): { readonly targets?: readonly { readonly arn?: string }[] } {
  try {
    return JSON.parse(new TextDecoder().decode(document)) as ReturnType<typeof parsedTargets>;
  } catch (cause) {
    throw new FormatError("bucket targets: not JSON", { cause });
  }
}
