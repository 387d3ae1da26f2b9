#!/bin/sh
# Ceph's s3-tests against a started dist/sherd, as a suite of test/compat/run.sh or by itself. The suite is not in this tree:
# S3TESTS_DIR names a checkout of https://github.com/ceph/s3-tests (without it the suite counts as skipped). Its Python
# requirements go into SHERD_COMPAT_DIR. Arguments go to pytest: `run.sh -k acl`. What fails is held against
# expected-failures.tsv; a failure that is not there fails the run, and so does an entry that passes: the list only shrinks.
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

venv=$SHERD_COMPAT_DIR/s3-tests
if ! cmp -s "$here/requirements.txt" "$venv/installed.txt"; then
  rm -rf "$venv"
  mkdir -p "$SHERD_COMPAT_DIR"
  python3 -m venv "$venv" &&
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check -r "$here/requirements.txt" >&2 &&
    cp "$here/requirements.txt" "$venv/installed.txt" || { echo "s3-tests: no Python environment"; exit 1; }
fi

scratch=$(mktemp -d "${TMPDIR:-/tmp}/sherd-s3-tests.XXXXXX")
trap 'stop_server; rm -rf "$scratch"' EXIT
trap 'exit 130' INT TERM
mkdir -p "$scratch/d1" "$scratch/d2" "$scratch/d3" "$scratch/d4"

# Users are accounts of their own there, as ceph's and AWS's are.
export SHERD_ROOT_USER=s3-tests-root SHERD_ROOT_PASSWORD=s3-tests-root-secret
export SHERD_OBJECT_OWNERSHIP=ObjectWriter SHERD_REGION=us-east-1
export SHERD_KMS_SECRET_KEY="key1:MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
start_server "$scratch" './d{1...4}' || exit 1
bun "$here/prepare.ts" "$ADDRESS" "$scratch/s3tests.conf" || exit 1

cd "$S3TESTS_DIR" || exit 1
S3TEST_CONF=$scratch/s3tests.conf PYTHONDONTWRITEBYTECODE=1 \
  "$venv/bin/python" -m pytest -q --tb=line --timeout=120 -p no:cacheprovider --junit-xml="$scratch/results.xml" \
  s3tests/functional/test_s3.py "$@" > "$scratch/pytest.log" 2>&1
[ -s "$scratch/results.xml" ] || { tail -n 30 "$scratch/pytest.log"; echo "0 passed, 1 failed, 0 skipped"; exit 1; }
cd "$root" && bun "$here/compare.ts" "$scratch/results.xml" "$here/expected-failures.tsv" "$#"
