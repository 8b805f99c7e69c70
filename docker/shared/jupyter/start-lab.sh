#!/bin/sh
# JupyterLab on port 8888. Behind a JupyterHub, which says so in the environment, the Hub decides who comes in; else whoever has
# the token, which comes from outside and is never empty: whoever has it has a shell.
set -eu
layouts="$HOME/.jupyter/lab/workspaces"
if [ ! -e "$layouts" ]; then # the instructions beside a terminal; from then on the layout is the learner's own
  mkdir -p "$layouts" && cp /opt/jupyter/share/labctl/layout.json "$layouts/default-37a8.jupyterlab-workspace" || true
fi
if [ -n "${JUPYTERHUB_SERVICE_PREFIX:-}" ]; then
  exec /opt/jupyter/bin/jupyterhub-singleuser "$@"
fi
if [ -z "${JUPYTER_TOKEN:-}" ]; then
  echo "start-lab.sh: JUPYTER_TOKEN is empty; set it to a long random text" >&2
  exit 64
fi
exec /opt/jupyter/bin/jupyter-lab "$@"
