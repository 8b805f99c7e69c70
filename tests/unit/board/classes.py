"""A small class for tests of the board: two learners, one lab, an engine that is not real."""

from __future__ import annotations

from pathlib import Path

from labctl.cohorts import classroom
from labctl.hub.board.room import Room, open_room
from labctl.hub.board.viewer import Viewer
from labctl.sessions.context import Context

EVE = Viewer(name="eve", instructor=True)
ADA = Viewer(name="ada@example.org", learner_id="ada")
BOB = Viewer(name="bob@example.org", learner_id="bob")
NOBODY = Viewer(name="mallory")
LAB = "small-lab"


def make(ctx: Context, folder: Path, *, more: str = "") -> Room:
    """A class of ada and bob in `folder`; `more` are further lines of its file."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "cohort.yaml").write_text(f"name: autumn\nlabs: [{LAB}]\nroster: roster.csv\novercommit: 100\n{more}")
    people = "Name,ID,Email\nAda Lovelace,ada,ada@example.org\nBob,bob,bob@example.org\n"
    (folder / "roster.csv").write_text(people)
    return open_room(ctx, folder)


def start(room: Room) -> None:
    """Everybody's session runs."""
    seats = room.seats(())
    done = classroom.start(room.ctx, room.cohort, seats, {LAB: "cpu"}, lambda _step: None, lambda _done: None)
    assert [each.problem for each in done] == [""] * len(seats)
