#!/bin/sh
# restic: init, two backups, check of every byte, restore, forget with prune.
set -u
. "$(dirname "$0")/../suite.sh"
cd "$WORK" || exit 1
export RESTIC_REPOSITORY="s3:$ENDPOINT/restic-$$/repo" RESTIC_PASSWORD=compat RESTIC_CACHE_DIR="$WORK/cache"
restic() { "$SHERD_COMPAT_DIR/debian/usr/bin/restic" "$@"; }

mkdir -p tree/a/b
for i in $(seq 1 100); do echo "file $i" > "tree/a/b/$i"; done
noise tree/large.bin 30000000

check "init makes a repository" restic init
check "backup stores a tree" restic backup tree
check "check finds no error" restic check
echo changed > tree/a/b/1
check "a second backup stores the change" restic backup tree
check "snapshots shows two" says "2 snapshots" restic snapshots
check "check --read-data reads every byte" restic check --read-data
check "restore writes the latest snapshot" restic restore latest --target back
check "the tree came back" same tree back/tree
check "forget --prune removes the first" restic forget --keep-last 1 --prune
check "check finds no error after the prune" restic check --read-data
finish
