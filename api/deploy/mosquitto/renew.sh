#!/bin/sh
# Keeps the broker's accounts and rights as Lintel has them: writes Mosquitto's files anew twice a minute, and has it read
# them again when they are not as they were.
#   api/deploy/mosquitto/renew.sh DIR PID-OF-MOSQUITTO [SECONDS]
set -u
dir=$1
pid=$2
seconds=${3:-30}
cd "$(dirname "$0")/../../.."
while :; do
  touch "$dir/.looked"
  node api/broker/acl-main.ts --out "$dir" >/dev/null || echo 'The rights at the broker are as they were before.' >&2
  if [ -n "$(find "$dir/acl" "$dir/passwords" -newer "$dir/.looked" 2>/dev/null)" ]; then
    kill -HUP "$pid" && echo 'The broker reads its accounts and rights anew.'
  fi
  sleep "$seconds"
done
