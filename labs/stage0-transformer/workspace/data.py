"""What the experiments work on, made from your seed: no two learners get the same numbers.

Given; plain lists of numbers, without torch. `mine()` is your own.
"""

from __future__ import annotations

import os
import random
import sys
from dataclasses import dataclass

Matrix = list[list[float]]

WIDTHS = (16, 64, 256, 1024)
ROWS = 64
CYCLE, CYCLE_WIDTH = 12, 16
NAMES, SAYS = 8, 4
WORDS = 6
PLACES, HALF = 6, 6


def mine() -> Session:
    """The data of this session's learner."""
    seed = os.environ.get("LAB_SEED")
    if not seed:
        sys.exit("LAB_SEED is not set: run this through `labctl exec` or in `labctl shell`")
    return Session(seed)


@dataclass(frozen=True)
class TwoPlaces:
    """Position i needs the first half of what position first[i] holds and the second half of what second[i] holds."""

    first: list[int]
    second: list[int]
    first_std: float
    """Standard deviation of the numbers in the first half; the larger one."""
    second_std: float


@dataclass(frozen=True)
class Sentence:
    """Words as rows of features, and what each must be told."""

    words: Matrix
    """WORDS rows of 2 · NAMES + SAYS features, in the order of Session.layout."""
    wanted: Matrix
    """For each word what the word that it looks for says: WORDS rows of SAYS numbers."""


class Session:
    """All data of one seed."""

    def __init__(self, seed: str) -> None:
        self.seed = seed

    def queries_and_keys(self, width: int) -> tuple[Matrix, Matrix]:
        """64 queries and 64 keys of `width` numbers with mean 0 and variance 1."""
        numbers = self._random(f"queries {width}")
        return gaussians(numbers, ROWS, width), gaussians(numbers, ROWS, width)

    def cycle(self) -> tuple[Matrix, list[int]]:
        """12 tokens as rows of 16 numbers, and for each the index of the token that it must look at: one closed round."""
        numbers = self._random("cycle")
        tokens = gaussians(numbers, CYCLE, CYCLE_WIDTH)
        order = list(range(CYCLE))
        numbers.shuffle(order)
        follows = dict(zip(order, [*order[1:], order[0]], strict=True))
        return tokens, [follows[token] for token in range(CYCLE)]

    def layout(self) -> dict[str, list[int]]:
        """Which of a word's 20 features say who it is (8), whom it seeks (8) and what it says (4)."""
        features = list(range(2 * NAMES + SAYS))
        self._random("layout").shuffle(features)
        return {
            "who": features[:NAMES],
            "seeks": features[NAMES : 2 * NAMES],
            "says": features[2 * NAMES :],
        }

    def sentence(self, numbers: random.Random) -> Sentence:
        """Six words with different names; each seeks one of the other five."""
        layout = self.layout()
        names = numbers.sample(range(NAMES), WORDS)
        says = gaussians(numbers, WORDS, SAYS)
        sought = [numbers.choice([other for other in range(WORDS) if other != word]) for word in range(WORDS)]
        words = [[0.0] * (2 * NAMES + SAYS) for _ in range(WORDS)]
        for word, row in enumerate(words):
            row[layout["who"][names[word]]] = 1.0
            row[layout["seeks"][names[sought[word]]]] = 1.0
            for feature, value in zip(layout["says"], says[word], strict=True):
                row[feature] = value
        return Sentence(words, [says[other] for other in sought])

    def two_places(self) -> TwoPlaces:
        """The task of step 3."""
        numbers = self._random("places")
        first = [numbers.randrange(PLACES) for _ in range(PLACES)]
        second = [numbers.choice([other for other in range(PLACES) if other != place]) for place in first]
        return TwoPlaces(first, second, round(numbers.uniform(1.1, 1.3), 2), round(numbers.uniform(0.75, 0.95), 2))

    def sizes(self) -> tuple[int, int]:
        """Width and heads of the attention whose parameters step 3 asks for."""
        numbers = self._random("sizes")
        heads = numbers.choice([6, 10, 12, 14])
        return heads * numbers.choice([40, 48, 56, 72]), heads

    def distance(self) -> tuple[int, int]:
        """Width of the encoding and distance that step 4 asks for."""
        return 32, self._random("distance").randint(5, 40)

    def shuffled(self, n: int) -> list[int]:
        """The numbers 0 … n-1 in an order of your own."""
        order = list(range(n))
        self._random(f"shuffled {n}").shuffle(order)
        return order

    def matrix(self, name: str, rows: int, columns: int, std: float = 1.0) -> Matrix:
        """A matrix of normal numbers that belongs to `name`."""
        return gaussians(self._random(name), rows, columns, std)

    def _random(self, name: str) -> random.Random:
        return random.Random(f"{self.seed}/{name}")


def gaussians(numbers: random.Random, rows: int, columns: int, std: float = 1.0) -> Matrix:
    """Independent normal numbers with mean 0."""
    return [[numbers.gauss(0.0, std) for _ in range(columns)] for _ in range(rows)]
