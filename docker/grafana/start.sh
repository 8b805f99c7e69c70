#!/bin/sh
# Grafana's own start, refused without a password: its default is known to everybody.
set -eu
if [ -z "${GF_SECURITY_ADMIN_PASSWORD:-}" ]; then
  echo "start.sh: GF_SECURITY_ADMIN_PASSWORD is empty; set it to a long random text" >&2
  exit 64
fi
exec /run.sh "$@"
