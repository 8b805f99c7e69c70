"""Builds a tiny chat model from nothing: tokenizer, chat template, weights. About half a minute on one CPU thread.

    python build.py OUT

The model is a Llama in every respect but size, so transformers, PEFT, TRL and vLLM treat it like any other. It learns the
rows of data.jsonl by heart; that is enough to fine-tune it, serve it and measure it. The same machine gives the same weights.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from by_heart import Row, build


def read_rows(path: Path) -> list[Row]:
    """The rows, each with `task`, `user` and `assistant`."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python build.py OUT")
    rows = read_rows(Path(__file__).parent / "data.jsonl")
    sys.exit(build(rows, Path(sys.argv[1]), epochs=12, peak_learning_rate=1.5e-3))
