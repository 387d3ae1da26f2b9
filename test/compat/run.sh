#!/bin/sh
# Real clients against a started dist/sherd, then MinIO's drives (takeover). `run.sh aws rclone` runs these suites only.
# Each suite prints its checks and its counts; the last line is the sum. SHERD_COMPAT_ENDPOINT=http://… with AWS_ACCESS_KEY_ID
# and AWS_SECRET_ACCESS_KEY tries the clients on a server that is already running.
set -u
here=$(cd "$(dirname "$0")" && pwd)
. "$here/server.sh"
: "${SHERD_COMPAT_DIR:=${XDG_CACHE_HOME:-$HOME/.cache}/sherd-compat}"
export SHERD_COMPAT_DIR

SUITES=${*:-aws boto3 aws-sdk minio-js minio-go rclone s3cmd restic mc takeover s3-tests}
scratch=$(mktemp -d "${TMPDIR:-/tmp}/sherd-compat.XXXXXX")
sums=$scratch/sums
trap 'stop_server; rm -rf "$scratch"' EXIT
trap 'exit 130' INT TERM

python=$SHERD_COMPAT_DIR/python/bin/python
node=node
if [ "$(node --version 2>/dev/null | sed 's/^v\([0-9]*\).*/\1/')" -lt 20 ] 2>/dev/null; then node=bun; fi

command_of() {
  case $1 in
    boto3) echo "$python $here/clients/boto3-suite.py" ;;
    aws-sdk) echo "$node $here/clients/aws-sdk.mjs" ;;
    minio-js) echo "$node $here/clients/minio-js.mjs" ;;
    s3-tests) echo "sh $here/s3-tests/run.sh" ;;
    takeover) echo "sh $here/takeover.sh" ;;
    aws | minio-go | rclone | s3cmd | restic | mc) echo "sh $here/clients/$1.sh" ;;
    *) echo "sh -c false" ;;
  esac
}

run_suite() {
  echo "== $1"
  WORK=$scratch/$1
  mkdir -p "$WORK"
  export WORK
  # The command is words: an interpreter and a script.
  { $(command_of "$1") 2>&1; echo "exit status $?"; } | tee "$WORK.log" | grep -v '^exit status '
  awk '
    /^[0-9]+ passed, [0-9]+ failed, [0-9]+ skipped$/ { passed = $1; failed = $3; skipped = $5 }
    /^exit status / { status = $3 }
    END {
      if (status != 0 && failed == 0) failed = 1
      print passed + 0, failed + 0, skipped + 0
    }' "$WORK.log" >> "$sums"
}

has_clients() {
  for suite in $SUITES; do [ "$suite" = takeover ] || [ "$suite" = s3-tests ] || return 0; done
  return 1
}

if has_clients; then
  sh "$here/install.sh" || echo "compat: some clients are missing; their suites fail below"
  export AWS_ACCESS_KEY_ID="${AWS_ACCESS_KEY_ID:-compat-root}"
  export AWS_SECRET_ACCESS_KEY="${AWS_SECRET_ACCESS_KEY:-compat-root-secret}"
  export AWS_REGION=us-east-1 AWS_DEFAULT_REGION=us-east-1 AWS_EC2_METADATA_DISABLED=true
  export AWS_CONFIG_FILE="$scratch/no-aws-config" AWS_SHARED_CREDENTIALS_FILE="$scratch/no-aws-credentials"
  if [ -n "${SHERD_COMPAT_ENDPOINT:-}" ]; then
    ENDPOINT=$SHERD_COMPAT_ENDPOINT
  else
    mkdir -p "$scratch/server/d1" "$scratch/server/d2" "$scratch/server/d3" "$scratch/server/d4"
    export SHERD_ROOT_USER="$AWS_ACCESS_KEY_ID" SHERD_ROOT_PASSWORD="$AWS_SECRET_ACCESS_KEY"
    if start_server "$scratch/server" './d{1...4}'; then ENDPOINT=$ADDRESS; else ENDPOINT=; fi
    unset SHERD_ROOT_USER SHERD_ROOT_PASSWORD
  fi
  # The clients talk to loopback only; rclone 1.60 refuses to start with a bundle of its own.
  unset AWS_CA_BUNDLE
  export ENDPOINT AWS_PAGER=
fi

for suite in $SUITES; do
  if [ "$suite" != takeover ] && [ "$suite" != s3-tests ] && [ -z "$ENDPOINT" ]; then
    echo "== $suite: no server"
    echo "0 1 0" >> "$sums"
  else
    run_suite "$suite"
  fi
done

echo
awk '
  { passed += $1; failed += $2; skipped += $3 }
  END { printf "%d passed, %d failed, %d skipped\n", passed, failed, skipped; exit failed > 0 }' "$sums"
