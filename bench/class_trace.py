"""A made-up class, as a table: `python -m bench.class_trace [SEED]` writes bench/traces/classroom.csv, always the same for a seed.

Nobody publishes what the learners of a GPU class do minute by minute, so this is synthetic. That notebook sessions do not
compute during most of their lives is from NotebookOS (Carver et al., ASPLOS 2026, arXiv:2503.20591); everything else is
set by hand. 40 learners, three hours; most come within ten minutes and some late. Each works through labs of 5 to 70 GiB:
reading, then rounds of editing (keys are pressed, no GPU is used), computing, and reading what came out. Half-way there
is a break; in one lab of seven the learner goes away for a while; one learner in five goes home early, and nobody who
goes home types `labctl down`; of those who start another lab one in three forgets it too. Lengths are drawn from the
triangular distributions below.
"""

from __future__ import annotations

import csv
import random
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

TRACE = Path(__file__).parent / "traces" / "classroom.csv"
SEED = 1
LEARNERS = 40
CLASS_MIN = 180
SIZES_GIB = (5, 8, 12, 16, 24, 40, 70)
"""What a lab asks for, one as likely as the other: 25 GiB in the mean, so that not all 40 fit on 640 GiB at once."""
LONG = {"read": (3, 20, 8), "edit": (2, 10, 4), "compute": (3, 25, 8), "break": (20, 40, 30), "away": (15, 50, 25)}
"""Minutes: shortest, longest, most frequent."""


class Row(NamedTuple):
    """What a learner does next. `up` and `down` take no time; `arrive` and `leave` say at which minute of the class."""

    learner: str
    lab: str
    memory_gib: int
    doing: str
    minutes: int


def a_class(seed: int) -> list[Row]:
    """Every learner's rows, in the order in which they are lived through."""
    chance = random.Random(seed)
    return [row for number in range(LEARNERS) for row in _learner(chance, f"learner-{number + 1:02}")]


def read(path: Path = TRACE) -> list[Row]:
    with path.open(newline="") as file:
        rows = csv.reader(line for line in file if not line.startswith("#"))
        next(rows)
        return [Row(learner, lab, int(gib), doing, int(minutes)) for learner, lab, gib, doing, minutes in rows]


def _learner(chance: random.Random, name: str) -> Iterator[Row]:
    late = chance.random() < 0.15
    now = chance.randint(10, 40) if late else round(chance.triangular(0, 10, 2))
    yield Row(name, "", 0, "arrive", now)
    rested = False
    labs = 0
    while now < CLASS_MIN - 15:
        labs += 1
        gib = chance.choice(SIZES_GIB)
        lab = f"lab-{labs}"
        yield Row(name, lab, gib, "up", 0)
        for doing in _steps(chance):
            if doing == "compute" and now > CLASS_MIN // 2 and not rested:
                rested = True
                yield Row(name, lab, gib, "break", rest := _minutes(chance, "break"))
                now += rest
            yield Row(name, lab, gib, doing, minutes := _minutes(chance, doing))
            now += minutes
        if chance.random() > 1 / 3:
            yield Row(name, lab, gib, "down", 0)
    early = chance.random() < 0.2
    home = (
        chance.randint(CLASS_MIN * 5 // 12, CLASS_MIN * 5 // 6) if early else chance.randint(CLASS_MIN - 20, CLASS_MIN)
    )
    yield Row(name, "", 0, "leave", home)


def _steps(chance: random.Random) -> Iterator[str]:
    yield "read"
    away = chance.random() < 1 / 7
    rounds = chance.randint(3, 5)
    for number in range(rounds):
        yield from ("edit", "compute", "read")
        if away and number == rounds // 2:
            yield "away"


def _minutes(chance: random.Random, doing: str) -> int:
    low, high, mode = LONG[doing]
    return round(chance.triangular(low, high, mode))


def main() -> None:
    seed = int(sys.argv[1]) if sys.argv[1:] else SEED
    TRACE.parent.mkdir(exist_ok=True)
    with TRACE.open("w", newline="") as file:
        file.write(f"# synthetic: made by `python -m bench.class_trace {seed}`, seen in no class\n")
        rows = csv.writer(file, lineterminator="\n")
        rows.writerows([Row._fields, *a_class(seed)])


if __name__ == "__main__":
    main()
