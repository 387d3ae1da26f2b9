# Sourced by run.sh and takeover.sh: start_server and stop_server of one server on loopback, any free port.
# start_server FOLDER ARGUMENTS…: runs SHERD_BIN in FOLDER with the caller's environment; sets ADDRESS and SERVER_PID, or
# returns 1 with the log shown. The server says its address in the log event "listening" (--json, on stdout).

: "${SHERD_BIN:=$(cd "$(dirname "$0")/../.." && pwd)/dist/sherd}"
SERVER_PID=

start_server() {
  server_folder=$1
  shift
  SERVER_LOG=$server_folder/server.log
  ADDRESS=
  (cd "$server_folder" && exec "$SHERD_BIN" server --json --address 127.0.0.1:0 "$@" > "$SERVER_LOG" 2>&1) &
  SERVER_PID=$!
  tries=0
  while [ -z "$ADDRESS" ]; do
    ADDRESS=$(grep -s '"event":"listening"' "$SERVER_LOG" | head -n 1 | sed -n 's/.*"address":"\([^"]*\)".*/\1/p')
    tries=$((tries + 1))
    if ! kill -0 "$SERVER_PID" 2>/dev/null || [ "$tries" -gt 300 ]; then
      if [ -n "$ADDRESS" ]; then return 0; fi
      echo "the server did not start:"
      tail -n 20 "$SERVER_LOG"
      stop_server
      return 1
    fi
    [ -n "$ADDRESS" ] || sleep 0.1
  done
}

stop_server() {
  if [ -n "$SERVER_PID" ]; then
    kill -TERM "$SERVER_PID" 2>/dev/null
    wait "$SERVER_PID" 2>/dev/null
  fi
  SERVER_PID=
}
