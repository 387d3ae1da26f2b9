"""boto3 against a server: objects, conditions, ranges, checksums, copies, listings, versions, multipart, presigned URLs.

Environment from run.sh: ENDPOINT and the AWS_* credentials. Prints each check and, last, the counts.
"""
import hashlib
import io
import os
import sys
import traceback
import urllib.request

import boto3
from boto3.s3.transfer import TransferConfig
from botocore.client import Config
from botocore.exceptions import ClientError

BUCKET = "boto3-%d" % os.getpid()
CHECKS = []


def check(sentence):
    def register(function):
        CHECKS.append((sentence, function))
        return function
    return register


def client(**config):
    return boto3.client("s3", endpoint_url=os.environ["ENDPOINT"],
                        config=Config(signature_version="s3v4", retries={"max_attempts": 1}, **config))


s3 = client(s3={"addressing_style": "path"})


def refused(code, call, **arguments):
    try:
        call(**arguments)
    except ClientError as error:
        assert error.response["Error"]["Code"] == code, error
        return error.response
    raise AssertionError("succeeded, expected " + code)


def put(key, body=b"text", **more):
    return s3.put_object(Bucket=BUCKET, Key=key, Body=body, **more)


def get(key, **more):
    return s3.get_object(Bucket=BUCKET, Key=key, **more)["Body"].read()


@check("a bucket is created, found and listed")
def _():
    s3.create_bucket(Bucket=BUCKET)
    s3.head_bucket(Bucket=BUCKET)
    assert BUCKET in [b["Name"] for b in s3.list_buckets()["Buckets"]]
    refused("BucketAlreadyOwnedByYou", s3.create_bucket, Bucket=BUCKET)


@check("bodies of every interesting size come back with the MD5 as ETag")
def _():
    for size in (0, 1, 255, 4096, 131071, 131072, 131073, 262144, 524288, 524289, 1048576, 1048577, 5 << 20, (5 << 20) + 17):
        body = os.urandom(size)
        answer = put("size/%d" % size, body)
        assert answer["ETag"] == '"%s"' % hashlib.md5(body).hexdigest(), size
        got = s3.get_object(Bucket=BUCKET, Key="size/%d" % size)
        assert got["ContentLength"] == size
        assert got["Body"].read() == body, size


@check("ranges are exact, a range outside is refused")
def _():
    body = os.urandom(3 << 20)
    put("ranged", body)
    for spec, expected in (("0-0", body[:1]), ("5-9", body[5:10]), ("1048570-1048585", body[1048570:1048586]),
                           ("-7", body[-7:]), ("3145720-", body[3145720:]), ("100-99999999", body[100:])):
        assert get("ranged", Range="bytes=" + spec) == expected, spec
    refused("InvalidRange", s3.get_object, Bucket=BUCKET, Key="ranged", Range="bytes=3145728-")


@check("keys with every kind of character are stored, listed and read")
def _():
    keys = ["odd/" + k for k in ("a b", "a+b", "a%2Fb", "ünï", "日本語", "a&b=c?d#e", "quote'\"<>", "tilde~", "trailing/", "(x)*!")]
    for key in keys:
        put(key, key.encode())
    listed = [o["Key"] for o in s3.list_objects_v2(Bucket=BUCKET, Prefix="odd/")["Contents"]]
    assert sorted(listed) == sorted(keys), listed
    for key in keys:
        assert get(key) == key.encode(), key


@check("headers and metadata come back")
def _():
    put("headers", ContentType="text/x", CacheControl="no-cache", ContentDisposition="inline", ContentEncoding="gzip",
        ContentLanguage="de", Metadata={"colour": "red"})
    head = s3.head_object(Bucket=BUCKET, Key="headers")
    assert (head["ContentType"], head["CacheControl"], head["ContentDisposition"], head["ContentEncoding"],
            head["ContentLanguage"], head["Metadata"]) == ("text/x", "no-cache", "inline", "gzip", "de", {"colour": "red"}), head
    got = s3.get_object(Bucket=BUCKET, Key="headers", ResponseContentType="text/other")
    assert got["ContentType"] == "text/other"


