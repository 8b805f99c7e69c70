"""Whose turn it is."""

from __future__ import annotations

import threading

from labctl.hub.board.line import Line

WAIT_S = 30.0


def test_one_who_asks_for_many_does_not_keep_others_waiting() -> None:
    order: list[str] = []
    begun, go, finished = threading.Event(), threading.Event(), threading.Event()

    def work(item: str) -> None:
        begun.set()
        assert go.wait(WAIT_S)
        order.append(item)
        if len(order) == 7:
            finished.set()

    line = Line("test", 1, work)
    for number in range(5):
        line.put("eve", f"eve {number}")
    assert begun.wait(WAIT_S)
    line.put("ada", "ada")
    line.put("bob", "bob")
    go.set()
    assert finished.wait(WAIT_S)
    assert order == ["eve 0", "eve 1", "ada", "bob", "eve 2", "eve 3", "eve 4"]
    line.close(WAIT_S)


def test_a_piece_that_fails_does_not_keep_the_next_from_being_done() -> None:
    done = threading.Event()

    def work(item: int) -> None:
        if item:
            done.set()
        assert item

    line = Line("test", 1, work)
    line.put("ada", 0)
    line.put("ada", 1)
    assert done.wait(WAIT_S)
    line.close(WAIT_S)


def test_nothing_is_begun_once_it_is_closed() -> None:
    seen: list[int] = []
    line = Line("test", 1, seen.append)
    line.close(WAIT_S)
    line.put("ada", 1)
    assert len(line) == 1
    assert seen == []
