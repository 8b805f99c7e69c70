"""What has changed since: nothing is left out, whoever writes, and only what changed is told again."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from labctl.settings import Settings
from labctl.store.records import SessionState
from labctl.store.store import Store
from tests.unit.store.test_journal import entry, message
from tests.unit.store.test_store import report, session


@pytest.fixture
def store(chosen: Settings) -> Store:
    return Store(chosen)


def test_only_what_changed_since_is_told(store: Store) -> None:
    store.put(session(cohort="autumn"))
    store.put(session("b", cohort="autumn"))
    store.put(session("c", cohort="spring"))
    first = store.changes("autumn")
    assert {each.id for each in first.sessions} == {"lab--ada", "b"}
    assert store.changes("autumn", first.version).sessions == ()
    store.set_state(session("b", cohort="autumn"), SessionState.FAILED)
    store.add_report(report(4))
    store.add_report(report(10))
    store.journal.begin(entry())
    store.journal.send([message()])
    second = store.changes("autumn", first.version)
    assert [(each.id, each.state) for each in second.sessions] == [("b", SessionState.FAILED)]
    assert [each.score for each in second.attempts["lab--ada"]] == [4, 10]
    assert second.reports["lab--ada"]["score"] == 10
    assert [len(second.entries), len(second.messages)] == [1, 1]
    last = store.changes("autumn", second.version)
    assert (last.version, last.sessions, last.attempts, last.entries) == (second.version, (), {}, ())


def test_a_claim_and_an_end_of_an_entry_are_changes(store: Store) -> None:
    store.put(session("spare", cohort="autumn", learner="spare-1"))
    begun, _ = store.journal.begin(entry())
    before = store.version()
    assert store.claim("autumn", "lab", "spare-", "ada")
    store.journal.end(replace(begun, outcome="done"))
    changes = store.changes("autumn", before)
    assert [each.claimed_by for each in changes.sessions] == ["ada"]
    assert [each.outcome for each in changes.entries] == ["done"]


def test_the_version_of_a_database_that_is_not_there_is_none(store: Store) -> None:
    assert store.changes("autumn").sessions == ()


def test_who_reads_while_many_write_misses_nothing(chosen: Settings) -> None:
    store, done = Store(chosen), threading.Event()
    seen: set[str] = set()
    store.version()

    def write(writer: int) -> None:
        own = Store(chosen)
        for number in range(8):
            own.put(session(f"s{writer}-{number}", cohort="autumn"))

    def read() -> None:
        since = 0
        while True:
            last = done.is_set()
            changes = store.changes("autumn", since)
            since = changes.version
            seen.update(each.id for each in changes.sessions)
            if last:
                return

    with ThreadPoolExecutor(5) as pool:
        reader = pool.submit(read)
        writers = [pool.submit(write, number) for number in range(4)]
        for each in writers:
            each.result()
        done.set()
        reader.result()
    assert len(seen) == 32


def test_who_claims_and_who_writes_the_same_session_never_wait_for_each_other(chosen: Settings) -> None:
    store = Store(chosen)
    spare = session("spare", cohort="autumn", learner="spare-1")
    store.put(spare)

    def claim(_: int) -> None:
        Store(chosen).claim("autumn", "lab", "spare-", "ada")

    def write(_: int) -> None:
        Store(chosen).put(spare)

    with ThreadPoolExecutor(6) as pool:
        for each in [pool.submit(work, number) for number in range(6) for work in (claim, write)]:
            each.result(timeout=60)
