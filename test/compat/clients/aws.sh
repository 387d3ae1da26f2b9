#!/bin/sh
# The AWS command line: s3 (cp, sync, mv, rm, mb, rb, presign) and s3api.
set -u
. "$(dirname "$0")/../suite.sh"
cd "$WORK" || exit 1
aws() { "$SHERD_COMPAT_DIR/python/bin/python" "$SHERD_COMPAT_DIR/python/bin/aws" --endpoint-url "$ENDPOINT" "$@"; }
s3() { aws s3 "$@"; }
api() { aws s3api "$@"; }
# `check` runs these in this shell; what `refused` runs is another process, hence a script of the same.
cat > aws-command <<SCRIPT
#!/bin/sh
exec "$SHERD_COMPAT_DIR/python/bin/python" "$SHERD_COMPAT_DIR/python/bin/aws" --endpoint-url "$ENDPOINT" "\$@"
SCRIPT
chmod +x aws-command
bucket=aws-cli-$$

echo "a small object" > small.txt
noise large.bin 20971520
: > empty

check "mb makes a bucket" s3 mb "s3://$bucket"
check "the bucket is listed" says "$bucket" s3 ls
check "head-bucket finds it" api head-bucket --bucket "$bucket"
check "cp uploads a small file" s3 cp small.txt "s3://$bucket/small.txt" --no-progress
check "cp uploads an empty file" s3 cp empty "s3://$bucket/empty" --no-progress
check "cp uploads 20 MiB in parts" s3 cp large.bin "s3://$bucket/deep/large.bin" --no-progress
check "cp downloads the small file" s3 cp "s3://$bucket/small.txt" small.back --no-progress
check "the small file came back" same small.txt small.back
check "cp downloads the large file" s3 cp "s3://$bucket/deep/large.bin" large.back --no-progress
check "the large file came back" same large.bin large.back
check "cp copies within the server" s3 cp "s3://$bucket/deep/large.bin" "s3://$bucket/copy of +large.bin" --no-progress
check "the copy has its size" says 20971520 api head-object --bucket "$bucket" --key "copy of +large.bin"
check "cp uploads from standard input" sh -c './aws-command s3 cp - "$1" < small.txt' sh "s3://$bucket/piped"
check "cp downloads to standard output" says "a small object" s3 cp "s3://$bucket/piped" -
check "mv renames" s3 mv "s3://$bucket/piped" "s3://$bucket/moved" --no-progress
refused "the old name is gone" "404" ./aws-command s3api head-object --bucket "$bucket" --key piped

mkdir -p tree/a/b "tree/with blank" tree/ünï
for i in $(seq 1 50); do echo "file $i of the tree" > "tree/a/b/f$i"; done
echo x > "tree/with blank/x + y & z%20"
echo y > "tree/ünï/é"
noise "tree/a/in parts +1.bin" 9437185
check "sync uploads a tree" s3 sync tree "s3://$bucket/tree" --no-progress
check "sync downloads it" s3 sync "s3://$bucket/tree" tree.back --no-progress
check "the tree came back" same tree tree.back
check "sync again has nothing to do" sh -c 'out=$(./aws-command s3 sync tree "$1" --no-progress); [ -z "$out" ] || { echo "$out"; exit 1; }' sh "s3://$bucket/tree"
rm tree/a/b/f1
check "sync --delete removes what is gone" says "delete: s3://$bucket/tree/a/b/f1" s3 sync tree "s3://$bucket/tree" --delete --no-progress
check "ls shows prefixes" says "PRE a/" s3 ls "s3://$bucket/tree/"
check "ls --recursive counts" says "Total Objects: 52" s3 ls "s3://$bucket/tree/" --recursive --summarize

check "put-object stores headers and metadata" api put-object --bucket "$bucket" --key meta --body small.txt \
  --content-type text/x-test --cache-control max-age=60 --metadata colour=red,Size=big
check "head-object shows the content type" says text/x-test api head-object --bucket "$bucket" --key meta
check "head-object shows the metadata" says '"colour": "red"' api head-object --bucket "$bucket" --key meta
check "get-object reads a range" api get-object --bucket "$bucket" --key meta --range bytes=2-6 range.out
check "the range is right" says small cat range.out
for algorithm in CRC32 CRC32C CRC64NVME SHA1 SHA256; do
  check "put-object with $algorithm" says "Checksum$algorithm" api put-object --bucket "$bucket" --key "sum-$algorithm" \
    --body small.txt --checksum-algorithm "$algorithm"
  check "head-object shows $algorithm" says "Checksum$algorithm" api head-object --bucket "$bucket" --key "sum-$algorithm" --checksum-mode ENABLED
done
check "get-object-attributes" says '"ObjectSize": 15' api get-object-attributes --bucket "$bucket" --key meta --object-attributes ETag ObjectSize
check "list-objects-v2 pages" says '"tree/a/b/f9"' api list-objects-v2 --bucket "$bucket" --prefix tree/ --page-size 7
check "list-objects with a delimiter" says '"Prefix": "tree/a/"' api list-objects --bucket "$bucket" --prefix tree/ --delimiter /
check "put-object-tagging" api put-object-tagging --bucket "$bucket" --key meta --tagging 'TagSet=[{Key=k,Value=v}]'
check "get-object-tagging" says '"Value": "v"' api get-object-tagging --bucket "$bucket" --key meta
check "copy-object replaces metadata" api copy-object --bucket "$bucket" --key meta --copy-source "$bucket/meta" --metadata-directive REPLACE --metadata colour=blue
check "the metadata is replaced" says '"colour": "blue"' api head-object --bucket "$bucket" --key meta
refused "if-none-match refuses an overwrite" PreconditionFailed ./aws-command s3api put-object --bucket "$bucket" --key meta --if-none-match '*'
check "delete-objects" says '"Key": "meta"' api delete-objects --bucket "$bucket" --delete 'Objects=[{Key=meta},{Key=never-there}]'
check "get-bucket-location" api get-bucket-location --bucket "$bucket"

upload=$(api create-multipart-upload --bucket "$bucket" --key parts --query UploadId --output text)
check "create-multipart-upload gives an id" test -n "$upload"
head -c 5242880 large.bin > part1
tail -c 1000 large.bin > part2
etag1=$(api upload-part --bucket "$bucket" --key parts --upload-id "$upload" --part-number 1 --body part1 --query ETag --output text)
etag2=$(api upload-part --bucket "$bucket" --key parts --upload-id "$upload" --part-number 2 --body part2 --query ETag --output text)
check "list-multipart-uploads shows it" says "$upload" api list-multipart-uploads --bucket "$bucket" --prefix parts
check "list-parts shows both" says '"PartNumber": 2' api list-parts --bucket "$bucket" --key parts --upload-id "$upload"
check "complete-multipart-upload" api complete-multipart-upload --bucket "$bucket" --key parts --upload-id "$upload" \
  --multipart-upload "{\"Parts\":[{\"PartNumber\":1,\"ETag\":$etag1},{\"PartNumber\":2,\"ETag\":$etag2}]}"
check "the parts are one object" says 5243880 api head-object --bucket "$bucket" --key parts
check "part 2 alone" says '"ContentLength": 1000' api head-object --bucket "$bucket" --key parts --part-number 2
aborted=$(api create-multipart-upload --bucket "$bucket" --key aborted --query UploadId --output text)
check "abort-multipart-upload" api abort-multipart-upload --bucket "$bucket" --key aborted --upload-id "$aborted"
refused "an aborted upload is gone" NoSuchUpload ./aws-command s3api list-parts --bucket "$bucket" --key aborted --upload-id "$aborted"

check "put-bucket-versioning" api put-bucket-versioning --bucket "$bucket" --versioning-configuration Status=Enabled
check "get-bucket-versioning" says Enabled api get-bucket-versioning --bucket "$bucket"
version1=$(api put-object --bucket "$bucket" --key v --body small.txt --query VersionId --output text)
version2=$(api put-object --bucket "$bucket" --key v --body empty --query VersionId --output text)
check "two puts make two versions" test "$version1" != "$version2"
check "the old version is read by its id" says '"ContentLength": 15' api get-object --bucket "$bucket" --key v --version-id "$version1" v.out
check "delete-object leaves a delete marker" says '"DeleteMarker": true' api delete-object --bucket "$bucket" --key v
refused "the deleted key is not found" 404 ./aws-command s3api head-object --bucket "$bucket" --key v
check "list-object-versions shows the marker" says DeleteMarkers api list-object-versions --bucket "$bucket" --prefix v
check "a version is deleted for good" says "$version1" api delete-object --bucket "$bucket" --key v --version-id "$version1"

refused "a missing key" NoSuchKey ./aws-command s3api get-object --bucket "$bucket" --key nothing out
refused "a missing bucket" NoSuchBucket ./aws-command s3api list-objects-v2 --bucket no-such-bucket-here
refused "a wrong secret" SignatureDoesNotMatch env AWS_SECRET_ACCESS_KEY=wrong-secret ./aws-command s3 ls
refused "an unknown access key" InvalidAccessKeyId env AWS_ACCESS_KEY_ID=nobody ./aws-command s3 ls
refused "a bucket that is not empty" BucketNotEmpty ./aws-command s3api delete-bucket --bucket "$bucket"

AWS_CONFIG_FILE=$PWD/aws-config
export AWS_CONFIG_FILE
aws configure set default.s3.signature_version s3v4
url=$(s3 presign "s3://$bucket/small.txt")
check "a presigned URL is readable without credentials" says "a small object" \
  "$SHERD_COMPAT_DIR/python/bin/python" -c 'import sys, urllib.request; print(urllib.request.urlopen(sys.argv[1]).read().decode())' "$url"

second=$bucket-second
check "mb makes a second bucket" s3 mb "s3://$second"
check "sync copies from bucket to bucket" s3 sync "s3://$bucket/tree" "s3://$second/copied" --no-progress
check "cp --recursive downloads it" s3 cp --recursive "s3://$second/copied" copied.back --no-progress
check "the copied tree is the same" same tree copied.back
check "cp --recursive uploads a tree" s3 cp --recursive tree "s3://$second/again" --no-progress --exclude "*" --include "a/*"
check "mv --recursive moves it" s3 mv --recursive "s3://$second/again" "s3://$second/moved" --no-progress
check "what was moved is in its new place alone" sh -c '[ "$(./aws-command s3 ls --recursive "$1" | grep -c " moved/a/")" = 50 ] &&
  ! ./aws-command s3 ls --recursive "$1" | grep -q " again/"' sh "s3://$second/"
check "rb --force removes a bucket with objects" s3 rb --force "s3://$second"
check "rm --recursive empties a prefix" s3 rm --recursive "s3://$bucket/tree/"
finish
