"""The log and the messages of a class, on SQLite and on PostgreSQL."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from labctl.settings import Settings
from labctl.store.records import Entry, Message
from labctl.store.store import Store

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)


@pytest.fixture
def store(chosen: Settings) -> Store:
    return Store(chosen)


def entry(learner: str = "ada", **more: object) -> Entry:
    made = Entry(at=NOON, actor="eve", role="instructor", action="extend", cohort="autumn", learner=learner, lab="a")
    return replace(made, **more)  # type: ignore[arg-type]


def message(text: str = "hello", learner: str = "ada") -> Message:
    return Message(at=NOON, cohort="autumn", learner=learner, sender="eve", text=text)


def test_an_entry_stands_in_the_log_before_it_is_done_and_has_its_end_after(store: Store) -> None:
    begun, new = store.journal.begin(entry(request={"more": "2h", "why": "<b>é</b>"}))
    assert new
    assert store.journal.unfinished("autumn") == [begun]
    done = store.journal.end(replace(begun, outcome="done", words="until noon", ended_at=NOON + timedelta(minutes=1)))
    assert store.journal.entry(begun.id) == done
    assert store.journal.unfinished("autumn") == []


def test_an_end_cannot_be_written_twice(store: Store) -> None:
    begun, _ = store.journal.begin(entry())
    store.journal.end(replace(begun, outcome="done", words="first"))
    store.journal.end(replace(begun, outcome="failed", words="second"))
    kept = store.journal.entry(begun.id)
    assert kept is not None
    assert (kept.outcome, kept.words) == ("done", "first")


def test_everybody_who_begins_with_one_key_at_once_finds_one_entry(store: Store) -> None:
    with ThreadPoolExecutor(6) as pool:
        found = list(pool.map(lambda _: store.journal.begin(entry(key="k1")), range(6)))
    assert len({each.id for each, _ in found}) == 1
    assert [new for _, new in found].count(True) == 1


def test_a_key_is_its_actors_own(store: Store) -> None:
    first, _ = store.journal.begin(entry(key="k1"))
    other, new = store.journal.begin(entry(key="k1", actor="mallory"))
    assert new
    assert other.id != first.id


def test_the_log_is_read_newest_first_page_by_page_and_of_one_learner(store: Store) -> None:
    for learner in ("ada", "bob", "ada"):
        store.journal.begin(entry(learner))
    store.journal.begin(entry(cohort="spring"))
    first = store.journal.entries("autumn", limit=2)
    assert [each.learner for each in first] == ["ada", "bob"]
    assert [each.learner for each in store.journal.entries("autumn", before=first[-1].id)] == ["ada"]
    assert {each.learner for each in store.journal.entries("autumn", learner="ada")} == {"ada"}
    last = store.journal.last("autumn", "ada", "extend")
    assert last is not None
    assert last.id == first[0].id


def test_messages_are_one_learners_and_read_once(store: Store) -> None:
    store.journal.send([message("<script>"), message(learner="bob")])
    (sent,) = store.journal.messages("autumn", "ada")
    assert replace(sent, id=0) == message("<script>")
    assert not store.journal.mark_read("autumn", "bob", sent.id, NOON)
    assert store.journal.mark_read("autumn", "ada", sent.id, NOON)
    assert store.journal.mark_read("autumn", "ada", sent.id, NOON + timedelta(days=1))
    assert [each.read_at for each in store.journal.messages("autumn", "ada")] == [NOON]
    assert store.journal.messages("autumn", "ada", unread=True) == []


def test_the_messages_of_one_entry_are_kept_once_however_often_they_are_sent(store: Store) -> None:
    both = [replace(message(learner=learner), entry=7) for learner in ("ada", "bob")]
    store.journal.send(both[:1])
    store.journal.send(both)
    assert [len(store.journal.messages("autumn", learner)) for learner in ("ada", "bob")] == [1, 1]
