#!/bin/sh
# MinIO's own client administers the server: SHERD_COMPAT_MC names the executable; without it nothing is run, and that is said.
. "$(dirname "$0")/../suite.sh"

if [ -z "${SHERD_COMPAT_MC:-}" ]; then
  echo "mc: SHERD_COMPAT_MC names no client: nothing was run"
  skipped=1
  finish
  exit
fi

# A command of its own, so that it is found by the checks that run in another shell, too.
mkdir -p "$WORK/bin"
printf '#!/bin/sh\nexec "%s" --config-dir "%s" --no-color "$@"\n' "$SHERD_COMPAT_MC" "$WORK/mc" > "$WORK/bin/mc"
chmod +x "$WORK/bin/mc"
PATH=$WORK/bin:$PATH
export PATH
# As another user: alias, key, secret.
alias_as() { mc alias set "$1" "$ENDPOINT" "$2" "$3"; }

check "alias set" alias_as root "$AWS_ACCESS_KEY_ID" "$AWS_SECRET_ACCESS_KEY"
check "mb" mc mb root/mc-admin
echo content > "$WORK/file"
check "cp up" mc cp "$WORK/file" root/mc-admin/folder/file

check "info" says "drives online" mc admin info root
check "user add" mc admin user add root mc-anna anna-secret-1
check "user ls" says mc-anna mc admin user ls root
check "user info" says enabled mc admin user info root mc-anna
check "alias of the user" alias_as anna mc-anna anna-secret-1
refused "a user without policies reads nothing" "Insufficient permissions" mc cat anna/mc-admin/folder/file
cat > "$WORK/policy.json" <<'JSON'
{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["s3:GetObject"],"Resource":["arn:aws:s3:::mc-admin/folder/*"]}]}
JSON
check "policy create" mc admin policy create root mc-read "$WORK/policy.json"
check "policy ls" says mc-read mc admin policy ls root
check "policy info" says mc-admin/folder mc admin policy info root mc-read
check "policy attach" mc admin policy attach root mc-read --user mc-anna
check "the user reads" says content mc cat anna/mc-admin/folder/file
refused "the user does not write" "Insufficient permissions" mc cp "$WORK/file" anna/mc-admin/folder/other
check "policy entities" says mc-anna mc admin policy entities root --policy mc-read
check "policy detach" mc admin policy detach root mc-read --user mc-anna
refused "detached, the user reads no more" "Insufficient permissions" mc cat anna/mc-admin/folder/file

check "group add" mc admin group add root mc-staff mc-anna
check "group ls" says mc-staff mc admin group ls root
check "group attach" mc admin policy attach root mc-read --group mc-staff
check "the member reads" says content mc cat anna/mc-admin/folder/file
check "group info" says mc-anna mc admin group info root mc-staff
check "group disable" mc admin group disable root mc-staff
refused "a disabled group's member reads nothing" "Insufficient permissions" mc cat anna/mc-admin/folder/file
check "group enable" mc admin group enable root mc-staff

check "accesskey create" mc admin accesskey create root mc-anna --access-key MCANNAKEY1 --secret-key anna-key-secret --name key1
check "alias of the key" alias_as key MCANNAKEY1 anna-key-secret
check "the key reads" says content mc cat key/mc-admin/folder/file
check "accesskey ls" says MCANNAKEY1 mc admin accesskey ls root mc-anna
check "accesskey info" says mc-anna mc admin accesskey info root MCANNAKEY1
check "accesskey edit" mc admin accesskey edit root MCANNAKEY1 --description changed
check "accesskey disable" mc admin accesskey disable root MCANNAKEY1
refused "a disabled key is none" "Access Key Id" mc cat key/mc-admin/folder/file
check "accesskey enable" mc admin accesskey enable root MCANNAKEY1
check "accesskey of one's own" mc admin accesskey create anna --access-key MCANNAOWN1 --secret-key anna-own-secret
check "accesskey rm" mc admin accesskey rm root MCANNAKEY1
check "svcacct ls" says MCANNAOWN1 mc admin user svcacct ls root mc-anna
check "svcacct rm" mc admin user svcacct rm root MCANNAOWN1

check "config get" says speed=default mc admin config get root scanner
check "config set" mc admin config set root scanner speed=slow
check "config get shows it" says speed=slow mc admin config get root scanner
refused "config refuses what is unknown" "invalid keys" mc admin config set root scanner nokey=1
check "config history" says speed=slow mc admin config history root
check "config reset" mc admin config reset root scanner
check "config export" says identity_openid mc admin config export root
check "idp openid ls" mc idp openid ls root
check "idp ldap ls" mc idp ldap ls root

check "quota set" mc quota set root/mc-admin --size 1MiB
check "quota info" says "1.0 MiB" mc quota info root/mc-admin
noise "$WORK/large" 2000000
refused "a quota is held" "quota" mc cp "$WORK/large" root/mc-admin/large
check "quota clear" mc quota clear root/mc-admin
check "cp without the quota" mc cp "$WORK/large" root/mc-admin/large

check "cluster iam export" sh -c 'cd "$1" && shift && "$@"' sh "$WORK" mc admin cluster iam export root
check "cluster iam import" mc admin cluster iam import root "$WORK/root-iam-info.zip"
check "cluster bucket export" sh -c 'cd "$1" && shift && "$@"' sh "$WORK" mc admin cluster bucket export root/mc-admin

check "user disable" mc admin user disable root mc-anna
refused "a disabled user is none" "Access Key Id" mc cat anna/mc-admin/folder/file
check "user enable" mc admin user enable root mc-anna
check "group rm member" mc admin group rm root mc-staff mc-anna
check "group rm" mc admin group rm root mc-staff
check "user rm" mc admin user rm root mc-anna
refused "what is removed is gone" "does not exist" mc admin user info root mc-anna
check "policy rm" mc admin policy rm root mc-read
check "rb" mc rb --force root/mc-admin

# Its own functional tests, which are not in this tree: SHERD_COMPAT_MC_TESTS names functional-tests.sh of a checkout. Needs jq.
if [ -f "${SHERD_COMPAT_MC_TESTS:-}" ]; then
  mkdir -p "$WORK/functional/data"
  ln -sf "$SHERD_COMPAT_MC" "$WORK/functional/mc"
  (cd "$WORK/functional" &&
    SERVER_ENDPOINT=${ENDPOINT#http://} ACCESS_KEY=$AWS_ACCESS_KEY_ID SECRET_KEY=$AWS_SECRET_ACCESS_KEY ENABLE_HTTPS=0 \
      MINT_MODE=full MINT_DATA_DIR=$WORK/functional/data bash "$SHERD_COMPAT_MC_TESTS" > results.json 2> errors.txt)
  [ -s "$WORK/functional/results.json" ] || { tail -n 5 "$WORK/functional/errors.txt"; failed=$((failed + 1)); }
  grep '"status": "FAIL"' "$WORK/functional/results.json"
  passed=$((passed + $(grep -c '"status": "PASS"' "$WORK/functional/results.json")))
  failed=$((failed + $(grep -c '"status": "FAIL"' "$WORK/functional/results.json")))
fi
finish
