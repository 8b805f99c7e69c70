"""What is to be posted elsewhere: kept once, taken by one, until it has arrived."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from labctl.settings import Settings
from labctl.store.records import Delivery
from labctl.store.store import Store

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)


@pytest.fixture
def store(chosen: Settings) -> Store:
    return Store(chosen)


def delivery(subject: str = "report:1", hook: str = "h1") -> Delivery:
    return Delivery(hook=hook, event="verified", subject=subject, cohort="autumn", at=NOON, body="{}", next_at=NOON)


def test_what_is_added_twice_is_kept_once_for_each_hook(store: Store) -> None:
    assert store.outbox.seen("autumn", "h1") is None
    store.outbox.add("autumn", "h1", 3, [delivery(), delivery("report:2")])
    store.outbox.add("autumn", "h1", 4, [delivery()])
    store.outbox.add("autumn", "h2", 4, [delivery(hook="h2")])
    assert [store.outbox.seen("autumn", hook) for hook in ("h1", "h2")] == [4, 4]
    assert sorted((each.hook, each.subject) for each in store.outbox.deliveries("autumn")) == [
        ("h1", "report:1"),
        ("h1", "report:2"),
        ("h2", "report:1"),
    ]


def test_one_alone_may_try_what_is_due_until_their_time_is_over(store: Store) -> None:
    store.outbox.add("autumn", "h1", 1, [delivery()])
    (due,) = store.outbox.due("autumn", NOON)
    until = NOON + timedelta(minutes=1)
    assert store.outbox.take(due, until)
    assert not store.outbox.take(due, until)
    assert store.outbox.due("autumn", NOON) == []
    assert [each.subject for each in store.outbox.due("autumn", until)] == ["report:1"]


def test_what_has_arrived_is_not_due_any_more_and_stays_on_record(store: Store) -> None:
    store.outbox.add("autumn", "h1", 1, [delivery()])
    (due,) = store.outbox.due("autumn", NOON)
    store.outbox.settle(replace(due, next_at=None, attempts=1, status=204, delivered_at=NOON))
    assert store.outbox.next_at("autumn") is None
    assert [(each.status, each.delivered_at) for each in store.outbox.deliveries("autumn")] == [(204, NOON)]
    assert store.outbox.deliveries("spring") == []
