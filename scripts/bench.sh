#!/bin/sh
# Micro benchmarks of bench/micro, then the load generator of bench/macro against dist/sherd. See bench/README.md.
set -eu
cd "$(dirname "$0")/.."

for file in bench/micro/*.ts; do
  if [ -e "$file" ]; then bun "$file"; fi
done
if [ -e bench/macro/main.ts ]; then bun bench/macro/main.ts "$@"; fi
