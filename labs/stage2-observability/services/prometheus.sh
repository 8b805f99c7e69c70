#!/usr/bin/env bash
# Prometheus with the workspace's configuration: prometheus.sh WORKSPACE HOST:PORT NAME=URL…
# Ports can differ from session to session, so where the services are goes into targets/NAME.json, which Prometheus' file-based
# discovery reads again when it changes.
set -euo pipefail
workspace=$1 listen=$2
shift 2
mkdir -p "$workspace/targets"
for service in "$@"; do
  name=${service%%=*} url=${service#*=}
  printf '[{"targets": ["%s"], "labels": {"service": "%s"}}]\n' "${url#*://}" "$name" > "$workspace/targets/$name.json"
done
cd "$workspace"
exec prometheus --config.file=prometheus.yml --storage.tsdb.path=.prometheus --storage.tsdb.retention.time=6h \
  --web.listen-address="$listen" --web.enable-lifecycle --log.level=warn
