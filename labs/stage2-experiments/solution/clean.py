"""Makes the second version of data/tickets.csv out of the first and what the support team sent.

    python clean.py

inbox/corrections.csv has the columns id and team, inbox/new_tickets.csv has id, text and team.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from pathlib import Path

DATA = Path("data/tickets.csv")
COLUMNS = ["id", "text", "team"]
Row = dict[str, str]


def cleaned(tickets: Sequence[Row], corrections: Sequence[Row], new: Sequence[Row]) -> list[Row]:
    """The tickets of the second version, in the order of their ids (which are numbers).

    1. A ticket that is named in `corrections` gets the team that stands there.
    2. The new tickets come after the old ones.
    3. Of tickets with the same text only the first stays. Texts are the same when they differ in nothing but
       capital letters and white space (" The  PHONE " is "the phone"). The text that stays is left as it is.
    """
    right = {row["id"]: row["team"] for row in corrections}
    first: dict[str, Row] = {}
    for row in [*tickets, *new]:
        first.setdefault(same(row["text"]), {**row, "team": right.get(row["id"], row["team"])})
    return list(first.values())


def same(text: str) -> str:
    """What two texts share when they differ in nothing but capital letters and white space."""
    return re.sub(r"\s+", " ", text).strip().lower()


def main() -> None:
    before = read(DATA)
    after = cleaned(before, read(Path("inbox/corrections.csv")), read(Path("inbox/new_tickets.csv")))
    with DATA.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(after)
    print(f"{len(before)} tickets before, {len(after)} after")


def read(path: Path) -> list[Row]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


if __name__ == "__main__":
    main()
