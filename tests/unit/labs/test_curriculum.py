"""The curriculum: which criterion proves which row, and what is missing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from labctl.labs import curriculum
from labctl.labs.curriculum import Curriculum, Row
from labctl.labs.lab import load_folder
from tests.conftest import LAB

ROWS = Curriculum(
    planned=[3],
    rows=[
        Row(id="1.1", stage=1, text="write"),
        Row(id="1.2", stage=1, text="serve"),
        Row(id="3.1", stage=3, text="later"),
    ],
)


def test_a_row_without_a_criterion_and_a_criterion_without_a_row_are_gaps(write_lab: Callable[..., Path]) -> None:
    text = LAB.replace("  - id: written\n", '  - id: written\n    source: "1.1"\n')
    lab = load_folder(write_lab(text=text.replace("  - id: served\n", '  - id: served\n    source: "9.9"\n')))
    assert curriculum.gaps(ROWS, [lab]) == [
        "1.2 is proved by no lab: serve",
        "small-lab: served: its source '9.9' is no row of the curriculum",
    ]
    mended = text.replace("  - id: served\n", '  - id: served\n    source: "1.2"\n')
    lab = load_folder(write_lab(text=mended))
    assert curriculum.gaps(ROWS, [lab]) == []
    assert [(each.lab, each.criterion, each.kinds) for each in curriculum.proofs([lab])["1.2"]] == [
        ("small-lab", "served", ("http",))
    ]
