"""The model of this lab: is a short review positive or negative?

    classifier = load()                        # slow: do it once
    classifier("What a lovely little hotel.")  # {"label": "POSITIVE", "score": 0.97}
    classifier(["Lovely.", "Awful."])          # a list of such answers, in the same order

`score` is the probability of `label`, so it is never below 0.5. Which model is loaded stands in the environment variable
SENTIMENT_MODEL: empty for the small one below (naive Bayes, right on 88% of the reviews that it has not seen), or the name
or folder of a model that transformers can load. You need not change this file.
"""

from __future__ import annotations

import json
import math
import os
import re
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

REVIEWS = Path(__file__).with_name("reviews.tsv")
LABELS = ("NEGATIVE", "POSITIVE")
SMOOTHINGS = [0.05 * 1.5**step for step in range(3, 7)]

Answer = dict[str, str | float]
Example = tuple[str, list[str]]


class Classifier:
    """A loaded model. Calling it with a text gives an answer; with a list of texts, a list of answers."""

    def __init__(self, name: str, classify: Callable[[list[str]], list[Answer]]) -> None:
        self.name = name
        self._classify = classify

    def __call__(self, texts: str | Sequence[str]) -> Answer | list[Answer]:
        if isinstance(texts, str):
            return self._classify([texts])[0]
        return self._classify(list(texts))


def load() -> Classifier:
    """The model, ready to answer. Each call says on stderr how long loading took; transformers models use a GPU if any."""
    started = time.perf_counter()
    name = os.environ.get("SENTIMENT_MODEL", "")
    classifier = Classifier(name, _transformer(name)) if name else Classifier("naive-bayes", _naive_bayes())
    event = {"event": "model-loaded", "model": classifier.name, "seconds": round(time.perf_counter() - started, 2)}
    print(json.dumps(event), file=sys.stderr, flush=True)
    return classifier


def _transformer(name: str) -> Callable[[list[str]], list[Answer]]:
    import torch
    from transformers import pipeline

    device = "cuda:0" if torch.cuda.is_available() else "cpu"
    classify = pipeline("text-classification", model=name, device=device)
    return lambda texts: [
        {"label": answer["label"], "score": answer["score"]} for answer in classify(texts, truncation=True)
    ]


def _naive_bayes() -> Callable[[list[str]], list[Answer]]:
    examples = [(label, _words(text)) for label, _, text in map(_row, REVIEWS.read_text("utf-8").splitlines())]
    smoothing = max(SMOOTHINGS, key=lambda amount: _accuracy_on_unseen(examples, amount))
    counts = _count(examples)
    return lambda texts: [_answer(_positive(_words(text), counts, smoothing)) for text in texts]


def _row(line: str) -> tuple[str, str, str]:
    return line.partition("\t")


def _words(text: str) -> list[str]:
    """Words, and for `not good` also the pair, which a bag of words would tear apart."""
    words = re.findall(r"[a-z']+", text.lower())
    pairs = [f"{first} {second}" for first, second in zip(words, words[1:], strict=False) if first in ("not", "never")]
    return words + pairs


def _accuracy_on_unseen(examples: list[Example], smoothing: float) -> float:
    """Leave a pair out: each review is judged by a model that has not seen it. This is what makes loading slow.

    The file holds pairs, one positive and one negative review of the same thing in much the same words, so a model that
    kept the other half of the pair would be misled by it.
    """
    right = 0
    for first in range(0, len(examples), 2):
        counts = _count(examples[:first] + examples[first + 2 :])
        for label, words in examples[first : first + 2]:
            right += _answer(_positive(words, counts, smoothing))["label"] == label
    return right / len(examples)


def _count(examples: list[Example]) -> dict[str, Counter[str]]:
    counts: dict[str, Counter[str]] = {label: Counter() for label in LABELS}
    for label, words in examples:
        counts[label].update(words)
    return counts


def _positive(words: list[str], counts: dict[str, Counter[str]], smoothing: float) -> float:
    """The probability that a text with these words is positive; words never seen say nothing."""
    known = set(counts["POSITIVE"]) | set(counts["NEGATIVE"])
    odds = 0.0
    for word in words:
        if word in known:
            odds += math.log(_share(word, counts["POSITIVE"], smoothing, len(known)))
            odds -= math.log(_share(word, counts["NEGATIVE"], smoothing, len(known)))
    return 1 / (1 + math.exp(-max(-30.0, min(30.0, odds))))


def _share(word: str, counts: Counter[str], smoothing: float, known: int) -> float:
    return (counts[word] + smoothing) / (counts.total() + smoothing * known)


def _answer(positive: float) -> Answer:
    if positive >= 0.5:
        return {"label": "POSITIVE", "score": positive}
    return {"label": "NEGATIVE", "score": 1 - positive}
