#!/usr/bin/env bash
# Have yamllint and ansible-lint (profile: production) look at playbooks/. They come by `uv tool run` into an environment of their own.
set -euo pipefail
cd "$(dirname "$0")/../playbooks"
YAMLLINT=${YAMLLINT:-yamllint==1.37.1}
ANSIBLE_LINT=${ANSIBLE_LINT:-ansible-lint==25.9.2}
ANSIBLE=${ANSIBLE:-ansible-core==2.19.4}

uv=uv
[ -x ../.venv/bin/uv ] && uv=$(realpath ../.venv/bin/uv)
tool=("$uv" tool run --quiet --with "$ANSIBLE" --with "$YAMLLINT" --from "$ANSIBLE_LINT")
if ! "${tool[@]}" ansible-lint --version >/dev/null 2>&1; then
  echo "check-playbooks.sh: not looked at: $ANSIBLE_LINT cannot be had; \`${tool[*]} ansible-lint --version\` says why"
  exit 0
fi
"${tool[@]}" yamllint --strict .
ANSIBLE_HOME=$(mktemp -d)
export ANSIBLE_HOME PYTHONWARNINGS=ignore
trap 'rm -rf "$ANSIBLE_HOME"' EXIT
# What it looks at is named: outside a git checkout it would look at nothing and be content.
"${tool[@]}" ansible-lint --offline --nocolor -q prepare.yml roles 2> >(grep -v -e pathspec -e "patterns = \[use_factory" -e "raw_regex, include" >&2)
echo "check-playbooks.sh: nothing to say of $(find roles -mindepth 1 -maxdepth 1 -type d | wc -l) roles"
