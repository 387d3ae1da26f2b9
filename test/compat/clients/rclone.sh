#!/bin/sh
# rclone: copy, sync and check of 500 files, large files in parts, server-side copy, purge.
set -u
. "$(dirname "$0")/../suite.sh"
cd "$WORK" || exit 1
cat > rclone.conf <<CONFIG
[s]
type = s3
provider = Minio
access_key_id = $AWS_ACCESS_KEY_ID
secret_access_key = $AWS_SECRET_ACCESS_KEY
endpoint = $ENDPOINT
region = us-east-1
chunk_size = 5Mi
upload_cutoff = 8Mi
CONFIG
rclone() { "$SHERD_COMPAT_DIR/debian/usr/bin/rclone" --config "$WORK/rclone.conf" --retries 1 --low-level-retries 1 "$@"; }
bucket=rclone-$$

mkdir -p tree/deep/er "tree/with blank" tree/ünï
for i in $(seq 1 500); do
  case $((i % 3)) in 0) folder=tree ;; 1) folder=tree/deep/er ;; *) folder="tree/with blank" ;; esac
  # 0 to about 200 KB: inline and not.
  head -c $((i * i * 8 % 200000)) /dev/urandom > "$folder/file $i.bin"
done
echo é > tree/ünï/é
mkdir -p "tree/odd +names"
for name in "a b" "a+b" "a%b" "100%25" "a&b=c" "a#b" "a?b" "quote'd" 'double"quoted' "semi;colon" "日本語" "emoji 🙂" "é composed" "(x)*[y]{z}" "a=b,c" "tilde~" "back\\slash"; do
  echo "$name" > "tree/odd +names/$name"
done
noise tree/large.bin 20971520

check "mkdir makes a bucket" rclone mkdir "s:$bucket"
check "copy uploads 519 files" rclone copy tree "s:$bucket/tree" --transfers 8
check "check finds no difference" rclone check tree "s:$bucket/tree" --checkers 8
check "check --download agrees with every byte" rclone check tree "s:$bucket/tree" --download
check "copy downloads them" rclone copy "s:$bucket/tree" back --transfers 8
check "the files came back" same tree back
echo changed > "tree/file 3.bin"
rm "tree/file 6.bin"
check "sync follows a change and a removal" rclone sync tree "s:$bucket/tree" --transfers 8
check "check finds no difference after the sync" rclone check tree "s:$bucket/tree"
check "size counts" says "Total objects: 518" rclone size "s:$bucket/tree"
check "modification times are kept" says "0 differences" rclone check tree "s:$bucket/tree" --one-way
check "copy again transfers nothing" says "There was nothing to transfer" rclone copy tree "s:$bucket/tree" -v
check "copyto copies within the server" rclone copyto "s:$bucket/tree/large.bin" "s:$bucket/again.bin"
check "copy copies a tree of odd names within the server" rclone copy "s:$bucket/tree/odd +names" "s:$bucket/copied %20 +" --transfers 8
check "the copies are the same" rclone check "s:$bucket/tree/odd +names" "s:$bucket/copied %20 +" --download
check "move moves it within the server" rclone move "s:$bucket/copied %20 +" "s:$bucket/moved" --transfers 8
check "what was moved is there" rclone check "tree/odd +names" "s:$bucket/moved"
check "nothing is left behind" says "Total objects: 0" rclone size "s:$bucket/copied %20 +"
check "moveto renames" rclone moveto "s:$bucket/moved/a+b" "s:$bucket/moved/a b+c%"
check "the renamed file has its content" says "a+b" rclone cat "s:$bucket/moved/a b+c%"
check "sync makes a bucket the same as another" rclone sync "s:$bucket/tree" "s:$bucket-2/tree" --transfers 8
check "check finds no difference between them" rclone check "s:$bucket/tree" "s:$bucket-2/tree"
check "md5sum agrees" sh -c '"$0" --config rclone.conf md5sum "$1" | (cd "tree/odd +names" && md5sum --quiet -c -)' \
  "$SHERD_COMPAT_DIR/debian/usr/bin/rclone" "s:$bucket-2/tree/odd +names"
check "purge removes the other bucket" rclone purge "s:$bucket-2"
check "lsf lists a folder" says "deep/" rclone lsf "s:$bucket/tree"
check "cat reads a range" says "$(head -c 15 "tree/file 3.bin")" rclone cat "s:$bucket/tree/file 3.bin"
check "rcat streams an object of unknown size" sh -c 'head -c 12000000 tree/large.bin > part; "$0" --config rclone.conf rcat "$1" < part' \
  "$SHERD_COMPAT_DIR/debian/usr/bin/rclone" "s:$bucket/streamed"
check "the streamed object is whole" sh -c '"$0" --config rclone.conf cat "$1" | cmp - part' "$SHERD_COMPAT_DIR/debian/usr/bin/rclone" "s:$bucket/streamed"
check "delete removes files" rclone delete "s:$bucket/tree/deep"
check "purge removes all and the bucket" rclone purge "s:$bucket"
finish
