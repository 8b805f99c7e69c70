#!/bin/sh
# Put labctl, whose files are in $2, into /opt/labctl as a wheel would, and make the environment $1 know it. For the build stage.
# Apart from the environment, so that a new labctl is a small layer on what it needs.
set -eu
environment=$1 source=$2
python=$environment/bin/python
mkdir -p /opt/labctl/labctl/_data
cp -R "$source/src/labctl/." /opt/labctl/labctl/
cp -R "$source/labs" "$source/docker" /opt/labctl/labctl/_data/
packages=$("$python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
echo /opt/labctl >"$packages/labctl.pth"
cat >"$environment/bin/labctl" <<END
#!$python
import sys
from labctl.cli.main import main
sys.exit(main())
END
chmod 755 "$environment/bin/labctl"
"$python" -m compileall -q /opt/labctl/labctl -x '/_data/'
