#!/usr/bin/env python3
"""Drives go from one server to the other and back: what sherd wrote, MinIO shows, and the other way round.

    MINIO=/path/to/minio [SHERD_BIN=dist/sherd] python3 test/compat/both-ways.py [TOPOLOGY…]

For each topology and each of the two as the first writer: the first writes objects of every kind, the second shows exactly
the same, overwrites and deletes some and adds its own, and the first shows that. Everything that a client can see is compared:
listings of versions, content, ranges, headers, tags, checksums, parts, uploads in progress, encryption. Then both write the same requests on
drives of their own, and the decoded xl.meta of the two are compared but for times, ids and signatures (xl-meta-shape.ts).
Needs boto3 and, for the last part, bun in PATH. By hand, not in CI: no MinIO is installed there. Last line: the counts.
"""
import base64
import hashlib
import json
import os
import random
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.request
import warnings

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

os.environ["BOTO_EXPERIMENTAL__NO_EMPTY_CONTINUE_HEADER"] = "1"  # or boto3 misreads the answer after an empty body
HERE = os.path.dirname(os.path.abspath(__file__))
USER, SECRET = "both-ways", "both-ways-secret"
KIB, MIB = 1024, 1024 * 1024
TOPOLOGIES = {
    "one": (["d1"], {}),
    "four": (["d{1...4}"], {}),
    "sixteen": (["d{1...16}"], {}),
    "two-sets": (["d{1...8}"], {"MINIO_ERASURE_SET_DRIVE_COUNT": "4"}),
    "two-pools": (["p1d{1...4}", "p2d{1...4}"], {}),
    # Over TLS, which both demand for SSE-C; what is compressed differs in bytes, so its xl.meta are not compared.
    "protected": (["d{1...4}"], {"MINIO_KMS_SECRET_KEY": "my-key:QaL+NF7RZ6QIBzS1WPIyovH3AwsdwjQRFQiJmRstrGU=",
                                 "MINIO_COMPRESSION_ENABLE": "on", "MINIO_COMPRESSION_EXTENSIONS": ".txt",
                                 "MINIO_COMPRESSION_MIME_TYPES": "text/*", "MINIO_COMPRESSION_ALLOW_ENCRYPTION": "on"}),
}
CUSTOMER_KEY = "a key of a client, of 32 letters!"[:32]
PROTECTIONS = {"sse-s3": {"ServerSideEncryption": "AES256"}, "sse-kms": {"ServerSideEncryption": "aws:kms"},
               "sse-kms-context": {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": "my-key",
                                   "SSEKMSEncryptionContext": base64.b64encode(b'{"b":"2","a":"<1>"}').decode()},
               "sse-c": {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": CUSTOMER_KEY}, "clear": {}}
SIZES = [0, 1, 999, 16 * KIB, 16 * KIB + 1, 128 * KIB - 1, 128 * KIB, 128 * KIB + 1, 256 * KIB, 256 * KIB + 1,
         384 * KIB + 7, MIB - 1, MIB, MIB + 1, 2 * MIB + 17, 10 * MIB, 5_000_003]
try:
    import awscrt  # noqa: F401  boto3 computes these two with it only
    ALGORITHMS = ("CRC32", "CRC32C", "SHA1", "SHA256", "CRC64NVME")
except ImportError:
    ALGORITHMS = ("CRC32", "SHA1", "SHA256")
passed, failed = 0, 0


def check(where, expected, found):
    global passed, failed
    if expected == found:
        passed += 1
        return
    failed += 1
    print(f"FAIL {where}:", flush=True)
    for path, one, other in list(differences(expected, found, ""))[:6]:
        print(f"     {path or 'it'}: expected {one!r:.200}, found {other!r:.200}", flush=True)


def differences(one, other, path):
    """The leaves that differ."""
    if isinstance(one, dict) and isinstance(other, dict):
        for name in sorted(one.keys() | other.keys()):
            yield from differences(one.get(name, "nothing"), other.get(name, "nothing"), f"{path}.{name}")
    elif isinstance(one, (list, tuple)) and isinstance(other, (list, tuple)) and len(one) == len(other):
        for at, (a, b) in enumerate(zip(one, other)):
            yield from differences(a, b, f"{path}[{at}]")
    elif one != other:
        yield path, one, other


def certificates(folder):
    certs = os.path.join(folder, "certs")
    if not os.path.isdir(certs):
        os.makedirs(certs)
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
                        "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", f"{certs}/private.key",
                        "-out", f"{certs}/public.crt"], check=True, capture_output=True)
    return certs


