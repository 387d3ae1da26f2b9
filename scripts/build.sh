#!/bin/sh
# dist/sherd: Bun, the program and the codec library in one file. The library is embedded by an import in src/codec.
set -eu
cd "$(dirname "$0")/.."

mkdir -p dist
bun build --compile --minify-syntax src/main.ts --outfile dist/sherd
