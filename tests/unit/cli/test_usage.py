"""`gpu usage`: what the ledger says, on a terminal, in JSON and in CSV."""

from __future__ import annotations

import csv
import json
from datetime import UTC, datetime, timedelta

import pytest

from labctl.cli.usage import usage
from labctl.errors import UsageError
from labctl.settings import Settings
from labctl.store.records import Held
from labctl.store.store import Store

ARGUMENTS = {"by": "learner", "since": None, "json": False, "as_csv": False}


def ask(**arguments: object) -> None:
    usage(**{**ARGUMENTS, **arguments})  # type: ignore[arg-type]


@pytest.fixture
def ledger(chosen: Settings) -> datetime:
    """ada had a GPU for two hours five days ago, bob has a quarter of one since an hour."""
    now = datetime.now(UTC).replace(microsecond=0)
    begin = now - timedelta(days=5)
    ada = Held(
        session="a--ada", lab="a", learner="ada", uuid="GPU-1", name="H100", sharing="exclusive", since=begin, total_mib=80_000,
        memory_mib=80_000, released_at=begin + timedelta(hours=2), peak_memory_mib=2048, busy_s=900, observed_s=3600,
    )  # fmt: skip
    bob = Held(
        session="b--bob", lab="b", learner="bob", uuid="GPU-2", name="H100", sharing="timeslice",
        since=now - timedelta(hours=1), total_mib=80_000, memory_mib=20_000,
    )  # fmt: skip
    with Store(chosen).allocating() as table:
        table.take([ada, bob])
    return now


def test_an_empty_ledger_says_so(chosen: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    ask()
    assert capsys.readouterr().out == "no session has held a GPU\n"
    ask(json=True)
    answer = json.loads(capsys.readouterr().out)
    assert (answer["rows"], answer["total"]["gpu_hours"], answer["total"]["cost"]) == ([], 0, None)


def test_a_line_for_each_and_what_is_held_still_is_marked(ledger: datetime, capsys: pytest.CaptureFixture[str]) -> None:
    ask()
    out, err = capsys.readouterr()
    assert out.splitlines() == [
        "LEARNER   GPU HOURS   BY SHARE   PEAK MEMORY   IN USE   TIMES",
        "ada            2.00       2.00         2 GiB     25 %       1",
        "bob           1.00+       0.25             ?        ?       1",
        "all           3.00+       2.25         2 GiB     25 %       2",
    ]
    assert "+ is held still" in err
    assert 'LABCTL_GPU_HOUR_PRICE="2.50 EUR"' in err


def test_with_a_price_it_has_a_cost(
    ledger: datetime, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LABCTL_GPU_HOUR_PRICE", "2.50 EUR")
    ask(by="lab")
    assert [line.split()[-1] for line in capsys.readouterr().out.splitlines()] == ["EUR", "5.00", "0.63", "5.63"]
    ask(json=True)
    answer = json.loads(capsys.readouterr().out)
    assert answer["price"] == {"amount": 2.5, "currency": "EUR"}
    assert answer["rows"][0] == {
        "learner": "ada",
        "gpu_hours": 2.0,
        "share_hours": 2.0,
        "peak_memory_mib": 2048,
        "utilization_percent": 25.0,
        "allocations": 1,
        "open": 0,
        "cost": 5.0,
    }
    assert answer["rows"][1]["utilization_percent"] is None


def test_csv_is_plain_numbers_under_a_header(ledger: datetime, capsys: pytest.CaptureFixture[str]) -> None:
    ask(by="session", since="2d", as_csv=True)
    out = capsys.readouterr().out
    names = "session,gpu_hours,share_hours,peak_memory_mib,utilization_percent,allocations,open,cost,currency"
    assert out.splitlines()[0] == names
    (row,) = csv.DictReader(out.splitlines())
    assert (row["session"], row["open"], row["cost"], row["peak_memory_mib"]) == ("b--bob", "1", "", "")
    assert float(row["gpu_hours"]) == pytest.approx(1, abs=0.1)


def test_since_is_a_duration_or_a_date(ledger: datetime, capsys: pytest.CaptureFixture[str]) -> None:
    for since in ("30m", (ledger - timedelta(days=1)).strftime("%Y-%m-%d"), "2026-01-01T00:00:00+02:00"):
        ask(since=since, json=True)
        assert json.loads(capsys.readouterr().out)["since"].endswith("Z")
    with pytest.raises(UsageError, match=r"'yesterday' is not a duration.*; nor is it a date"):
        ask(since="yesterday")


def test_what_is_neither_is_refused(chosen: Settings) -> None:
    with pytest.raises(UsageError, match="--by: 'colour'"):
        ask(by="colour")
    with pytest.raises(UsageError, match="exclude each other"):
        ask(json=True, as_csv=True)
