#!/usr/bin/env bash
# MLflow's tracking server: mlflow.sh WORKSPACE HOST PORT
# Runs, metrics and models lie in the workspace, so that they are still there after `labctl down` and `labctl up`.
set -euo pipefail
kept=$1/.mlflow host=$2 port=$3
mkdir -p "$kept/artifacts"
# Names a request may come in under: of the service in a session of containers, of this machine, of private networks.
exec mlflow server --backend-store-uri "sqlite:///$kept/mlflow.db" --artifacts-destination "$kept/artifacts" \
  --host "$host" --port "$port" --workers 1 \
  --allowed-hosts "mlflow,mlflow:*,localhost,localhost:*,127.0.0.1,127.0.0.1:*,10.*,172.*,192.168.*"
