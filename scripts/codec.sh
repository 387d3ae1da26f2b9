#!/bin/sh
# Builds the native codec, build/libsherd-codec.so, when a source of it is newer than the library.
set -eu
cd "$(dirname "$0")/.."

library=build/libsherd-codec.so
if [ ! -e "$library" ] || [ -n "$(find src/codec/native -newer "$library" -type f | head -n 1)" ]; then
  sh src/codec/native/build.sh
fi
