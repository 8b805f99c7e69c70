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
  .venv/bin/python - <<'PY'
import os, shlex, subprocess, sys
from urllib.parse import urlsplit
from urllib.request import url2pathname

listing = subprocess.run([sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True).stdout
config = {}
for line in listing.splitlines():
    key, _, value = line.partition("=")
    config[key.rpartition(".")[2]] = value.strip("'\"")

def there(url):
    return not url.startswith("file:") or os.path.isdir(url2pathname(urlsplit(url).path))

names = {"index-url": "UV_DEFAULT_INDEX", "extra-index-url": "UV_INDEX", "find-links": "UV_FIND_LINKS"}
for option, name in names.items():
    value = os.environ.get("PIP_" + option.upper().replace("-", "_")) or config.get(option)
    kept = [url for url in (value or "").split() if there(url)]
    if kept and not os.environ.get(name):
        separator = "," if name == "UV_FIND_LINKS" else " "
        print(f"export {name}={shlex.quote(separator.join(kept))}")
if (os.environ.get("PIP_CERT") or config.get("cert")) and not os.environ.get("UV_SYSTEM_CERTS"):
    print("export UV_SYSTEM_CERTS=1")
PY
}

python=$(find_python)
rm -f .venv/.complete
if ! "$python" -m venv --clear .venv >/dev/null 2>&1; then
  echo "error: $python cannot make virtual environments; install them with: sudo apt-get install python3-venv" >&2
  exit 4
fi
uv=$(command -v uv || true)
if [ -z "$uv" ]; then
  .venv/bin/python -m pip install --quiet --disable-pip-version-check uv
  uv=.venv/bin/uv
fi
eval "$(uv_settings_from_pip)"
"$uv" pip install --quiet --compile-bytecode --python .venv/bin/python --editable . --group dev
touch .venv/.complete
echo "ready: .venv/bin/labctl $(.venv/bin/labctl --version | cut -d' ' -f2)" >&2
