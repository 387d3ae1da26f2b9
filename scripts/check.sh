#!/bin/sh
# The fast gates, at the same time: format and lint (Biome), floating promises (oxlint), types (tsc), house rules (tidy).
# Prints the output of those that failed only.
set -u
cd "$(dirname "$0")/.."

results=$(mktemp -d)
trap 'rm -rf "$results"' EXIT

gate() {
  name=$1
  shift
  { "$@" > "$results/$name.out" 2>&1 || : > "$results/$name.failed"; } &
}

gate biome biome check --error-on-warnings --colors=off .
gate oxlint oxlint --type-aware --deny-warnings src test bench
gate tsc tsc --noEmit -p .
gate tidy bun test --only-failures test/tidy.test.ts
wait

status=0
for name in biome oxlint tsc tidy; do
  if [ -e "$results/$name.failed" ]; then
    status=1
    echo "check: $name failed"
    cat "$results/$name.out"
  else
    echo "check: $name ok"
  fi
done
exit $status
