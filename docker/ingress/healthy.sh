#!/bin/bash
# Whether the first port of the configuration takes connections.
port=$(grep -oP '^\s*bind\s+\S*:\K\d+' /tmp/haproxy.cfg | head -n 1)
exec 3<>"/dev/tcp/127.0.0.1/${port:?no bind in the configuration}"
