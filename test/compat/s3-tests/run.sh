#!/bin/sh
# Ceph's s3-tests against a started dist/sherd, as a suite of test/compat/run.sh or by itself: test_s3.py and test_s3select.py
# over HTTP, what gives keys of its own (SSE-C) over TLS with a certificate made here. The suite is not in this tree:
# S3TESTS_DIR names a checkout of https://github.com/ceph/s3-tests (without it the suite counts as skipped). Its Python
# requirements go into SHERD_COMPAT_DIR. Arguments go to pytest: `run.sh -k acl`. What fails is held against
# expected-failures.tsv: a failure that is not there fails the run, and so does an entry that passes or does not run.
# S3TESTS_RESULTS=FOLDER keeps the logs and results. Figures: README.md.
set -u
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../../.." && pwd)
SHERD_BIN=${SHERD_BIN:-$root/dist/sherd}
. "$here/../server.sh"
: "${SHERD_COMPAT_DIR:=${XDG_CACHE_HOME:-$HOME/.cache}/sherd-compat}"

if [ ! -f "${S3TESTS_DIR:-}/s3tests/functional/test_s3.py" ]; then
  echo "s3-tests: S3TESTS_DIR names no checkout of ceph's s3-tests; skipped"
  echo "0 passed, 0 failed, 1 skipped"
  exit 0
fi
[ ! -x "$root/.tools/bin/bun" ] || PATH=$root/.tools/bin:$PATH

venv=$SHERD_COMPAT_DIR/s3-tests
if ! cmp -s "$here/requirements.txt" "$venv/installed.txt"; then
  rm -rf "$venv"
  mkdir -p "$SHERD_COMPAT_DIR"
  python3 -m venv "$venv" &&
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check -r "$here/requirements.txt" >&2 &&
    cp "$here/requirements.txt" "$venv/installed.txt" || { echo "s3-tests: no Python environment"; exit 1; }
fi

scratch=$(mktemp -d "${TMPDIR:-/tmp}/sherd-s3-tests.XXXXXX")
results=${S3TESTS_RESULTS:-$scratch}
trap 'stop_server; rm -rf "$scratch"' EXIT
trap 'exit 130' INT TERM
mkdir -p "$results" "$scratch/certs"
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost \
  -addext subjectAltName=IP:127.0.0.1 -keyout "$scratch/certs/private.key" -out "$scratch/certs/public.crt" \
  2>/dev/null || { echo "s3-tests: openssl makes no certificate"; exit 1; }

# Users are accounts of their own there, as ceph's and AWS's are.
export SHERD_ROOT_USER=s3-tests-root SHERD_ROOT_PASSWORD=s3-tests-root-secret
export SHERD_OBJECT_OWNERSHIP=ObjectWriter SHERD_REGION=us-east-1
export SHERD_KMS_SECRET_KEY="key1:MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
export PYTHONDONTWRITEBYTECODE=1 PYTHONPATH="$here"

# run_tests http|tls "SERVER'S FLAGS" "PYTEST'S ARGUMENTS"…
run_tests() {
  transport=$1
  flags=$2
  shift 2
  folder=$scratch/$transport
  rm -f "$results/$transport.xml"
  mkdir -p "$folder/d1" "$folder/d2" "$folder/d3" "$folder/d4"
  # shellcheck disable=SC2086 # flags are words
  start_server "$folder" $flags './d{1...4}' || exit 1
  bun "$here/prepare.ts" "$ADDRESS" "$folder/s3tests.conf" || exit 1
  (
    cd "$S3TESTS_DIR" || exit 1
    S3TEST_CONF=$folder/s3tests.conf S3TESTS_TRANSPORT=$transport \
      "$venv/bin/python" -m pytest -q --tb=short --timeout=120 -p no:cacheprovider -p transport \
      --junit-xml="$results/$transport.xml" \
      s3tests/functional/test_s3.py s3tests/functional/test_s3select.py "$@" > "$results/$transport.log" 2>&1
  )
  stop_server
  [ -s "$results/$transport.xml" ] && return
  tail -n 30 "$results/$transport.log"
  echo "0 passed, 1 failed, 0 skipped"
  exit 1
}
run_tests http "" "$@"
run_tests tls "--certs-dir $scratch/certs" "$@"
cd "$root" && bun "$here/compare.ts" "$here/expected-failures.tsv" "$#" "$results/http.xml" "$results/tls.xml"