class Server:
    def __init__(self, kind, folder, topology):
        args, env = TOPOLOGIES[topology]
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        binary = os.environ["MINIO"] if kind == "minio" else os.environ.get("SHERD_BIN", f"{HERE}/../../dist/sherd")
        # MinIO takes a single folder only by its path; ellipses it expands itself.
        tls = ["--certs-dir", certificates(folder)] if topology == "protected" else []
        command = [os.path.abspath(binary), "server", "--address", f"127.0.0.1:{port}", *tls,
                   *[os.path.join(folder, a) for a in args]]
        own = {**os.environ, **env, "MINIO_ROOT_USER": USER, "MINIO_ROOT_PASSWORD": SECRET, "MINIO_CI_CD": "1",
               "SHERD_DEFAULT_CHECKSUM": "off", "MINIO_BROWSER": "off", "MINIO_UPDATE": "off", "HOME": folder}
        self.log = open(os.path.join(folder, f"{kind}.log"), "a")
        self.process = subprocess.Popen(command, cwd=folder, env=own, stdout=self.log, stderr=self.log)
        self.endpoint = f"http{'s' if tls else ''}://127.0.0.1:{port}"
        self.kind = kind
        until = time.monotonic() + 40
        while not self.ready():
            if self.process.poll() is not None or time.monotonic() > until:
                sys.exit(f"{kind} did not start; see {self.log.name}")
            time.sleep(0.1)
        self.s3 = boto3.client("s3", endpoint_url=self.endpoint, aws_access_key_id=USER, aws_secret_access_key=SECRET,
                               region_name="us-east-1", verify=False,
                               config=Config(retries={"max_attempts": 1}, s3={"addressing_style": "path"},
                                             request_checksum_calculation="when_required",
                                             response_checksum_validation="when_required"))

    def ready(self):
        try:
            return urllib.request.urlopen(f"{self.endpoint}/minio/health/cluster", timeout=2,
                                          context=ssl._create_unverified_context()).status == 200
        except OSError:
            return False

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(40)
        except subprocess.TimeoutExpired:
            self.process.kill()
        self.log.close()


def content(name, size):
    return random.Random(name).randbytes(size)


def own_key(key):
    """What every request about an object with SSE-C must bring."""
    return PROTECTIONS["sse-c"] if key.startswith("sse-c/") else {}


