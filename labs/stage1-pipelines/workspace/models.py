"""Where the models of this lab are, and quiet libraries. Given; read it once.

Import it first: it leaves out libraries that transformers would load and nothing here needs, which halves the waiting.
"""

from __future__ import annotations

import os
import sys

os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
sys.modules |= {name: None for name in ("torchao", "sklearn", "scipy") if name not in sys.modules}

import torch
from transformers.utils import logging

logging.set_verbosity_error()
logging.disable_progress_bar()
if not torch.cuda.is_available():
    torch.set_num_threads(1)  # models this small only wait for more threads

SENTIMENT = {
    "small": os.environ["SENTIMENT_SMALL"],
    "medium": os.environ["SENTIMENT_MEDIUM"],
    "large": os.environ["SENTIMENT_LARGE"],
}
SUMMARISER = os.environ["SUMMARISER"]
ANSWERER = os.environ["ANSWERER"]
BARE = os.environ["BARE"]
"""A pretrained encoder that nobody has taught any task."""


def verdict(label: str) -> str:
    """POSITIVE, NEGATIVE or NEUTRAL: models name their classes as they please (`POSITIVE`, `pos`, `positive`)."""
    for side in ("POSITIVE", "NEGATIVE", "NEUTRAL"):
        if label.upper()[:3] == side[:3]:
            return side
    raise ValueError(f"{label!r} says nothing: look at the model's config.json, id2label")
