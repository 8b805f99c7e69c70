#!/usr/bin/env bash
# Make .venv with labctl (editable) and the development tools. Safe to repeat; the marker is written last.
set -euo pipefail
cd "$(dirname "$0")/.."

find_python() {
  local candidate
  for candidate in "${PYTHON:-}" python3 python3.13 python3.12 python3.11 python3.14; do
    [ -n "$candidate" ] || continue
    if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
      echo "$candidate"
      return
    fi
  done
  echo "error: no Python 3.11 or newer found; install it with: sudo apt-get install python3 python3-venv" >&2
  exit 4
}

# pip's index settings hold for uv too: a company's mirror is configured once.
uv_settings_from_pip() {
  PYTHONPATH=src .venv/bin/python - <<'PY'
import shlex
from labctl.index import for_uv

for name, value in for_uv().items():
    print(f"export {name}={shlex.quote(value)}")
PY
}

python=$(find_python)
rm -f .venv/.complete
if ! .venv/bin/python -c 'import pip' 2>/dev/null && ! "$python" -m venv --clear .venv >/dev/null 2>&1; then
  echo "error: $python cannot make virtual environments; install them with: sudo apt-get install python3-venv" >&2
  exit 4
fi
uv=$(command -v uv || true)
if [ -z "$uv" ]; then
  .venv/bin/python -m pip install -qq --disable-pip-version-check uv
  uv=.venv/bin/uv
fi
eval "$(uv_settings_from_pip)"
"$uv" pip install --quiet --compile-bytecode --python .venv/bin/python --editable . --group dev
touch .venv/.complete
echo "ready: $(.venv/bin/labctl --version) in .venv/bin; for this terminal: export PATH=\$PWD/.venv/bin:\$PATH" >&2
