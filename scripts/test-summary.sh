#!/bin/sh
# Runs `bun test` on the folders or files given and ends with the plain line "N passed, N failed, N skipped".
# An error outside a test, and a run that died before its summary, count as one failure. Exit status 0 only when nothing failed.
set -u
cd "$(dirname "$0")/.."

mkdir -p build
output=$(mktemp build/test-output.XXXXXX)
trap 'rm -f "$output"' EXIT

files=$(find "$@" \( -name '*.test.ts' -o -name '*.spec.ts' \) -not -path 'test/compat/*' 2>/dev/null | sort)
if [ -z "$files" ]; then
  echo "no tests in $*"
  echo "0 passed, 0 failed, 0 skipped"
  exit 0
fi

fixtures=${SHERD_FIXTURES:-../shared/fixtures}
if [ ! -d "$fixtures" ]; then
  echo "What MinIO wrote is not at $fixtures (SHERD_FIXTURES): tests that need it are skipped."
fi

# The names are made by `find` in this tree: kebab-case, no blanks. "./" makes them paths, not filters.
{ bun test --timeout 60000 $(printf './%s ' $files) 2>&1; echo "exit status $?" ; } | tee "$output" | grep -v '^exit status '

awk '
  / pass$/ && NF == 2 { passed = $1; summary = 1 }
  / fail$/ && NF == 2 { failed = $1 }
  / errors?$/ && NF == 2 { errors = $1 }
  / skip$/ && NF == 2 { skipped += $1 }
  / todo$/ && NF == 2 { skipped += $1 }
  /^exit status / { status = $3 }
  END {
    if (errors > failed) failed = errors # Bun counts them as failed tests too
    if ((!summary || status != 0) && failed == 0) failed = 1
    printf "%d passed, %d failed, %d skipped\n", passed, failed, skipped
    exit failed > 0
  }' "$output"
