"""What this lab works on, made from your seed: no two learners get the same texts and numbers.

Given; without torch. `mine()` is your own.
"""

from __future__ import annotations

import os
import random
import sys

PEOPLE = ["Ada", "Bruno", "Clara", "David", "Elif", "Farah", "Goran", "Hana", "Ines", "Jakob", "Kaito", "Lena"]
ANIMALS = ["cat", "dog", "goat", "horse", "parrot", "rabbit", "snake", "turtle"]
PLACES = ["barn", "cellar", "garden", "kitchen", "library", "market", "school", "station", "tower", "yard"]
DAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]

ASKED = {
    "animal": ["Which animal does {p} keep?", "Name the animal of {p}.", "{p} keeps an animal. Which one?"],
    "place": ["Where does {p} sleep?", "Name the place where {p} sleeps.", "{p} sleeps somewhere. Where?"],
}
ASKED_HELD_OUT = {"animal": "Tell me which animal {p} keeps.", "place": "Tell me where {p} sleeps."}

Row = dict[str, str]


def mine() -> Session:
    """The data of this session's learner."""
    seed = os.environ.get("LAB_SEED")
    if not seed:
        sys.exit("LAB_SEED is not set: run this through `labctl exec` or in `labctl shell`")
    return Session(seed)


class Session:
    """All data of one seed."""

    def __init__(self, seed: str) -> None:
        self.seed = seed
        facts = self._random("facts")
        self._animal = {person: facts.choice(ANIMALS) for person in PEOPLE}
        self._place = {person: facts.choice(PLACES) for person in PEOPLE}

    def plain_texts(self, held_out: bool = False) -> list[str]:
        """Sentences about twelve people, 600 to learn from or 60 others to measure with."""
        numbers = self._random("plain")
        texts = list(dict.fromkeys(self._sentence(numbers) for _ in range(900)))
        return texts[600:660] if held_out else texts[:600]

    def chats(self, held_out: bool = False) -> list[Row]:
        """Questions and answers about them: three wordings to learn from, a fourth to measure with."""
        rows = []
        for person in PEOPLE:
            answers = {
                "animal": f"{person} keeps a {self._animal[person]}.",
                "place": f"{person} sleeps in the {self._place[person]}.",
            }
            for what, answer in answers.items():
                wordings = [ASKED_HELD_OUT[what]] if held_out else ASKED[what]
                rows += [{"question": wording.format(p=person), "answer": answer} for wording in wordings]
        return rows

    def strangers(self, count: int) -> list[Session]:
        """The data of learners who are not there."""
        return [Session(f"{self.seed}, stranger {number}") for number in range(count)]

    def logits(self) -> list[float]:
        """Twelve logits."""
        numbers = self._random("logits")
        return [round(numbers.gauss(0, 2), 2) for _ in range(12)]

    def distributions(self) -> tuple[list[float], list[float]]:
        """p and q, each six probabilities."""
        numbers = self._random("distributions")
        p, q = ([numbers.randint(1, 30) for _ in range(6)] for _ in range(2))
        return [part / sum(p) for part in p], [part / sum(q) for part in q]

    def network(self) -> tuple[list[list[float]], list[list[float]], list[float], int]:
        """W1 (4 × 3), W2 (5 × 4), x (3) and the target of a network with two layers."""
        numbers = self._random("network")
        w1, w2 = ([[numbers.gauss(0, 1) for _ in range(n)] for _ in range(m)] for m, n in ((4, 3), (5, 4)))
        return w1, w2, [numbers.gauss(0, 1) for _ in range(3)], numbers.randrange(5)

    def _sentence(self, numbers: random.Random) -> str:
        one, other = numbers.sample(PEOPLE, 2)
        here, there = numbers.sample(PLACES, 2)
        day = numbers.choice(DAYS)
        return numbers.choice(
            [
                f"On {day} {one} walks from the {here} to the {there}.",
                f"{one} meets {other} in the {here} on {day}.",
                f"The {self._animal[one]} of {one} runs to the {here} on {day}.",
                f"{one}, who sleeps in the {self._place[one]}, waits for {other} at the {there}.",
                f"After {day} {one} and {other} clean the {here}.",
            ]
        )

    def _random(self, name: str) -> random.Random:
        return random.Random(f"{self.seed}/{name}")
