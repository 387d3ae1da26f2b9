#!/bin/sh
# s3cmd: buckets, put and get in one piece and in parts, sync, ls, info, cp, mv, del.
set -u
. "$(dirname "$0")/../suite.sh"
cd "$WORK" || exit 1
host=${ENDPOINT#*://}
cat > s3cfg <<CONFIG
[default]
access_key = $AWS_ACCESS_KEY_ID
secret_key = $AWS_SECRET_ACCESS_KEY
host_base = $host
host_bucket = $host
use_https = False
multipart_chunk_size_mb = 5
CONFIG
s3cmd() { "$SHERD_COMPAT_DIR/python/bin/python" "$SHERD_COMPAT_DIR/python/bin/s3cmd" -c "$WORK/s3cfg" --no-progress "$@"; }
bucket=s3cmd-$$

echo "some text" > text.txt
noise large.bin 16000000
mkdir -p tree/a
for i in $(seq 1 20); do echo "$i" > "tree/a/$i.txt"; done

check "mb makes a bucket" s3cmd mb "s3://$bucket"
check "ls shows it" says "s3://$bucket" s3cmd ls
check "put a small file" s3cmd put text.txt "s3://$bucket/text.txt"
check "put a large file in parts" s3cmd put large.bin "s3://$bucket/large.bin"
check "get the small file" s3cmd get "s3://$bucket/text.txt" text.back
check "the small file came back" same text.txt text.back
check "get the large file" s3cmd get "s3://$bucket/large.bin" large.back
check "the large file came back" same large.bin large.back
check "info shows the type" says "text/plain" s3cmd info "s3://$bucket/text.txt"
check "sync uploads a tree" s3cmd sync tree/ "s3://$bucket/tree/"
check "sync downloads it" s3cmd sync "s3://$bucket/tree/" back/
check "the tree came back" same tree back
echo changed > tree/a/3.txt
rm tree/a/4.txt
echo new > "tree/new ü + %.txt"
check "sync follows a change, a removal and a new file" s3cmd sync --delete-removed tree/ "s3://$bucket/tree/"
rm -rf back
check "sync downloads that" s3cmd sync "s3://$bucket/tree/" back/
check "the changed tree came back" same tree back
mkdir folder
check "get --recursive downloads a folder" s3cmd get --recursive "s3://$bucket/tree/a/" folder/
check "the folder came back" same tree/a folder
check "put --recursive uploads one" s3cmd put --recursive tree/a "s3://$bucket/put/"
check "del --recursive removes it" s3cmd del --recursive --force "s3://$bucket/put/"
check "nothing is left of it" says "0 objects" s3cmd du "s3://$bucket/put/"
check "get --continue goes on where it stopped" sh -c 'head -c 6000000 large.bin > half && "$@"' sh \
  "$SHERD_COMPAT_DIR/python/bin/python" "$SHERD_COMPAT_DIR/python/bin/s3cmd" -c s3cfg --no-progress get --continue "s3://$bucket/large.bin" half
check "the continued file is whole" same large.bin half
check "ls lists a folder" says "tree/a/7.txt" s3cmd ls "s3://$bucket/tree/a/"
check "du counts" says "20 objects" s3cmd du "s3://$bucket/tree/"
check "cp copies" s3cmd cp "s3://$bucket/text.txt" "s3://$bucket/copy ü.txt"
check "mv moves" s3cmd mv "s3://$bucket/copy ü.txt" "s3://$bucket/moved.txt"
check "modify replaces a header" s3cmd modify --add-header=x-amz-meta-colour:red "s3://$bucket/moved.txt"
check "info shows the metadata" says "red" s3cmd info "s3://$bucket/moved.txt"
check "multipart lists uploads" s3cmd multipart "s3://$bucket"
check "del removes one" s3cmd del "s3://$bucket/moved.txt"
check "rb --recursive removes the bucket" s3cmd rb --recursive --force "s3://$bucket"
finish
