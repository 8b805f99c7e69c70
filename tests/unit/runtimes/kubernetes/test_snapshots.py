"""A look at a class costs a list a kind, not one for each learner; whoever changes something sees what they changed."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from labctl.runtimes.kubernetes import snapshots
from labctl.runtimes.kubernetes.refusals import ApiError
from labctl.runtimes.kubernetes.snapshots import KINDS, Snapshots

NAMES = [f"lab--{number}" for number in range(40)]


class Lists:
    """An API that has a pod in every namespace, and counts what it is asked."""

    def __init__(self, *, all_at_once: bool = True, takes_s: float = 0.0) -> None:
        self.takes_s = takes_s
        self.asked: list[tuple[str, str | None]] = []
        self.all_at_once = all_at_once

    def items(self, kind: str, namespace: str | None = None, **_query: Any) -> list[dict[str, Any]]:
        self.asked.append((kind, namespace))
        if namespace is None and not self.all_at_once:
            raise ApiError("pods is forbidden", status=403)
        time.sleep(self.takes_s if namespace is None else 0.0)
        names = [namespace] if namespace else NAMES
        return [{"metadata": {"namespace": name, "name": kind}} for name in names]


@pytest.fixture(autouse=True)
def slow(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine must not make a moment too long."""
    monkeypatch.setattr(snapshots, "FRESH_S", 30.0)


def test_looking_at_a_class_asks_one_list_a_kind_for_all_but_the_first(slow: None) -> None:
    api = Lists()
    seen = Snapshots(api, "home")  # type: ignore[arg-type]
    assert [seen.lately(name)["Pod"][0]["metadata"]["namespace"] for name in NAMES] == NAMES
    assert len(api.asked) == len(KINDS) * 3
    assert [namespace for _, namespace in api.asked[-len(KINDS) :]] == [None] * len(KINDS)


def test_lists_that_take_longer_than_they_would_be_fresh_are_still_good_for_the_whole_class(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(snapshots, "FRESH_S", 0.2)
    api = Lists(takes_s=0.3)
    seen = Snapshots(api, "home")  # type: ignore[arg-type]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(seen.lately, NAMES))
    assert sum(namespace is None for _, namespace in api.asked) <= 2 * len(KINDS)


def test_after_a_change_of_ours_nothing_old_is_shown() -> None:
    api = Lists()
    seen = Snapshots(api, "home")  # type: ignore[arg-type]
    for name in NAMES[:3]:
        seen.lately(name)
    before = len(api.asked)
    seen.changed()
    seen.lately(NAMES[0])
    assert len(api.asked) == before + len(KINDS)


def test_now_is_always_asked() -> None:
    api = Lists()
    seen = Snapshots(api, "home")  # type: ignore[arg-type]
    for _ in range(4):
        seen.now(NAMES[0])
    assert len(api.asked) == 4 * len(KINDS)


def test_an_account_that_may_not_list_everything_looks_at_one_after_another() -> None:
    api = Lists(all_at_once=False)
    seen = Snapshots(api, "home")  # type: ignore[arg-type]
    assert [seen.lately(name)["Pod"][0]["metadata"]["namespace"] for name in NAMES] == NAMES
    assert sum(namespace is None for _, namespace in api.asked) <= len(KINDS)
