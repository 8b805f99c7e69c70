"""Builds a small chat model that knows and grades answers. About half a minute on one CPU thread.

    python build.py OUT

The model is a Llama in every respect but size, so transformers, PEFT, TRL and vLLM treat it like any other. It learns the
rows of rows.py by heart. The same machine gives the same weights.
"""

from __future__ import annotations

import sys
from pathlib import Path

from by_heart import build
from rows import make_rows

if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python build.py OUT")
    sys.exit(build(make_rows(), Path(sys.argv[1]), epochs=11, peak_learning_rate=2e-3))
