"""Given: tickets, the classifier, and how it is trained. Nothing has to be changed here.

The same settings, the same tickets and the same seed give the same classifier, to the last digit.
"""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import SGDClassifier
from sklearn.metrics import accuracy_score, log_loss
from sklearn.pipeline import Pipeline

TEAMS = ["account", "billing", "fault", "sales", "shipping"]


@dataclass(frozen=True)
class Settings:
    """All that decides what a training run comes to, but the tickets."""

    ngrams: int = 1
    """The longest word sequence that is a feature: 1 single words, 2 pairs too."""
    min_df: int = 1
    """In how many tickets a feature must occur."""
    learning_rate: float = 0.1
    l2: float = 0.0001
    """Strength of the penalty on large weights."""
    epochs: int = 6
    """How often all tickets are gone through."""
    seed: int = 0
    """Of the order in which they are gone through."""


@dataclass(frozen=True)
class Epoch:
    """What was measured after one pass over the tickets; `val` is on the held-out tickets, `loss` the mean cross-entropy."""

    number: int
    train_loss: float
    val_loss: float
    val_accuracy: float
    model: Pipeline
    """Takes a list of texts: `predict` gives their teams."""


def read_tickets(path: str | Path) -> tuple[list[str], list[str]]:
    """Texts and teams of a CSV file with the columns id, text and team."""
    with Path(path).open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return [row["text"] for row in rows], [row["team"] for row in rows]


def md5_of(path: str | Path) -> str:
    """The md5 of a file's bytes: the name that DVC gives this version of it."""
    return hashlib.md5(Path(path).read_bytes(), usedforsecurity=False).hexdigest()


def train(settings: Settings, tickets: str | Path, heldout: str | Path) -> Iterator[Epoch]:
    """Train on the tickets of one file, epoch by epoch, measuring on those of the other."""
    texts, teams = read_tickets(tickets)
    val_texts, val_teams = read_tickets(heldout)
    words = TfidfVectorizer(ngram_range=(1, settings.ngrams), min_df=settings.min_df)
    classifier = SGDClassifier(
        loss="log_loss",
        alpha=settings.l2,
        learning_rate="constant",
        eta0=settings.learning_rate,
        shuffle=False,
        random_state=settings.seed,
    )
    model = Pipeline([("words", words), ("teams", classifier)])
    features, wanted = words.fit_transform(texts), np.array(teams)
    order = np.random.default_rng(settings.seed)
    for number in range(settings.epochs):
        shuffled = order.permutation(len(texts))
        classifier.partial_fit(features[shuffled], wanted[shuffled], classes=TEAMS)
        yield Epoch(
            number,
            float(log_loss(wanted, classifier.predict_proba(features), labels=TEAMS)),
            float(log_loss(val_teams, model.predict_proba(val_texts), labels=TEAMS)),
            float(accuracy_score(val_teams, model.predict(val_texts))),
            model,
        )


def predictions(model: Pipeline, heldout: str | Path) -> Sequence[tuple[str, str, str]]:
    """Text, right team and predicted team of the held-out tickets."""
    texts, teams = read_tickets(heldout)
    return list(zip(texts, teams, map(str, model.predict(texts)), strict=True))
