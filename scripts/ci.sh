#!/bin/sh
# What continuous integration runs: check, test, native, build, compat. Each step runs whether or not the one before passed, and
# the last line is the sum: a step without counts of its own is one passed or one failed.
set -u
cd "$(dirname "$0")/.."

mkdir -p build
log=$(mktemp build/ci-output.XXXXXX)
sums=$(mktemp build/ci-sums.XXXXXX)
trap 'rm -f "$log" "$sums"' EXIT

# step NAME: runs `make NAME`; takes the counts of its last line, if it prints them.
step() {
  echo "ci: make $1"
  { make --no-print-directory "$1" 2>&1; echo "exit status $?"; } | tee "$log" | grep -v '^exit status '
  awk '
    /^[0-9]+ passed, [0-9]+ failed, [0-9]+ skipped$/ { passed = $1; failed = $3; skipped = $5; counted = 1 }
    /^exit status / { status = $3 }
    END {
      if (status != 0 && failed == 0) failed = 1
      if (status == 0 && !counted) passed = 1
      print passed + 0, failed + 0, skipped + 0
    }' "$log" >> "$sums"
}

step check
step test
step native
step build
step compat

awk '
  { passed += $1; failed += $2; skipped += $3 }
  END { printf "%d passed, %d failed, %d skipped\n", passed, failed, skipped; exit failed > 0 }' "$sums"
