/** Documents of buckets, damaged in every way: rules or a refusal, and what is stored reads back as the same. */
import { expect } from "bun:test";
import { matchCors, parseCors, parseStoredCors, storedCors } from "../../src/bucket/cors.ts";
import { DocumentError } from "../../src/bucket/document-error.ts";
import { parseStoredLifecycle, storedLifecycle } from "../../src/bucket/lifecycle-document.ts";
import { expiryOf } from "../../src/bucket/lifecycle.ts";
import { storedNotification } from "../../src/bucket/notification.ts";
import { parseLockConfiguration, storedLockConfiguration } from "../../src/bucket/object-lock.ts";
import { storedReplication } from "../../src/bucket/replication.ts";
import { parseWebsite, storedWebsite } from "../../src/bucket/website.ts";
import { FormatError } from "../../src/core/format-error.ts";
import { parseXmlDocument } from "../../src/core/xml.ts";
import { fuzz, samplesOf } from "./fuzz.ts";

const errors = [FormatError, DocumentError];
const words = [
  "<",
  ">",
  "</",
  "&amp;",
  "&#0;",
  "<Rule>",
  "</Rule>",
  "<Days>",
  "0",
  "-1",
  "99999999999",
  "true",
  "Enabled",
  "<And>",
  "<Tag>",
  "*",
  "<!--",
  "]]>",
];

fuzz("lifecycle documents", {
  samples: samplesOf(
    // A blank that is a tag's key: it was trimmed away once, and the rule with it.
    "<LifecycleConfiguration><Rule><Status>Enabled</Status><Filter><Tag><Key>\n</Key><Value>v</Value></Tag></Filter><Expiration><Days>3</Days></Expiration></Rule></LifecycleConfiguration>",
    "<LifecycleConfiguration><Rule><ID>a</ID><Status>Enabled</Status><Filter><And><Prefix>p</Prefix><Tag><Key>k</Key><Value>v</Value></Tag><ObjectSizeGreaterThan>1</ObjectSizeGreaterThan></And></Filter><Expiration><Days>3</Days></Expiration></Rule></LifecycleConfiguration>",
    "<LifecycleConfiguration><Rule><Status>Disabled</Status><Prefix/><NoncurrentVersionExpiration><NoncurrentDays>1</NoncurrentDays><NewerNoncurrentVersions>2</NewerNoncurrentVersions></NoncurrentVersionExpiration><AbortIncompleteMultipartUpload><DaysAfterInitiation>7</DaysAfterInitiation></AbortIncompleteMultipartUpload></Rule></LifecycleConfiguration>",
    "<LifecycleConfiguration><Rule><Status>Enabled</Status><Filter/><Expiration><Date>2030-01-01T00:00:00Z</Date></Expiration></Rule></LifecycleConfiguration>",
  ),
  errors,
  words,
  run(input) {
    let made = 0;
    const stored = storedLifecycle(parseXmlDocument(input, "LifecycleConfiguration"), () => `id-${++made}`, false);
    const rules = parseStoredLifecycle(stored);
    expect(rules.length).toBeGreaterThan(0);
    const again = storedLifecycle(parseXmlDocument(stored, "LifecycleConfiguration"), () => "none", false);
    expect(parseStoredLifecycle(again)).toEqual(rules);
    const due = expiryOf(rules, { key: "p/x", sizeBytes: 5, tags: new Map([["k", "v"]]), modTimeMs: 0 });
    if (due !== null) expect(Number.isFinite(due.atMs)).toBe(true);
  },
});

fuzz("CORS documents", {
  samples: samplesOf(
    "<CORSConfiguration><CORSRule><ID>a</ID><AllowedOrigin>http://*.a</AllowedOrigin><AllowedMethod>GET</AllowedMethod><AllowedHeader>x-*</AllowedHeader><ExposeHeader>ETag</ExposeHeader><MaxAgeSeconds>5</MaxAgeSeconds></CORSRule></CORSConfiguration>",
    "<CORSConfiguration><CORSRule><AllowedOrigin>*</AllowedOrigin><AllowedMethod>PUT</AllowedMethod></CORSRule></CORSConfiguration>",
  ),
  errors,
  words: [...words, "<AllowedOrigin>", "<AllowedMethod>GET</AllowedMethod>"],
  run(input) {
    const rules = parseCors(parseXmlDocument(input, "CORSConfiguration"));
    expect(parseStoredCors(storedCors(rules))).toEqual(rules);
    matchCors(rules, "http://b.a", "GET", ["x-a"]);
  },
});

fuzz("lock, notification, replication and website documents", {
  samples: samplesOf(
    "<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled><Rule><DefaultRetention><Mode>GOVERNANCE</Mode><Days>1</Days></DefaultRetention></Rule></ObjectLockConfiguration>",
    "<NotificationConfiguration><QueueConfiguration><Id>a</Id><Queue>arn</Queue><Event>s3:ObjectCreated:*</Event><Filter><S3Key><FilterRule><Name>prefix</Name><Value>a</Value></FilterRule></S3Key></Filter></QueueConfiguration></NotificationConfiguration>",
    "<ReplicationConfiguration><Role/><Rule><Status>Enabled</Status><Priority>1</Priority><Destination><Bucket>arn</Bucket></Destination></Rule></ReplicationConfiguration>",
    "<WebsiteConfiguration><IndexDocument><Suffix>i</Suffix></IndexDocument><ErrorDocument><Key>e</Key></ErrorDocument><RoutingRules><RoutingRule><Condition><KeyPrefixEquals>a</KeyPrefixEquals></Condition><Redirect><HostName>h</HostName></Redirect></RoutingRule></RoutingRules></WebsiteConfiguration>",
  ),
  errors,
  words,
  run(input) {
    const root = /<(\w+)/.exec(Buffer.from(input).toString("latin1"))?.[1] ?? "";
    const known = new Set(["arn"]);
    const element = parseXmlDocument(input, root);
    if (root.startsWith("Obj")) {
      const parsed = parseLockConfiguration(element);
      expect(
        parseLockConfiguration(parseXmlDocument(storedLockConfiguration(parsed), "ObjectLockConfiguration")),
      ).toEqual(parsed);
    } else if (root.startsWith("N")) {
      const stored = storedNotification(element, known);
      if (stored.length > 0)
        expect(storedNotification(parseXmlDocument(stored, "NotificationConfiguration"), known)).toEqual(stored);
    } else if (root.startsWith("R")) {
      const stored = storedReplication(element, known);
      expect(storedReplication(parseXmlDocument(stored, "ReplicationConfiguration"), known)).toEqual(stored);
    } else if (root.startsWith("W")) {
      const parsed = parseWebsite(element);
      expect(parseWebsite(parseXmlDocument(storedWebsite(element), "WebsiteConfiguration"))).toEqual(parsed);
    }
  },
});
