#!/usr/bin/env bash
# Have checkov look at what k8s/ is rendered to: every component on the base. k8s/.checkov.yaml says what it is not asked, and why.
# Needs kustomize, or a kubectl of 1.27 or later; checkov comes by `uv tool run` into an environment of its own.
set -euo pipefail
cd "$(dirname "$0")/.."
CHECKOV=${CHECKOV:-checkov==3.3.30}

if command -v kustomize >/dev/null; then
  render=(kustomize build)
elif command -v kubectl >/dev/null && kubectl kustomize k8s/base >/dev/null 2>&1; then
  render=(kubectl kustomize)
else
  echo "check-manifests.sh: not looked at: there is neither kustomize nor a kubectl of 1.27 or later (https://kustomize.io)"
  exit 0
fi
uv=uv
[ -x .venv/bin/uv ] && uv=.venv/bin/uv
if ! "$uv" tool run --quiet "$CHECKOV" --version >/dev/null 2>&1; then
  echo "check-manifests.sh: not looked at: $CHECKOV cannot be had; \`$uv tool run $CHECKOV --version\` says why"
  exit 0
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
for overlay in k8s/overlays/*/; do
  "${render[@]}" "$overlay" >"$work/$(basename "$overlay").yaml"
done
"$uv" tool run --quiet "$CHECKOV" --config-file k8s/.checkov.yaml --directory "$work"
echo "check-manifests.sh: nothing to say of $(find "$work" -name '*.yaml' | wc -l) overlays"
