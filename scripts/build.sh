#!/bin/sh
# dist/sherd: Bun, the program and the codec library in one file. The library is embedded by an import in src/codec; a worker is
# an entry point of its own (src/sys/sqlite-tables.ts names it).
set -eu
cd "$(dirname "$0")/.."

mkdir -p dist
bun build --compile --minify-syntax src/main.ts src/sys/sqlite-writer.ts --outfile dist/sherd
