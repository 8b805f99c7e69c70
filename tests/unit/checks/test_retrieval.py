"""The check `retrieval`. The numbers in the tables are worked out by hand."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from labctl.checks.base import BaseCheck
from labctl.outcomes import Outcome
from labctl.target import CannotLook
from labctl.testing.target import FakeTarget

CheckOf = Callable[..., BaseCheck]
NDCG_2_OF_3 = (1 / math.log2(2) + 1 / math.log2(4)) / (1 / math.log2(2) + 1 / math.log2(3) + 1 / math.log2(4))


@pytest.fixture
def lab(tmp_path: Path) -> Path:
    folder = tmp_path / "lab"
    (folder / "checks").mkdir(parents=True)
    return folder


def cases(lab: Path, *lines: Any) -> None:
    (lab / "checks/queries.jsonl").write_text("\n".join(map(json.dumps, lines)) + "\n")


def searching(target: FakeTarget, found: dict[str, Any]) -> dict[str, Any]:
    """A program that finds `found` for each query, and keeps what it was shown."""
    (target.folder / "found.json").write_text(json.dumps(found))
    (target.folder / "search.py").write_text(
        "import json, sys\n"
        "seen = sys.stdin.read()\n"
        "open('seen.txt', 'w').write(seen)\n"
        "for asked in map(json.loads, seen.splitlines()):\n"
        "    ids = json.load(open('found.json'))[asked['input']]\n"
        "    print(json.dumps({'id': asked['id'], 'sources': ids}))\n"
    )
    return {"from": {"command": [sys.executable, "search.py"]}, "select": "sources", "cases": "checks/queries.jsonl"}


@pytest.mark.parametrize(
    ("metric", "k", "found", "score"),
    [
        ("recall", 5, ["a", "x", "b", "y", "z"], 2 / 3),
        ("recall", 2, ["a", "x", "b"], 1 / 3),
        ("recall", 5, [], 0),
        ("precision", 5, ["a", "x", "b", "y", "z"], 2 / 5),
        ("precision", 4, ["a", "b"], 2 / 4),
        ("hit", 5, ["x", "y", "c"], 1),
        ("hit", 2, ["x", "y", "c"], 0),
        ("mrr", 5, ["x", "y", "c", "a"], 1 / 3),
        ("mrr", 2, ["x", "y", "c"], 0),
        ("ndcg", 5, ["a", "x", "b"], NDCG_2_OF_3),
        ("ndcg", 5, ["c", "b", "a", "x"], 1),
        ("ndcg", 2, ["a", "b", "x"], 1),
        ("recall", 2, ["a", "a", "a", "b"], 2 / 3),
        ("precision", 2, ["a", "a", "x"], 1 / 2),
        ("mrr", 5, ["x", "x", "a"], 1 / 2),
        ("recall", 5, "a", 1 / 3),
    ],
)
def test_a_metric_is_what_it_is_by_hand(
    lab: Path, target: FakeTarget, check_of: CheckOf, metric: str, k: int, found: Any, score: float
) -> None:
    cases(lab, {"input": "q", "relevant": ["a", "b", "c"]})
    wanted = {"approx": score, "tolerance": 1e-6}
    check = check_of("retrieval", lab=str(lab), metric=metric, k=k, value=wanted, **searching(target, {"q": found}))
    result = check.run(target)
    assert result.outcome is Outcome.PASS, result.message


def test_the_mean_over_the_queries_counts_and_ids_may_be_numbers(
    lab: Path, target: FakeTarget, check_of: CheckOf
) -> None:
    cases(lab, {"input": "q", "relevant": [1, 2]}, {"input": "r", "relevant": ["3"]})
    found = searching(target, {"q": [1, 7], "r": [3]})
    result = check_of("retrieval", lab=str(lab), value={"ge": 0.75}, **found).run(target)
    assert (result.outcome, result.message) == (Outcome.PASS, "recall@5 is 0.75 over 2 cases")


def test_a_failure_names_the_worst_queries_and_never_what_is_relevant(
    lab: Path, target: FakeTarget, check_of: CheckOf
) -> None:
    relevant = ["the-answer", "half"]
    lines = [{"input": f"q{number}", "relevant": relevant, "topic": "private"} for number in range(5)]
    cases(lab, *lines, {"input": "good", "relevant": ["good"]})
    bad: dict[str, Any] = {f"q{number}": ["x"] for number in range(4)}
    found = searching(target, {**bad, "q4": ["half"], "good": ["good"]})
    result = check_of("retrieval", lab=str(lab), value={"ge": 0.8}, **found).run(target)
    assert result.outcome is Outcome.FAIL
    assert result.message == (
        "recall@5 is 0.25 over 6 cases; wanted >= 0.8; furthest off: "
        "'q0' got [\"x\"] (0); 'q1' got [\"x\"] (0); 'q2' got [\"x\"] (0)"
    )
    assert "the-answer" not in str(result)
    seen = (target.folder / "seen.txt").read_text()
    assert "the-answer" not in seen
    assert "private" not in seen
    assert json.loads(seen.splitlines()[0]) == {"id": "1", "input": "q0"}


@pytest.mark.parametrize("found", [None, {"id": "a"}, [{"id": "a"}], [None], [["a"]], True, 1.5])
def test_what_is_no_list_of_ids_fails(lab: Path, target: FakeTarget, check_of: CheckOf, found: Any) -> None:
    cases(lab, {"input": "q", "relevant": ["a"]})
    result = check_of("retrieval", lab=str(lab), value={"ge": 0}, **searching(target, {"q": found})).run(target)
    assert (result.outcome, "wanted a list of ids" in result.message) == (Outcome.FAIL, True), result.message


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ('{"input": "q"}', "names nothing relevant for 'q'"),
        ('{"relevant": ["a"]}', "line 1: input: Field required"),
        ("", "holds 0 cases"),
        ("{", "line 1, is not JSON"),
        ("\n\n[1]", "line 3: it: "),
        (
            '{"id": 1, "input": "q", "relevant": ["a"]}\n{"id": "1", "input": "r", "relevant": ["a"]}',
            "the id '1' twice",
        ),
    ],
)
def test_a_mistake_of_the_lab_is_no_failure(
    lab: Path, target: FakeTarget, check_of: CheckOf, content: str, why: str
) -> None:
    (lab / "checks/queries.jsonl").write_text(content)
    check = check_of("retrieval", lab=str(lab), value={"ge": 0}, **searching(target, {}))
    with pytest.raises(CannotLook) as caught:
        check.run(target)
    assert why in str(caught.value)
    (lab / "checks/queries.jsonl").unlink()
    with pytest.raises(CannotLook, match="cannot be read: No such file"):
        check.run(target)


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"cases": "../queries.jsonl"}, "leads out"),
        ({"cases": "/etc/queries.jsonl"}, "pattern"),
        ({"cases": "queries.json"}, "pattern"),
        ({"k": 0}, "k"),
        ({"metric": "map"}, "metric"),
        ({"select": "a["}, "JMESPath"),
        ({"select": None}, "say with select"),
    ],
)
def test_a_mistake_in_a_lab_file_is_refused(check_of: CheckOf, settings: dict[str, Any], why: str) -> None:
    good = {"from": {"command": ["a"]}, "select": "ids", "cases": "q.jsonl", "value": {"ge": 1}}
    with pytest.raises(ValidationError, match=why):
        check_of("retrieval", **{**good, **settings})
