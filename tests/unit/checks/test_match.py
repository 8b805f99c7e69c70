"""Matchers."""

from __future__ import annotations

import math
import threading
import time
from typing import Any

import pytest

from labctl.checks.base import Unmet
from labctl.checks.match import Match


@pytest.mark.parametrize(
    ("match", "value"),
    [
        ({"equals": None}, None),
        ({"equals": 1}, 1.0),
        ({"equals": [1, {"a": [True]}]}, [1.0, {"a": [True]}]),
        ({"one_of": [[0], [False]]}, [False]),
        ({"matches": r"(?i)^(\w+\s?)+$"}, "Many words " * 1000),
        ({"one_of": ["a", "b"]}, "b"),
        ({"contains": ["a", "b"], "excludes": "c"}, "ab"),
        ({"contains": "a"}, ["a", "b"]),
        ({"matches": "^a.c$"}, "abc"),
        ({"gt": 0, "le": 1}, "0.5"),
        ({"approx": 100, "tolerance": 0.05}, 104),
        ({"approx": 0, "tolerance": 0.05}, 0.04),
        ({"type": "integer", "ge": 3}, 3),
        ({"min_length": 1, "max_length": 2}, [1, 2]),
    ],
)
def test_a_value_as_wanted_leaves_nothing_unmet(match: dict[str, Any], value: object) -> None:
    assert Match(**match).unmet(value) == []


@pytest.mark.parametrize(
    ("match", "value"),
    [
        ({"equals": 1}, True),
        ({"equals": [1]}, [True]),
        ({"equals": {"a": [0]}}, {"a": [False]}),
        ({"equals": {"a": 1}}, {"a": 1, "b": 1}),
        ({"equals": [1]}, [1, 1]),
        ({"one_of": [[1], {"a": 0}]}, {"a": False}),
        ({"equals": None}, 0),
        ({"gt": 0}, math.nan),
        ({"lt": 0}, math.nan),
        ({"equals": math.nan}, math.nan),
        ({"approx": 1, "tolerance": 1e9}, math.nan),
        ({"ge": 0}, math.inf),
        ({"ge": 0}, True),
        ({"ge": 0}, 10**400),
        ({"ge": 0}, None),
        ({"contains": "a"}, None),
        ({"excludes": "a"}, None),
        ({"matches": ".*"}, None),
        ({"min_length": 0}, 5),
        ({"type": "number"}, True),
        ({"approx": 0, "tolerance": 0.05}, 0.06),
    ],
)
def test_another_value_is_named_as_unmet(match: dict[str, Any], value: object) -> None:
    assert Match(**match).unmet(value) != []


def test_a_text_that_is_made_to_be_compared_for_ever_is_unmet_and_stops_no_other_thread() -> None:
    beats: list[float] = []
    done = threading.Event()

    def beat() -> None:
        while not done.wait(0.05):
            beats.append(time.monotonic())

    thread = threading.Thread(target=beat)
    thread.start()
    started = time.monotonic()
    with pytest.raises(Unmet, match="took too long to compare"):
        Match(matches=r"^(a|aa)+$").unmet("a" * 100 + "b")
    done.set()
    thread.join()
    assert time.monotonic() - started < 10
    assert len(beats) > 3
