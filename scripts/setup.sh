#!/bin/sh
# Makes this clone able to build: Bun into .tools (from npm, without install scripts), dependencies into node_modules.
# Does nothing, quickly, when both are there. Needs npm and a network the first time; no root.
set -eu
cd "$(dirname "$0")/.."

BUN_VERSION=1.4.5

bun_package() {
  case "$(uname -s)-$(uname -m)" in
    Linux-x86_64)
      if grep -qw avx2 /proc/cpuinfo; then echo @oven/bun-linux-x64; else echo @oven/bun-linux-x64-baseline; fi ;;
    Linux-aarch64 | Linux-arm64) echo @oven/bun-linux-aarch64 ;;
    *) echo "setup: no Bun package is known for $(uname -s) on $(uname -m)" >&2; exit 1 ;;
  esac
}

if [ "$(.tools/bin/bun --version 2>/dev/null || true)" != "$BUN_VERSION" ]; then
  package=$(bun_package)
  echo "setup: installing $package@$BUN_VERSION into .tools" >&2
  rm -rf .tools/npm .tools/bin
  mkdir -p .tools/npm .tools/bin
  # The package of one platform holds the executable itself; the package "bun" would fetch it in an install script.
  npm install --ignore-scripts --no-save --no-audit --no-fund --no-package-lock --loglevel=error \
    --prefix .tools/npm "$package@$BUN_VERSION" >&2
  ln -s "../npm/node_modules/$package/bin/bun" .tools/bin/bun
  ln -s bun .tools/bin/bunx
  found=$(.tools/bin/bun --version) || { echo "setup: $package does not run here" >&2; exit 1; }
  [ "$found" = "$BUN_VERSION" ] || { echo "setup: expected Bun $BUN_VERSION, found $found" >&2; exit 1; }
fi

stamp=node_modules/.sherd-setup
wanted=$(cat package.json bun.lock bunfig.toml | cksum)
if [ "$(cat "$stamp" 2>/dev/null || true)" != "$wanted" ]; then
  .tools/bin/bun install --frozen-lockfile >&2
  echo "$wanted" > "$stamp"
fi
