#!/bin/sh
# The C tests of the codec (test/codec-native), each program in every build that this machine can make and run: with
# AddressSanitizer and UndefinedBehaviorSanitizer, the pool with ThreadSanitizer, and for arm64 under qemu-user, so that NEON
# runs. As root on Debian it installs the cross compiler and qemu if they are missing (SHERD_ARM64=off leaves arm64 out).
# A build that cannot be had is said and counted as skipped. Last line "N passed, N failed, N skipped".
set -u
cd "$(dirname "$0")/.."

TESTS="coding digest crypto glance pool"
ARM64_PACKAGES="gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user"
WRAPS=-Wl,--wrap=sherd_hash,--wrap=sherd_encode,--wrap=sherd_rebuild_slots,--wrap=sherd_verify_slots,--wrap=sherd_digest_final
FLAGS="-std=c11 -pthread -Wall -Wextra -Wno-psabi -Wno-maybe-uninitialized -g0"
# A hang is a failure: no program takes a tenth of this.
SECONDS_MAX=100

mkdir -p build
work=$(mktemp -d build/codec-native.XXXXXX)
trap 'rm -rf "$work"' EXIT
: > "$work/sums"

# Flags are words, hence unquoted below.
# shellcheck disable=SC2086
build() { # NAME COMPILER FLAGS…: the library's objects and the tests, in $work/NAME
  name=$1 cc=$2
  shift 2
  mkdir "$work/$name"
  for source in src/codec/native/*.c test/codec-native/*.c; do
    echo "$source"
  done | xargs -P 4 -I{} sh -c 'cc=$1 out=$2 source=$3; shift 3; exec $cc "$@" -c "$source" -o "$out/$(basename "$source" .c).o"' \
    build "$cc" "$work/$name" {} $FLAGS "$@" || return 1
  for test in $TESTS; do
    wraps=
    if [ "$test" = coding ]; then wraps=$WRAPS; fi
    objects=$(for source in src/codec/native/*.c; do echo "$work/$name/$(basename "$source" .c).o"; done)
    $cc $FLAGS "$@" $wraps "$work/$name/check.o" "$work/$name/$test-test.o" $objects -o "$work/$name/$test-test" || return 1
  done
}

count() { # PASSED FAILED SKIPPED
  echo "$1 $2 $3" >> "$work/sums"
}

run() { # NAME TEST [RUNNER]: one program of a build, its counts into the sum
  name=$1 test=$2
  shift 2
  echo "codec-native: $test ($name)"
  timeout "$SECONDS_MAX" "$@" "$work/$name/$test-test" > "$work/output" 2>&1
  status=$?
  cat "$work/output"
  sum=$(grep -E '^[0-9]+ passed, [0-9]+ failed, [0-9]+ skipped$' "$work/output" | tail -n 1 | sed 's/[^0-9 ]//g')
  # shellcheck disable=SC2086
  set -- $sum
  if [ "$status" -ne 0 ] && [ "${2:-0}" -eq 0 ]; then
    echo "codec-native: $test ($name) ended with status $status"
    count "${1:-0}" 1 "${3:-0}"
  else
    count "$1" "$2" "$3"
  fi
}

skip() { # NAME REASON
  echo "codec-native: $1 skipped: $2"
  count 0 0 1
}

native_flags() {
  case $(${CC:-gcc} -dumpmachine) in
    x86_64*) echo -march=x86-64-v2 ;;
  esac
}

sanitized() {
  # shellcheck disable=SC2046
  build asan "${CC:-gcc}" -O1 -fsanitize=address,undefined -fno-sanitize-recover=all $(native_flags) ||
    { echo "codec-native: the build with sanitizers failed"; count 0 1 0; return; }
  for test in $TESTS; do run asan "$test"; done
}

threads() {
  # shellcheck disable=SC2046
  if ! build tsan "${CC:-gcc}" -O1 -fsanitize=thread $(native_flags); then
    echo "codec-native: the build with ThreadSanitizer failed"
    count 0 1 0
    return
  fi
  # Some kernels lay out memory as TSan cannot bear; without address randomization all do.
  if setarch -R true 2> /dev/null; then run tsan pool setarch -R; else run tsan pool; fi
}

have_arm64() {
  command -v aarch64-linux-gnu-gcc > /dev/null && { command -v qemu-aarch64 || command -v qemu-aarch64-static; } > /dev/null
}

install_arm64() {
  [ "$(id -u)" = 0 ] && command -v apt-get > /dev/null || return 1
  # shellcheck disable=SC2086
  { timeout 60 apt-get update && DEBIAN_FRONTEND=noninteractive timeout 120 apt-get install -y --no-install-recommends $ARM64_PACKAGES; } > "$work/apt" 2>&1
}

arm64() {
  if [ "${SHERD_ARM64:-on}" = off ]; then skip arm64 "SHERD_ARM64=off"; return; fi
  if ! have_arm64 && ! { install_arm64 && have_arm64; }; then
    skip arm64 "$ARM64_PACKAGES are not installed and could not be"
    return
  fi
  qemu=$(command -v qemu-aarch64 || command -v qemu-aarch64-static)
  if ! build arm64 aarch64-linux-gnu-gcc -O2 -static; then
    echo "codec-native: the build for arm64 failed"
    count 0 1 0
    return
  fi
  for test in $TESTS; do run arm64 "$test" env SHERD_EMULATED=1 "$qemu"; done
}

sanitized
threads
arm64

awk '
  { passed += $1; failed += $2; skipped += $3 }
  END { printf "%d passed, %d failed, %d skipped\n", passed, failed, skipped; exit failed > 0 }' "$work/sums"