def lines(name, size):
    text = "".join(f"{name}: line {i} that is much like the others {i * i % 89}\n" for i in range(size // 30 + 1))
    return text.encode()[:size]


def write_protected(s3, bucket, who):
    for kind, how in PROTECTIONS.items():
        for size in (0, 1, 1000, 4097, 64 * KIB - 1, 64 * KIB, 64 * KIB + 1, 600_000, MIB, MIB + 1, 9 * MIB + 17):
            s3.put_object(Bucket=bucket, Key=f"{kind}/{size}", Body=content(f"{who}{size}", size), **how)
            s3.put_object(Bucket=bucket, Key=f"{kind}/{size}.txt", Body=lines(who, size), **how)
        s3.put_object(Bucket=bucket, Key=f"{kind}/sum", Body=content("sum", 100_000), ChecksumAlgorithm="SHA256", **how)
        for name in ("multi", "multi.txt"):
            put_multipart(s3, bucket, f"{kind}/{name}", [5 * MIB, 5 * MIB + 1, 70_000], **how)
        source = {f"CopySource{name}": value for name, value in how.items() if name.startswith("SSECustomer")}
        for other, target in PROTECTIONS.items():
            if kind == "sse-kms-context" and other in ("sse-kms", "clear"):
                continue  # MinIO leaves the source's context in the copy, and then cannot read it
            s3.copy_object(Bucket=bucket, Key=f"{other}/from-{kind}", CopySource={"Bucket": bucket, "Key": f"{kind}/600000"},
                           **source, **target)


def put_multipart(s3, bucket, key, sizes, **extra):
    upload = s3.create_multipart_upload(Bucket=bucket, Key=key, **extra)["UploadId"]
    algorithm = extra.get("ChecksumAlgorithm")
    parts = []
    for number, size in enumerate(sizes, 1):
        checks = {"ChecksumAlgorithm": algorithm} if algorithm else {}
        done = s3.upload_part(Bucket=bucket, Key=key, UploadId=upload, PartNumber=number,
                              Body=content(f"{key}{number}", size), **checks, **own_key(key))
        part = {"PartNumber": number, "ETag": done["ETag"]}
        if algorithm:
            part[f"Checksum{algorithm}"] = done[f"Checksum{algorithm}"]
        parts.append(part)
    s3.complete_multipart_upload(Bucket=bucket, Key=key, UploadId=upload, MultipartUpload={"Parts": parts})


def write_all(s3, who, is_protected=False):
    for bucket in ("plain", "versioned"):
        s3.create_bucket(Bucket=bucket)
    if is_protected:
        write_protected(s3, "plain", who)
        s3.create_bucket(Bucket="encrypted")
        rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": "my-key"}}
        s3.put_bucket_encryption(Bucket="encrypted", ServerSideEncryptionConfiguration={"Rules": [rule]})
        s3.put_object(Bucket="encrypted", Key="by-default", Body=content("default", 200_000))
    s3.put_bucket_versioning(Bucket="versioned", VersioningConfiguration={"Status": "Enabled"})
    for bucket in ("plain", "versioned"):
        for size in SIZES:
            s3.put_object(Bucket=bucket, Key=f"size/{size}", Body=content(f"{who}{size}", size))
    write_kinds(s3, "plain", who)
    write_kinds(s3, "versioned", who)
    for turn in range(3):
        s3.put_object(Bucket="versioned", Key="thrice", Body=content(f"{who}thrice{turn}", 1 + turn * 400_000))
    s3.delete_object(Bucket="versioned", Key="thrice")
    s3.put_object(Bucket="versioned", Key="middle", Body=b"1")
    middle = s3.put_object(Bucket="versioned", Key="middle", Body=content("m", 900_000))["VersionId"]
    s3.put_object(Bucket="versioned", Key="middle", Body=b"3")
    s3.delete_object(Bucket="versioned", Key="middle", VersionId=middle)
    s3.delete_object(Bucket="versioned", Key="never-was")
    s3.put_object(Bucket="plain", Key="gone", Body=content("gone", 3 * MIB))
    s3.delete_object(Bucket="plain", Key="gone")
    s3.create_bucket(Bucket="suspended")
    s3.put_object(Bucket="suspended", Key="k", Body=b"before")
    s3.put_bucket_versioning(Bucket="suspended", VersioningConfiguration={"Status": "Enabled"})
    s3.put_object(Bucket="suspended", Key="k", Body=content("enabled", 300_000))
    s3.put_bucket_versioning(Bucket="suspended", VersioningConfiguration={"Status": "Suspended"})
    s3.put_object(Bucket="suspended", Key="k", Body=b"null again")
    s3.put_object(Bucket="suspended", Key="d", Body=b"x")
    s3.delete_object(Bucket="suspended", Key="d")


def write_kinds(s3, bucket, who):
    s3.put_object(Bucket=bucket, Key="headers", Body=b"h", ContentType="text/x-odd", CacheControl="no-cache",
                  ContentEncoding="identity", ContentLanguage="de", ContentDisposition='attachment; filename="a b"',
                  Metadata={"Upper-Case": "value", "utf": "plain", "who": who})
    s3.put_object(Bucket=bucket, Key="tagged", Body=content("tagged", 200_000), Tagging="a=1&b=two%20words")
    s3.put_object_tagging(Bucket=bucket, Key="tagged", Tagging={"TagSet": [{"Key": "c", "Value": "3"}]})
    s3.put_object(Bucket=bucket, Key="reduced", Body=content("rrs", 700_000), StorageClass="REDUCED_REDUNDANCY")
    for algorithm in ALGORITHMS:
        s3.put_object(Bucket=bucket, Key=f"checksum/{algorithm}", Body=content(algorithm, 150_000), ChecksumAlgorithm=algorithm)
    for key in ("folder/", "a b/c+d&e%25", "ünï/é/日本", "x" * 200 + "/" + "y" * 200, "deep/" * 20 + "end", "-._~!*'()"):
        s3.put_object(Bucket=bucket, Key=key, Body=b"" if key.endswith("/") else key.encode())
    put_multipart(s3, bucket, "multi/two", [5 * MIB, 1_234_567], ContentType="video/odd", Metadata={"m": "p"})
    put_multipart(s3, bucket, "multi/one", [17])
    put_multipart(s3, bucket, "multi/sha256", [5 * MIB + 1, 6 * MIB, 3], ChecksumAlgorithm="SHA256")
    put_multipart(s3, bucket, "multi/crc32", [5 * MIB, 5 * MIB], ChecksumAlgorithm="CRC32", ChecksumType="FULL_OBJECT")
    s3.copy_object(Bucket=bucket, Key="copied", CopySource={"Bucket": bucket, "Key": "multi/two"})
    s3.copy_object(Bucket=bucket, Key="headers-replaced", CopySource={"Bucket": bucket, "Key": "headers"},
                   MetadataDirective="REPLACE", Metadata={"new": "one"})


def change_all(s3, who):
    """What the second does to the objects of the first."""
    for bucket in ("plain", "versioned"):
        for size in SIZES[::2]:
            s3.put_object(Bucket=bucket, Key=f"size/{size}", Body=content(f"over{who}{size}", (size * 3 + 1) % (3 * MIB)))
        for size in SIZES[1::4]:
            s3.delete_object(Bucket=bucket, Key=f"size/{size}")
        s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": "multi/one"}, {"Key": "folder/"}, {"Key": "copied"}]})
        s3.put_object_tagging(Bucket=bucket, Key="multi/two", Tagging={"TagSet": [{"Key": "by", "Value": who}]})
        s3.delete_object_tagging(Bucket=bucket, Key="tagged")
        s3.put_object(Bucket=bucket, Key=f"new/{who}", Body=content(who, 600_000))
        put_multipart(s3, bucket, "multi/sha256", [5 * MIB, 99])
    versions = s3.list_object_versions(Bucket="versioned", Prefix="thrice")
    s3.delete_object(Bucket="versioned", Key="thrice", VersionId=versions["DeleteMarkers"][0]["VersionId"])
    s3.delete_object(Bucket="versioned", Key="thrice", VersionId=versions["Versions"][1]["VersionId"])
    s3.put_object(Bucket="suspended", Key="k", Body=content("over null", 500_000))
    s3.create_bucket(Bucket=f"bucket-of-{who}")


HEAD_FIELDS = ("ContentLength", "ETag", "ContentType", "CacheControl", "ContentEncoding", "ContentLanguage", "ContentDisposition",
               "Metadata", "LastModified", "VersionId", "StorageClass", "PartsCount", "TagCount", "ChecksumCRC32",
               "ChecksumCRC32C", "ChecksumSHA1", "ChecksumSHA256", "ChecksumCRC64NVME", "ChecksumType", "ServerSideEncryption",
               "SSEKMSKeyId", "SSECustomerAlgorithm", "SSECustomerKeyMD5")


def attempt(call, **arguments):
    try:
        return call(**arguments)
    except ClientError as error:
        return {"error": error.response["Error"]["Code"]}


def fields(answer, names):
    return {name: answer[name] for name in (*names, "error") if answer.get(name) is not None}


def version_facts(s3, bucket, entry):
    at = {"Bucket": bucket, "Key": entry["Key"], "VersionId": entry["VersionId"]}
    key = own_key(entry["Key"])
    facts = {"head": fields(attempt(s3.head_object, **at, **key, ChecksumMode="ENABLED"), HEAD_FIELDS)}
    facts["part 1"] = fields(attempt(s3.head_object, **at, **key, PartNumber=1), ("ContentLength", "PartsCount"))
    got = attempt(s3.get_object, **at, **key)
    facts["sha256"] = hashlib.sha256(got["Body"].read()).hexdigest() if "Body" in got else got
    size = entry.get("Size", 0)
    if size > 10:
        ranged = attempt(s3.get_object, **at, **key, Range=f"bytes={size // 3}-{size // 3 + size // 2}")
        facts["range"] = hashlib.sha256(ranged["Body"].read()).hexdigest() if "Body" in ranged else ranged
    facts["tags"] = fields(attempt(s3.get_object_tagging, **at), ("TagSet",))
    # Not ObjectParts, which AWS shows of multipart objects only and MinIO of all, nor ObjectSize, which MinIO leaves out when 0.
    names = ["ETag", "Checksum", "StorageClass"]
    facts["attributes"] = fields(attempt(s3.get_object_attributes, **at, **key, ObjectAttributes=names), (*names, "LastModified"))
    return facts


def snapshot(s3):
    """Everything that a client can see, by name."""
    seen = {"buckets": sorted(b["Name"] for b in s3.list_buckets()["Buckets"])}
    for bucket in seen["buckets"]:
        seen[f"{bucket} versioning"] = s3.get_bucket_versioning(Bucket=bucket).get("Status")
        keys = [o for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, PaginationConfig={"PageSize": 7})
                for o in page.get("Contents", [])]
        seen[f"{bucket} keys"] = [(o["Key"], o["Size"], o["ETag"], o["LastModified"], o.get("StorageClass")) for o in keys]
        top = s3.list_objects_v2(Bucket=bucket, Delimiter="/")
        seen[f"{bucket} top"] = [p["Prefix"] for p in top.get("CommonPrefixes", [])], [o["Key"] for o in top.get("Contents", [])]
        for page in s3.get_paginator("list_object_versions").paginate(Bucket=bucket, PaginationConfig={"PageSize": 7}):
            for marker in page.get("DeleteMarkers", []):
                seen[f"{bucket}/{marker['Key']} {marker['VersionId']}"] = "marker", marker["IsLatest"], marker["LastModified"]
            for entry in page.get("Versions", []):
                name = f"{bucket}/{entry['Key']} {entry['VersionId']}"
                seen[name] = entry["IsLatest"], entry["Size"], entry["ETag"], version_facts(s3, bucket, entry)
    return seen


def compare(where, expected, found):
    for name in sorted(expected.keys() | found.keys()):
        check(f"{where}: {name}", expected.get(name), found.get(name))


def there_and_back(topology, first, second, scratch):
    folder = tempfile.mkdtemp(prefix=f"{topology}-{first}-", dir=scratch)
    print(f"-- {topology}: {first} writes, {second} reads and changes, {first} reads", flush=True)
    with Server(first, folder, topology) as server:
        write_all(server.s3, first, topology == "protected")
        upload = server.s3.create_multipart_upload(Bucket="plain", Key="unfinished", Metadata={"u": first})["UploadId"]
        etag = server.s3.upload_part(Bucket="plain", Key="unfinished", UploadId=upload, PartNumber=1,
                                     Body=content("part", 5 * MIB))["ETag"]
        written = snapshot(server.s3)
    with Server(second, folder, topology) as server:
        compare(f"{topology}, {second} shows what {first} wrote", written, snapshot(server.s3))
        listed = server.s3.list_parts(Bucket="plain", Key="unfinished", UploadId=upload)["Parts"]
        check(f"{topology}: {second} lists the parts of {first}", [(1, etag, 5 * MIB)],
              [(p["PartNumber"], p["ETag"], p["Size"]) for p in listed])
        last = server.s3.upload_part(Bucket="plain", Key="unfinished", UploadId=upload, PartNumber=2, Body=b"last")["ETag"]
        done = {"Parts": [{"PartNumber": 1, "ETag": etag}, {"PartNumber": 2, "ETag": last}]}
        server.s3.complete_multipart_upload(Bucket="plain", Key="unfinished", UploadId=upload, MultipartUpload=done)
        change_all(server.s3, second)
        changed = snapshot(server.s3)
    with Server(first, folder, topology) as server:
        compare(f"{topology}, {first} shows what {second} changed", changed, snapshot(server.s3))
    shutil.rmtree(folder)


def same_shape(topology, scratch):
    """Both write the same on drives of their own: the decoded xl.meta agree."""
    print(f"-- {topology}: xl.meta of the same requests", flush=True)
    shapes = {}
    for kind in ("minio", "sherd"):
        folder = tempfile.mkdtemp(prefix=f"shape-{kind}-", dir=scratch)
        with Server(kind, folder, topology) as server:
            write_all(server.s3, "same")
            time.sleep(1)  # what is tidied up after the answer
        drives = sorted(name for name in os.listdir(folder) if "d" in name and os.path.isdir(os.path.join(folder, name, ".minio.sys")))
        script = [shutil.which("bun"), os.path.join(HERE, "xl-meta-shape.ts"), *[os.path.join(folder, d) for d in drives]]
        shapes[kind] = json.loads(subprocess.run(script, check=True, capture_output=True).stdout)
        shutil.rmtree(folder)
    for name in sorted(shapes["minio"].keys() | shapes["sherd"].keys()):
        if name.endswith("/never-was"):
            continue  # sherd keeps a delete marker of a key that never was, as AWS does; MinIO keeps nothing
        check(f"{topology}: xl.meta of {name}", shapes["minio"].get(name), shapes["sherd"].get(name))


def main():
    warnings.filterwarnings("ignore")  # certificates of a moment
    if "MINIO" not in os.environ:
        print("both-ways: MINIO=/path/to/minio is not given: nothing was compared\n0 passed, 0 failed, 1 skipped")
        return
    scratch = tempfile.mkdtemp(prefix="both-ways-", dir=os.environ.get("TMPDIR", "/tmp"))
    try:
        for topology in sys.argv[1:] or TOPOLOGIES:
            there_and_back(topology, "sherd", "minio", scratch)
            there_and_back(topology, "minio", "sherd", scratch)
            if topology in ("one", "four", "sixteen"):
                same_shape(topology, scratch)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    print(f"{passed} passed, {failed} failed, 0 skipped")
    sys.exit(failed > 0)


if __name__ == "__main__":
    main()
