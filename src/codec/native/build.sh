#!/bin/sh
# Builds the native codec with a C compiler alone.
#   CC=gcc       the compiler, also a cross compiler
#   OUT=file     default build/libsherd-codec.so of the repository
#   SAN=1        with AddressSanitizer and UndefinedBehaviorSanitizer
#   CFLAGS=...   appended
# Newer instructions than x86-64-v2 are used only in functions that say so and are chosen at run time.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../../.." && pwd)
cc=${CC:-gcc}
out=${OUT:-$root/build/libsherd-codec.so}

flags="-O3 -std=c11 -fPIC -shared -fvisibility=hidden -pthread -Wall -Wextra -Wno-psabi -Wno-maybe-uninitialized"
case $($cc -dumpmachine) in
  x86_64*) flags="$flags -march=x86-64-v2" ;;
esac
if [ "${SAN:-0}" = 1 ]; then
  flags="$flags -g -fsanitize=address,undefined -fno-sanitize-recover=all"
else
  flags="$flags -s"
fi

mkdir -p "$(dirname "$out")"
# Written aside and renamed: a running process keeps the library that it has mapped. Flags are words, hence unquoted.
# shellcheck disable=SC2086
$cc $flags ${CFLAGS:-} "$here"/*.c -o "$out.$$" && mv "$out.$$" "$out"
