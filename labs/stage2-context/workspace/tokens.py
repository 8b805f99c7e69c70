"""Counting and cutting by the model's own tokenizer. Given: read it once, change nothing.

tokens.count("How many seats?")     # 4
tokens.cut("How many seats?", 2)    # "How many"
"""

from __future__ import annotations

import functools
import os
from pathlib import Path

from tokenizers import Tokenizer


def count(text: str) -> int:
    """The tokens of a text, without the special ones that a model puts around it."""
    return len(_tokenizer().encode(text, add_special_tokens=False).ids)


def cut(text: str, limit: int) -> str:
    """The text up to and with its first `limit` tokens."""
    ends = _tokenizer().encode(text, add_special_tokens=False).offsets
    return text if len(ends) <= limit else text[: ends[limit - 1][1]] if limit > 0 else ""


@functools.cache
def _tokenizer() -> Tokenizer:
    model = os.environ["MODEL_PATH"]
    file = Path(model) / "tokenizer.json"
    tokenizer = Tokenizer.from_file(str(file)) if file.is_file() else Tokenizer.from_pretrained(model)
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer
