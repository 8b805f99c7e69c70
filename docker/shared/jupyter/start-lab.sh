#!/bin/sh
# JupyterLab on port 8888. Its token comes from outside and is never empty: whoever has it has a shell.
set -eu
if [ -z "${JUPYTER_TOKEN:-}" ]; then
  echo "start-lab.sh: JUPYTER_TOKEN is empty; set it to a long random text" >&2
  exit 64
fi
exec /opt/jupyter/bin/jupyter-lab "$@"