@check("conditions of reads and writes hold")
def _():
    etag = put("conditional", b"one")["ETag"]
    assert get("conditional", IfMatch=etag) == b"one"
    refused("PreconditionFailed", s3.get_object, Bucket=BUCKET, Key="conditional", IfMatch='"no"')
    refused("304", s3.get_object, Bucket=BUCKET, Key="conditional", IfNoneMatch=etag)
    refused("PreconditionFailed", s3.put_object, Bucket=BUCKET, Key="conditional", Body=b"x", IfNoneMatch="*")
    refused("PreconditionFailed", s3.put_object, Bucket=BUCKET, Key="conditional", Body=b"x", IfMatch='"no"')
    put("conditional", b"two", IfMatch=etag)
    put("conditional-new", b"x", IfNoneMatch="*")
    assert get("conditional") == b"two"


@check("checksums of every algorithm are kept and a wrong one is refused")
def _():
    for algorithm in ("CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256"):
        answer = put("sum/" + algorithm, b"123456789", ChecksumAlgorithm=algorithm)
        head = s3.head_object(Bucket=BUCKET, Key="sum/" + algorithm, ChecksumMode="ENABLED")
        assert head["Checksum" + algorithm] == answer["Checksum" + algorithm]
    put("sum/header", b"123456789", ChecksumCRC32C="4waSgw==")
    put("sum/header", b"123456789", ChecksumCRC64NVME="rosUhgp5mIg=")
    error = None
    try:
        put("sum/bad", b"123456789", ChecksumCRC32C="AAAAAA==")
    except ClientError as e:
        error = e.response["Error"]["Code"]
    assert error in ("BadDigest", "BadDigest", "InvalidArgument"), error
    refused("NoSuchKey", s3.get_object, Bucket=BUCKET, Key="sum/bad")


@check("copies keep or replace metadata")
def _():
    put("from", b"copied", Metadata={"a": "1"}, ContentType="text/a")
    source = {"Bucket": BUCKET, "Key": "from"}
    s3.copy_object(Bucket=BUCKET, Key="kept", CopySource=source)
    assert s3.head_object(Bucket=BUCKET, Key="kept")["Metadata"] == {"a": "1"}
    s3.copy_object(Bucket=BUCKET, Key="replaced", CopySource=source, MetadataDirective="REPLACE", Metadata={"b": "2"})
    assert s3.head_object(Bucket=BUCKET, Key="replaced")["Metadata"] == {"b": "2"}
    assert get("replaced") == b"copied"
    refused("InvalidRequest", s3.copy_object, Bucket=BUCKET, Key="from", CopySource=source)


@check("listings page, group by delimiter and start after a key")
def _():
    keys = ["list/%03d" % i for i in range(25)] + ["list/sub%d/x" % i for i in range(5)]
    for key in keys:
        put(key, b"")
    for version in ("list_objects", "list_objects_v2"):
        pages = s3.get_paginator(version).paginate(Bucket=BUCKET, Prefix="list/", PaginationConfig={"PageSize": 4})
        assert [o["Key"] for page in pages for o in page.get("Contents", [])] == keys, version
    page = s3.list_objects_v2(Bucket=BUCKET, Prefix="list/", Delimiter="/", MaxKeys=27)
    assert (len(page["Contents"]), len(page["CommonPrefixes"]), page["IsTruncated"]) == (25, 2, True), page
    after = s3.list_objects_v2(Bucket=BUCKET, Prefix="list/", StartAfter="list/023")["Contents"]
    assert [o["Key"] for o in after] == keys[24:]


@check("deletes of many keys report each one")
def _():
    for i in range(10):
        put("many/%d" % i)
    answer = s3.delete_objects(Bucket=BUCKET, Delete={"Objects": [{"Key": "many/%d" % i} for i in range(12)]})
    assert len(answer["Deleted"]) == 12 and "Errors" not in answer, answer
    assert "Contents" not in s3.list_objects_v2(Bucket=BUCKET, Prefix="many/")


