"""Matchers."""

from __future__ import annotations

import math
from typing import Any

import pytest

from labctl.checks.match import Match


@pytest.mark.parametrize(
    ("match", "value"),
    [
        ({"equals": None}, None),
        ({"equals": 1}, 1.0),
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
