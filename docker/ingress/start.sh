#!/bin/sh
# Write the configuration that the environment brings, and become HAProxy: the root file system is read-only, /tmp is not.
set -eu
: "${HAPROXY_CONFIG:?give HAProxy configuration in the variable HAPROXY_CONFIG}"
printf '%s\n' "$HAPROXY_CONFIG" > /tmp/haproxy.cfg
# -W: a master that ends with SIGTERM also where it is process 1; HAProxy alone would not hear it there.
exec haproxy -W -db -f /tmp/haproxy.cfg "$@"
