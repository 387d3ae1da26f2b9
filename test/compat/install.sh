#!/bin/sh
# Installs the clients of the compat suites from their registries, without root, into a cache outside the tree:
# SHERD_COMPAT_DIR, default ~/.cache/sherd-compat. Does nothing for what is there. A client that cannot be installed is
# named on stderr and its suite is counted as failed by run.sh, except where the machine lacks Python (see run.sh).
set -u
here=$(cd "$(dirname "$0")" && pwd)
: "${SHERD_COMPAT_DIR:=${XDG_CACHE_HOME:-$HOME/.cache}/sherd-compat}"
MINIO_JS_VERSION=8.0.7
AWS_SDK_VERSION=3.1175.0

mkdir -p "$SHERD_COMPAT_DIR"
cd "$SHERD_COMPAT_DIR" || exit 1

# apt_download PACKAGE…: unpacks Debian packages into ./debian, with package lists of our own: no root, no system state.
apt_download() {
  mkdir -p apt/lists/partial apt/cache/archives/partial apt/debs debian
  apt_options="-q -o Dir::State::lists=$PWD/apt/lists -o Dir::Cache=$PWD/apt/cache -o APT::Sandbox::User= -o Debug::NoLocking=1"
  # The options are words without blanks as long as the cache folder has none.
  # shellcheck disable=SC2086
  apt-get $apt_options update >&2 && (cd apt/debs && apt-get $apt_options download "$@" >&2) || return 1
  for deb in apt/debs/*.deb; do dpkg -x "$deb" debian || return 1; done
}

python_clients() {
  requirements=$here/requirements.txt
  if cmp -s "$requirements" python/installed.txt; then return 0; fi
  rm -rf python
  if ! python3 -m venv python 2> venv.log; then
    # Debian without python3-venv: the wheel of pip itself is a package that needs no root to unpack.
    python3 -m venv --without-pip python && apt_download python3-pip-whl || return 1
    wheel=$(ls debian/usr/share/python-wheels/pip-*.whl | head -n 1)
    python/bin/python "$wheel/pip" install --quiet --no-index "$wheel" || return 1
  fi
  python/bin/python -m pip install --quiet --disable-pip-version-check -r "$requirements" >&2 || return 1
  cp "$requirements" python/installed.txt
}

node_clients() {
  wanted="minio@$MINIO_JS_VERSION @aws-sdk/client-s3@$AWS_SDK_VERSION"
  if [ "$(cat node/installed.txt 2>/dev/null)" = "$wanted" ]; then return 0; fi
  rm -rf node
  mkdir -p node
  # shellcheck disable=SC2086
  npm install --ignore-scripts --no-audit --no-fund --loglevel=error --prefix node $wanted >&2 || return 1
  echo "$wanted" > node/installed.txt
}

debian_clients() {
  if [ -x debian/usr/bin/rclone ] && [ -x debian/usr/bin/restic ]; then return 0; fi
  apt_download rclone restic
}

status=0
for step in python_clients node_clients debian_clients; do
  $step || { echo "install: $step failed" >&2; status=1; }
done
exit $status