@check("tags are set, read, counted and removed")
def _():
    put("tagged", Tagging="a=1&b=2")
    assert s3.get_object(Bucket=BUCKET, Key="tagged")["TagCount"] == 2
    s3.put_object_tagging(Bucket=BUCKET, Key="tagged", Tagging={"TagSet": [{"Key": "c", "Value": "3"}]})
    assert s3.get_object_tagging(Bucket=BUCKET, Key="tagged")["TagSet"] == [{"Key": "c", "Value": "3"}]
    s3.delete_object_tagging(Bucket=BUCKET, Key="tagged")
    assert s3.get_object_tagging(Bucket=BUCKET, Key="tagged")["TagSet"] == []


@check("a managed transfer uploads and downloads in parallel parts")
def _():
    body = os.urandom(23 << 20)
    config = TransferConfig(multipart_threshold=5 << 20, multipart_chunksize=5 << 20, max_concurrency=4)
    s3.upload_fileobj(io.BytesIO(body), BUCKET, "managed", Config=config)
    back = io.BytesIO()
    s3.download_fileobj(BUCKET, "managed", back, Config=config)
    assert back.getvalue() == body
    assert s3.head_object(Bucket=BUCKET, Key="managed")["ETag"].endswith('-5"')


@check("multipart: parts are listed, replaced, copied and completed in order")
def _():
    part = os.urandom(5 << 20)
    put("part-source", part)
    upload = s3.create_multipart_upload(Bucket=BUCKET, Key="multi", Metadata={"m": "1"})["UploadId"]
    same = {"Bucket": BUCKET, "Key": "multi", "UploadId": upload}
    s3.upload_part(PartNumber=1, Body=b"replaced below", **same)
    one = s3.upload_part(PartNumber=1, Body=part, **same)["ETag"]
    two = s3.upload_part_copy(PartNumber=2, CopySource={"Bucket": BUCKET, "Key": "part-source"}, **same)["CopyPartResult"]["ETag"]
    three = s3.upload_part(PartNumber=7, Body=b"tail", **same)["ETag"]
    assert [p["PartNumber"] for p in s3.list_parts(**same)["Parts"]] == [1, 2, 7]
    refused("InvalidPart", s3.complete_multipart_upload, MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": '"0"'}]}, **same)
    parts = [{"PartNumber": 1, "ETag": one}, {"PartNumber": 2, "ETag": two}, {"PartNumber": 7, "ETag": three}]
    refused("InvalidPartOrder", s3.complete_multipart_upload, MultipartUpload={"Parts": parts[::-1]}, **same)
    s3.complete_multipart_upload(MultipartUpload={"Parts": parts}, **same)
    assert get("multi") == part + part + b"tail"
    assert get("multi", Range="bytes=5242878-5242882") == (part + part)[5242878:5242883]
    head = s3.head_object(Bucket=BUCKET, Key="multi", PartNumber=1)
    assert (head["PartsCount"], head["ContentLength"], head["Metadata"]) == (3, 5 << 20, {"m": "1"}), head


@check("a part that is too small is refused, and an aborted upload is gone")
def _():
    upload = s3.create_multipart_upload(Bucket=BUCKET, Key="small-parts")["UploadId"]
    same = {"Bucket": BUCKET, "Key": "small-parts", "UploadId": upload}
    parts = [{"PartNumber": n, "ETag": s3.upload_part(PartNumber=n, Body=b"tiny", **same)["ETag"]} for n in (1, 2)]
    refused("EntityTooSmall", s3.complete_multipart_upload, MultipartUpload={"Parts": parts}, **same)
    assert upload in [u["UploadId"] for u in s3.list_multipart_uploads(Bucket=BUCKET, Prefix="small-parts").get("Uploads", [])]
    s3.abort_multipart_upload(**same)
    refused("NoSuchUpload", s3.list_parts, **same)


@check("multipart checksums are composite or of the full object")
def _():
    upload = s3.create_multipart_upload(Bucket=BUCKET, Key="multi-sum", ChecksumAlgorithm="CRC32")["UploadId"]
    same = {"Bucket": BUCKET, "Key": "multi-sum", "UploadId": upload}
    answer = s3.upload_part(PartNumber=1, Body=b"123456789", ChecksumAlgorithm="CRC32", **same)
    part = {"PartNumber": 1, "ETag": answer["ETag"], "ChecksumCRC32": answer["ChecksumCRC32"]}
    done = s3.complete_multipart_upload(MultipartUpload={"Parts": [part]}, **same)
    assert done["ChecksumCRC32"].endswith("-1"), done
    attributes = s3.get_object_attributes(Bucket=BUCKET, Key="multi-sum", ObjectAttributes=["Checksum", "ObjectParts", "ObjectSize"])
    assert attributes["ObjectSize"] == 9 and attributes["ObjectParts"]["TotalPartsCount"] == 1, attributes


@check("uploads in parts have the checksums of every algorithm, of both types")
def _():
    body = os.urandom((5 << 20) + 100)
    for algorithm, kind in (("CRC32", "COMPOSITE"), ("CRC32", "FULL_OBJECT"), ("CRC32C", "COMPOSITE"), ("CRC32C", "FULL_OBJECT"),
                            ("CRC64NVME", "FULL_OBJECT"), ("SHA1", "COMPOSITE"), ("SHA256", "COMPOSITE")):
        field = "Checksum" + algorithm
        key = "multi-sum/%s-%s" % (algorithm, kind)
        upload = s3.create_multipart_upload(Bucket=BUCKET, Key=key, ChecksumAlgorithm=algorithm, ChecksumType=kind)["UploadId"]
        same = {"Bucket": BUCKET, "Key": key, "UploadId": upload}
        parts = []
        for n, piece in ((1, body[:5 << 20]), (2, body[5 << 20:])):
            answer = s3.upload_part(PartNumber=n, Body=piece, ChecksumAlgorithm=algorithm, **same)
            parts.append({"PartNumber": n, "ETag": answer["ETag"], field: answer[field]})
        done = s3.complete_multipart_upload(MultipartUpload={"Parts": parts}, ChecksumType=kind, **same)
        assert done[field].endswith("-2") == (kind == "COMPOSITE"), (key, done)
        head = s3.head_object(Bucket=BUCKET, Key=key, ChecksumMode="ENABLED")
        assert (head[field], head["ChecksumType"]) == (done[field], kind), (key, head)
        if kind == "FULL_OBJECT":
            assert put("whole", body, ChecksumAlgorithm=algorithm)[field] == done[field], key
        assert get(key, ChecksumMode="ENABLED") == body, key  # boto3 checks what it can


@check("a stream is uploaded with a trailing checksum of every algorithm")
def _():
    body = os.urandom(300000)
    for algorithm in ("CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256"):
        s3.upload_fileobj(io.BytesIO(body), BUCKET, "streamed", ExtraArgs={"ChecksumAlgorithm": algorithm})
        head = s3.head_object(Bucket=BUCKET, Key="streamed", ChecksumMode="ENABLED")
        assert "Checksum" + algorithm in head, head
        assert get("streamed") == body


@check("versions: enable, overwrite, read old, delete marker, undelete, null version after suspension")
def _():
    bucket = BUCKET + "-versions"
    s3.create_bucket(Bucket=bucket)
    s3.put_object(Bucket=bucket, Key="k", Body=b"null")
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    one = s3.put_object(Bucket=bucket, Key="k", Body=b"one")["VersionId"]
    two = s3.put_object(Bucket=bucket, Key="k", Body=b"two")["VersionId"]
    assert s3.get_object(Bucket=bucket, Key="k", VersionId=one)["Body"].read() == b"one"
    assert s3.get_object(Bucket=bucket, Key="k", VersionId="null")["Body"].read() == b"null"
    marker = s3.delete_object(Bucket=bucket, Key="k")
    assert marker["DeleteMarker"]
    assert refused("NoSuchKey", s3.get_object, Bucket=bucket, Key="k")["ResponseMetadata"]["HTTPHeaders"]["x-amz-delete-marker"] == "true"
    refused("MethodNotAllowed", s3.get_object, Bucket=bucket, Key="k", VersionId=marker["VersionId"])
    listed = s3.list_object_versions(Bucket=bucket)
    assert [v["VersionId"] for v in listed["Versions"]] == [two, one, "null"], listed
    assert listed["DeleteMarkers"][0]["IsLatest"]
    s3.delete_object(Bucket=bucket, Key="k", VersionId=marker["VersionId"])
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"two"
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Suspended"})
    s3.put_object(Bucket=bucket, Key="k", Body=b"null again")
    listed = s3.list_object_versions(Bucket=bucket)
    assert [v["VersionId"] for v in listed["Versions"]] == ["null", two, one], listed
    refused("BucketNotEmpty", s3.delete_bucket, Bucket=bucket)
    for version in listed["Versions"]:
        s3.delete_object(Bucket=bucket, Key="k", VersionId=version["VersionId"])
    s3.delete_bucket(Bucket=bucket)


@check("presigned URLs read and write without credentials")
def _():
    url = s3.generate_presigned_url("put_object", Params={"Bucket": BUCKET, "Key": "presigned"}, ExpiresIn=60)
    urllib.request.urlopen(urllib.request.Request(url, data=b"by url", method="PUT"))
    url = s3.generate_presigned_url("get_object", Params={"Bucket": BUCKET, "Key": "presigned"}, ExpiresIn=60)
    assert urllib.request.urlopen(url).read() == b"by url"
    typed = s3.generate_presigned_url("put_object", Params={"Bucket": BUCKET, "Key": "a +ü%/presigned", "ContentType": "text/x"})
    put_typed = lambda kind: urllib.request.urlopen(urllib.request.Request(typed, data=b"x", method="PUT", headers={"Content-Type": kind}))
    put_typed("text/x")
    assert s3.head_object(Bucket=BUCKET, Key="a +ü%/presigned")["ContentType"] == "text/x"
    for broken in (lambda: put_typed("text/y"), lambda: urllib.request.urlopen(url.replace("presigned", "other"))):
        try:
            broken()
        except urllib.error.HTTPError as error:
            assert error.code == 403 and b"SignatureDoesNotMatch" in error.read()
            continue
        raise AssertionError("a request that was not signed was answered")


@check("anonymous requests are refused")
def _():
    try:
        urllib.request.urlopen("%s/%s/presigned" % (os.environ["ENDPOINT"], BUCKET))
    except urllib.error.HTTPError as error:
        assert error.code == 403 and b"<Code>AccessDenied</Code>" in error.read()
        return
    raise AssertionError("an anonymous request was answered")


@check("missing things are told apart")
def _():
    refused("NoSuchKey", s3.get_object, Bucket=BUCKET, Key="nothing")
    refused("404", s3.head_object, Bucket=BUCKET, Key="nothing")
    refused("NoSuchBucket", s3.get_object, Bucket="no-such-bucket-at-all", Key="x")
    refused("NoSuchUpload", s3.list_parts, Bucket=BUCKET, Key="x", UploadId="nothing")
    s3.delete_object(Bucket=BUCKET, Key="nothing")


@check("a bucket is emptied and removed")
def _():
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET):
        objects = [{"Key": o["Key"]} for o in page.get("Contents", [])]
        if objects:
            assert "Errors" not in s3.delete_objects(Bucket=BUCKET, Delete={"Objects": objects, "Quiet": True})
    s3.delete_bucket(Bucket=BUCKET)
    refused("404", s3.head_bucket, Bucket=BUCKET)


def main():
    passed = failed = 0
    for sentence, function in CHECKS:
        try:
            function()
            passed += 1
            print("ok   " + sentence)
        except Exception:
            failed += 1
            print("FAIL " + sentence)
            print("     " + traceback.format_exc().strip().replace("\n", "\n     "))
        sys.stdout.flush()
    print("%d passed, %d failed, 0 skipped" % (passed, failed))
    sys.exit(1 if failed else 0)


main()
