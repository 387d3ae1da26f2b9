#!/bin/sh
# A server on ./data1 … ./data4 of this clone, made on the first run. ADDRESS=:9100 chooses another port.
set -eu
cd "$(dirname "$0")/.."

mkdir -p data1 data2 data3 data4
exec dist/sherd server --address "${ADDRESS:-:9000}" './data{1...4}'
