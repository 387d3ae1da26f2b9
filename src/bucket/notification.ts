/**
 * The notification document: queues that are told of events. Pure. Targets are named by ARNs that the server must know;
 * topics and functions are AWS's own. Source: s3-api.md §4.16.
 */
import { allChildren, firstChild, storedDocument, textOf, type XmlContent, type XmlElement } from "../core/xml.ts";
import { DocumentError, malformed } from "./document-error.ts";

const QUEUES_MAX = 100;
const VALUE_BYTES_MAX = 1024;
const EVENTS: ReadonlySet<string> = new Set(
  [
    ["ObjectCreated", "* Put Post Copy CompleteMultipartUpload PutRetention PutLegalHold PutTagging DeleteTagging"],
    ["ObjectAccessed", "* Get Head GetRetention GetLegalHold Attributes"],
    ["ObjectRemoved", "* Delete DeleteMarkerCreated NoOP DeleteAllVersions"],
    ["LifecycleDelMarkerExpiration", "Delete"],
    [
      "Replication",
      "* OperationFailedReplication OperationCompletedReplication OperationNotTracked OperationMissedThreshold OperationReplicatedAfterThreshold",
    ],
    ["ObjectRestore", "* Post Completed"],
    ["ObjectTransition", "* Failed Complete"],
    ["Scanner", "ManyVersions LargeVersions BigPrefix"],
    ["BucketCreated", "*"],
    ["BucketRemoved", "*"],
  ].flatMap(([group, names]) => (names as string).split(" ").map((name) => `s3:${group}:${name}`)),
);

interface Queue {
  readonly id: string;
  readonly arn: string;
  readonly events: readonly string[];
  readonly prefix: string;
  readonly suffix: string;
}

/** As it is stored; empty = nothing is to be told any more. */
export function storedNotification(root: XmlElement, known: ReadonlySet<string>): Uint8Array {
  for (const name of ["TopicConfiguration", "CloudFunctionConfiguration", "LambdaFunctionConfiguration"])
    if (firstChild(root, name) !== undefined)
      throw new DocumentError(
        "UnsupportedNotification",
        "MinIO server does not support Topic or Cloud Function based notifications.",
      );
  const queues = allChildren(root, "QueueConfiguration").map(queueOf);
  if (queues.length > QUEUES_MAX) throw malformed(`There are more than ${QUEUES_MAX} queues.`);
  if (queues.length === 0) return new Uint8Array(0);
  for (const { arn } of queues)
    if (!known.has(arn))
      throw new DocumentError(
        "InvalidArgument",
        "A specified destination ARN does not exist or is not well-formed. Verify the destination ARN.",
        { arn },
      );
  demandDisjoint(queues);
  return storedDocument("NotificationConfiguration", queues.map(nodeOf));
}

function queueOf(element: XmlElement): Queue {
  const arn = textOf(element, "Queue") ?? "";
  const events = allChildren(element, "Event").map((e) => e.text.trim());
  if (events.length === 0) throw malformed("A queue is to be told of no event.");
  for (const event of events)
    if (!EVENTS.has(event))
      throw new DocumentError("InvalidArgument", "A specified event is not supported for notifications.", { event });
  if (new Set(events).size < events.length) throw new DocumentError("InvalidArgument", "An event is named twice.");
  return { id: textOf(element, "Id") ?? "", arn, events, ...filterOf(element) };
}

function filterOf(element: XmlElement): { prefix: string; suffix: string } {
  const found = { prefix: "", suffix: "" };
  const seen = new Set<string>();
  const key = firstChild(firstChild(element, "Filter") ?? element, "S3Key");
  for (const rule of key === undefined ? [] : allChildren(key, "FilterRule")) {
    const name = (textOf(rule, "Name") ?? "").toLowerCase();
    const value = firstChild(rule, "Value")?.text ?? "";
    if (name !== "prefix" && name !== "suffix")
      throw new DocumentError("InvalidArgument", "filter rule name must be either prefix or suffix");
    if (seen.has(name))
      throw new DocumentError("InvalidArgument", `Cannot specify more than one ${name} rule in a filter.`);
    if (Buffer.byteLength(value) > VALUE_BYTES_MAX)
      throw new DocumentError(
        "InvalidArgument",
        "Size of filter rule value cannot exceed 1024 bytes in UTF-8 representation",
      );
    seen.add(name);
    found[name] = value;
  }
  return found;
}

/** An event of one key must not be told twice. */
function demandDisjoint(queues: readonly Queue[]): void {
  for (const [i, a] of queues.entries())
    for (const b of queues.slice(0, i)) {
      const same = a.events.some((event) => b.events.some((other) => covers(event, other) || covers(other, event)));
      const prefixes = a.prefix.startsWith(b.prefix) || b.prefix.startsWith(a.prefix);
      const suffixes = a.suffix.endsWith(b.suffix) || b.suffix.endsWith(a.suffix);
      if (same && prefixes && suffixes)
        throw new DocumentError(
          "InvalidArgument",
          "An object key name filtering rule defined with overlapping prefixes, overlapping suffixes, or overlapping combinations of prefixes and suffixes for the same event types.",
        );
    }
}

function covers(pattern: string, event: string): boolean {
  return pattern === event || (pattern.endsWith("*") && event.startsWith(pattern.slice(0, -1)));
}

function nodeOf(queue: Queue): XmlContent {
  const rules = (["prefix", "suffix"] as const)
    .filter((name) => queue[name] !== "")
    .map(
      (name): XmlContent => [
        "FilterRule",
        [
          ["Name", name],
          ["Value", queue[name]],
        ],
      ],
    );
  return [
    "QueueConfiguration",
    [
      ["Id", queue.id],
      rules.length === 0 ? null : ["Filter", [["S3Key", rules]]],
      ...queue.events.map((event): XmlContent => ["Event", event]),
      ["Queue", queue.arn],
    ],
  ];
}
