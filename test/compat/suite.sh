# Sourced by the suites written in shell: named checks that go on after a failure, and the last line with the counts.
# Environment from run.sh: ENDPOINT, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION, SHERD_COMPAT_DIR, WORK (a fresh folder).

passed=0
failed=0
skipped=0

# check SENTENCE COMMAND…: one check; its output is shown only when it fails.
check() {
  sentence=$1
  shift
  if "$@" > "$WORK/check.out" 2>&1; then
    passed=$((passed + 1))
    echo "ok   $sentence"
  else
    failed=$((failed + 1))
    echo "FAIL $sentence"
    sed 's/^/     /' "$WORK/check.out" | head -n 30
  fi
}

# refused SENTENCE TEXT COMMAND…: the command must fail, and say TEXT.
refused() {
  sentence=$1
  expected=$2
  shift 2
  check "$sentence" sh -c 'text=$1; shift; if out=$("$@" 2>&1); then echo "succeeded: $out"; exit 1; fi
    case $out in *"$text"*) ;; *) echo "no $text in: $out"; exit 1 ;; esac' sh "$expected" "$@"
}

# says TEXT COMMAND…: the command must succeed and its output must contain TEXT.
says() {
  expected=$1
  shift
  out=$("$@" 2>&1) || { echo "$out"; return 1; }
  case $out in *"$expected"*) ;; *) echo "no $expected in: $out"; return 1 ;; esac
}

# same COMMAND-OUTPUT-FILE FILE | same FOLDER FOLDER
same() {
  diff -r "$1" "$2"
}

# noise FILE BYTES: incompressible content.
noise() {
  head -c "$2" /dev/urandom > "$1"
}

# finish: the counts as the last line; the exit status.
finish() {
  echo "$passed passed, $failed failed, $skipped skipped"
  [ "$failed" -eq 0 ]
}
