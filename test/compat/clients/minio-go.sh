#!/bin/sh
# The functional tests of minio-go, which are not in this tree: SHERD_COMPAT_MINIO_GO names a checkout of
# https://github.com/minio/minio-go; without it nothing is run, and that is said. Needs Go, which builds them into WORK.
. "$(dirname "$0")/../suite.sh"

if [ ! -f "${SHERD_COMPAT_MINIO_GO:-}/functional_tests.go" ]; then
  echo "minio-go: SHERD_COMPAT_MINIO_GO names no checkout: nothing was run"
  skipped=1
  finish
  exit
fi

check "build" sh -c 'cd "$SHERD_COMPAT_MINIO_GO" && go build -o "$WORK/functional" ./functional_tests.go'
[ -x "$WORK/functional" ] || { finish; exit; }

# They compare with MinIO's answers where ours are AWS's: uploads without owner, and those of the very key that is the marker; a
# list that opens an object, which MinIO does not look at and a bucket that owns its objects refuses.
expected='\(testListMultipartUpload\|testGetObjectACLContext\)'

# The server of run.sh has no KMS and no TLS.
(cd "$WORK" &&
  SERVER_ENDPOINT=${ENDPOINT#http://} ACCESS_KEY=$AWS_ACCESS_KEY_ID SECRET_KEY=$AWS_SECRET_ACCESS_KEY \
    SERVER_REGION=us-east-1 ENABLE_HTTPS=0 ENABLE_KMS=0 MINT_MODE=full RUN_ON_FAIL=1 \
    ./functional > "$WORK/results.json" 2> "$WORK/errors.txt") || { tail -n 5 "$WORK/errors.txt"; failed=$((failed + 1)); }
grep '"status":"FAIL"' "$WORK/results.json" | grep -v "\"name\":\"minio-go: $expected\"" | cut -c 1-400
count() { grep "\"status\":\"$1\"" "$WORK/results.json" | grep -vc "\"name\":\"minio-go: $expected\""; }
passed=$((passed + $(count PASS)))
failed=$((failed + $(count FAIL)))
skipped=$((skipped + $(count NA)))
finish
