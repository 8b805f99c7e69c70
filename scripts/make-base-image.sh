#!/usr/bin/env bash
# Make a base image for docker/ without a registry: Debian with Python, from the distribution's own packages.
#   scripts/make-base-image.sh [TAG]     then: export LABCTL_BASE_IMAGE=TAG
# Nothing happens when the engine has TAG already. Needs root, or user namespaces, for mmdebstrap.
set -euo pipefail
tag=${1:-labctl-base:bookworm}
suite=${SUITE:-bookworm}

if docker image inspect "$tag" >/dev/null 2>&1; then
  echo "$tag"
  exit 0
fi
if ! command -v mmdebstrap >/dev/null; then
  echo "make-base-image.sh: mmdebstrap is missing; sudo apt-get install -y mmdebstrap" >&2
  exit 4
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# Packages for builds come from the same mirror, with the same certificates in front of it, as those of this machine.
mmdebstrap --quiet --variant=minbase --include=apt,python3,python3-venv,ca-certificates "$suite" "$work/base.tar" ${MIRROR:+"$MIRROR"} >&2
docker import \
  --change 'ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' \
  --change 'CMD ["bash"]' \
  --message "Debian $suite with Python, made by mmdebstrap" \
  "$work/base.tar" "$tag" >/dev/null
echo "$tag"
