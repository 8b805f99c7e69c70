#!/bin/sh
# Make /opt/jupyter: JupyterLab in an environment of its own, settings for a container, and a kernel of the learner's environment.
set -eu
here=$(dirname "$0")
"$here/make-env.sh" /opt/jupyter "$here/jupyter.txt"
install -D -m 644 "$here/jupyter_server_config.py" /opt/jupyter/etc/jupyter/jupyter_server_config.py
install -D -m 644 "$here/page_config.json" /opt/jupyter/etc/jupyter/labconfig/page_config.json
install -D -m 644 "$here/kernel.json" /opt/jupyter/share/jupyter/kernels/python3/kernel.json
install -D -m 644 "$here/layout.json" /opt/jupyter/share/labctl/layout.json
install -D -m 644 "$here/kernel.py" /opt/jupyter/share/labctl/kernel.py
notice=/opt/jupyter/share/jupyter/labextensions/labctl-notice
install -D -m 644 "$here/notice/package.json" "$notice/package.json"
install -D -m 644 "$here/notice/remoteEntry.js" "$notice/static/remoteEntry.js"
install -D -m 755 "$here/start-lab.sh" /opt/jupyter/bin/start-lab.sh
