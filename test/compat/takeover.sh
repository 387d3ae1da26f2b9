#!/bin/sh
# Each drive set that a MinIO server wrote, encrypted and compressed ones too: unpacked, served by dist/sherd with that server's arguments,
# environment and credentials, and compared with what MinIO showed, by the judge that lies beside the fixtures.
# Counts are those of the judge's single comparisons. `takeover.sh NAME…` runs these sets only.
# With SHERD_COMPAT_MC, MinIO's client, what it shows of identities is compared too; who may log in to do what always is.
# Needs python3; the fixtures are at SHERD_FIXTURES (default ../shared/fixtures of the repository).
set -u
here=$(cd "$(dirname "$0")" && pwd)
. "$here/server.sh"
fixtures=${SHERD_FIXTURES:-$here/../../../shared/fixtures}
judge=$fixtures/../tools/takeover-check.py

if ! ls "$fixtures"/takeover/*.tar.gz > /dev/null 2>&1 || [ ! -e "$judge" ]; then
  echo "takeover: no fixtures at $fixtures: nothing was compared"
  echo "0 passed, 0 failed, 1 skipped"
  exit 0
fi
if ! command -v python3 > /dev/null; then
  echo "takeover: the judge needs python3, which this machine does not have"
  echo "0 passed, 0 failed, 1 skipped"
  exit 0
fi

scratch=$(mktemp -d "${TMPDIR:-/tmp}/sherd-takeover.XXXXXX")
trap 'stop_server; rm -rf "$scratch"' EXIT
trap 'exit 130' INT TERM
total_passed=0
total_failed=0
total_skipped=0

# server_of EXPECTED: shell words that set root credentials, environment, tls and arguments of a set.
server_of() {
  python3 - "$1" <<'PYTHON'
import json, shlex, sys
server = json.load(open(sys.argv[1]))["server"]
env = {**server["env"], "MINIO_ROOT_USER": server["root"]["accessKey"], "MINIO_ROOT_PASSWORD": server["root"]["secretKey"]}
print("\n".join(f"export {name}={shlex.quote(value)}" for name, value in env.items()))
print("tls=" + ("1" if server.get("tls") else "0"))
print("set -- " + " ".join(shlex.quote(argument) for argument in server["args"]))
PYTHON
}

# In a subshell, so that one set's environment does not reach the next.
judge_set() (
  name=$1
  expected=$fixtures/takeover/$name.expected.json
  folder=$scratch/$name
  mkdir -p "$folder"
  tar -xzf "$fixtures/takeover/$name.tar.gz" -C "$folder" --no-same-owner || exit 1
  eval "$(server_of "$expected")"
  export MINIO_CI_CD=1
  if [ "$tls" = 1 ]; then
    mkdir -p "$folder/certs"
    openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -addext subjectAltName=IP:127.0.0.1 \
      -keyout "$folder/certs/private.key" -out "$folder/certs/public.crt" 2> /dev/null || exit 1
    set -- --certs-dir "$folder/certs" "$@"
  fi
  trap stop_server EXIT
  start_server "$folder" "$@" || exit 1
  {
    python3 "$judge" --core --iam --endpoint "$ADDRESS" --expected "$expected"
    # What MinIO's client shows of identities. The settings of buckets, which --core leaves out, differ by design.
    if [ -n "${SHERD_COMPAT_MC:-}" ]; then
      python3 "$judge" --iam --mc "$SHERD_COMPAT_MC" --only "mc " --endpoint "$ADDRESS" --expected "$expected"
    fi
  } | summed
)

# MinIO judges signed callers by their own policies alone; here a bucket's policy counts for everybody, as on AWS (ADR 0009): what it
# shows to anonymous callers, it shows to users too. These comparisons, and these only, are taken out of the judge's output.
BY_DESIGN='^FAIL [[]login[]] login [^ ]*: GET /conf(/public/readable|[?]list-type=2&prefix=public%2F): expected .*"status": 403.* got .*"status": 200'
summed() {
  awk -v pattern="$BY_DESIGN" '
    $0 ~ pattern { excused++; next }
    /^[0-9]+ passed, [0-9]+ failed$/ { passed += $1; failed += $3; next }
    /^FAIL/ && ++shown > 40 { next }
    { print }
    END { failed -= excused; print passed + 0 " passed, " failed + 0 " failed"; exit failed > 0 || passed == 0 }'
}

for archive in "$fixtures"/takeover/*.tar.gz; do
  name=$(basename "$archive" .tar.gz)
  case " ${*:-$name} " in *" $name "*) ;; *) continue ;; esac
  echo "-- $name"
  judge_set "$name" > "$scratch/out" 2>&1
  status=$?
  counts=$(grep -E '^[0-9]+ passed, [0-9]+ failed' "$scratch/out" | tail -n 1)
  set_passed=$(echo "${counts:-0 passed, 0 failed}" | sed 's/^\([0-9]*\) passed.*/\1/')
  set_failed=$(echo "${counts:-0 passed, 0 failed}" | sed 's/^.*, \([0-9]*\) failed.*/\1/')
  if [ "$status" -ne 0 ] && [ "$set_failed" -eq 0 ]; then set_failed=1; fi
  if [ "$set_failed" -gt 0 ]; then cat "$scratch/out"; else echo "   $set_passed passed"; fi
  total_passed=$((total_passed + set_passed))
  total_failed=$((total_failed + set_failed))
  rm -rf "${scratch:?}/$name"
done

echo "$total_passed passed, $total_failed failed, $total_skipped skipped"
[ "$total_failed" -eq 0 ]
