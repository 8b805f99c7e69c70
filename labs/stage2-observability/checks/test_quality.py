"""Two ways of judging: the learner's functions on rows of this lab, and their record against what can be computed again."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

ROWS = "data/labelled.jsonl"
MIN_KAPPA = 0.5
QUESTION = "What is the capital of Japan?"
CITIES = ("Tokyo", "Rome", "Cairo")
DRIVE = """
import json, sys
sys.path.insert(0, ".")
import quality
asked = json.load(sys.stdin)
print(json.dumps({"rouge": [quality.rouge_l(*pair) for pair in asked["pairs"]],
                  "kappa": [quality.kappa(*lists) for lists in asked["verdicts"]]}))
"""
TRUTH = """
import json, sys
from rouge_score import rouge_scorer
scorer = rouge_scorer.RougeScorer(["rougeL"], use_stemmer=True)
print(json.dumps([scorer.score(*pair)["rougeL"].fmeasure for pair in json.load(sys.stdin)["pairs"]]))
"""
PAIRS = [
    ["The service was restarted twice at night.", "At night the service restarts twice."],
    ["Tokens are counted by vLLM.", "vLLM counts tokens."],
    ["The capital of Kenya is Nairobi.", "Nairobi"],
    ["A queue grows.", "Nothing of the kind."],
]
VERDICTS = [
    [["good", "bad", "good", "bad"], ["good", "bad", "bad", "bad"]],
    [["good", "good", "good", "bad", "bad"], ["bad", "good", "good", "good", "bad"]],
]


@pytest.fixture(scope="module")
def record(workspace: Any) -> dict[str, Any]:
    found = workspace.read_json("out/quality.json")
    rows = found.get("rows") if isinstance(found, dict) else None
    assert isinstance(rows, list), "out/quality.json has lost its form"
    return found


@pytest.fixture(scope="module")
def labelled(lab: Path) -> dict[str, dict[str, str]]:
    """The rows as the lab ships them."""
    lines = (lab / "workspace" / ROWS).read_text().splitlines()
    return {row["id"]: row for row in map(json.loads, lines)}


def test_rouge_and_kappa_are_right(workspace: Any) -> None:
    asked = json.dumps({"pairs": PAIRS, "verdicts": VERDICTS})
    ran = workspace.run("python", "-B", "-c", DRIVE, stdin=asked, timeout=120)
    assert ran.exit_code == 0, f"rouge_l or kappa of quality.py fails: {(ran.stderr or ran.stdout).strip()[-300:]}"
    said = json.loads(ran.stdout.strip().splitlines()[-1])
    truth = json.loads(workspace.run("python", "-I", "-B", "-c", TRUTH, stdin=asked, timeout=120).stdout)
    for pair, own, right in zip(PAIRS, said["rouge"], truth, strict=True):
        assert abs(own - right) < 1e-6, f"rouge_l({pair[0]!r}, {pair[1]!r}) is {own:.3f}"
    for lists, own in zip(VERDICTS, said["kappa"], strict=True):
        assert abs(own - _kappa(*lists)) < 1e-6, f"kappa({lists[0]}, {lists[1]}) is {own:.3f}"


def test_judge_asks_the_model(workspace: Any, scrape: Callable[[str], Any], until: Callable[..., Any]) -> None:
    """As many requests reach vLLM as answers are judged."""
    cases = [
        {"id": str(n), "input": {"question": QUESTION, "answer": f"It is {city}."}} for n, city in enumerate(CITIES)
    ]
    before = scrape("vllm").sum("vllm:request_success_total")
    ran = workspace.run(
        "python", "quality.py", "judge", stdin="".join(json.dumps(each) + "\n" for each in cases), timeout=240
    )
    assert ran.exit_code == 0, f"`python quality.py judge` fails: {ran.stderr.strip()[-300:]}"
    wanted = before + len(cases)
    after = until(lambda: scrape("vllm").sum("vllm:request_success_total"), lambda seen: seen >= wanted)
    assert after >= wanted, f"{len(cases)} answers were judged, and vLLM was asked {after - before:.0f} times"


def test_record_is_of_these_rows(record: dict[str, Any], labelled: dict[str, dict[str, str]], workspace: Any) -> None:
    rows = {row.get("id"): row for row in record["rows"] if isinstance(row, dict)}
    assert set(rows) == set(labelled), (
        f"out/quality.json has {len(rows)} rows, {ROWS} {len(labelled)}: they are not the same"
    )
    wrong = [id for id, row in rows.items() if row.get("label") != labelled[id]["label"]]
    assert not wrong, f"row {wrong[0] if wrong else ''} of out/quality.json has another label than people gave it"
    asked = [
        {"id": id, "input": {"question": row["question"], "answer": row["answer"]}} for id, row in labelled.items()
    ]
    ran = workspace.run(
        "python", "quality.py", "judge", stdin="".join(json.dumps(each) + "\n" for each in asked), timeout=240
    )
    again = {said["id"]: said["text"] for said in map(json.loads, ran.stdout.splitlines())}
    other = [id for id, row in rows.items() if again.get(id) != row.get("judge")]
    assert len(other) <= 1, f"of {len(rows)} verdicts in out/quality.json {len(other)} are not what judge() says now"
    pairs = json.dumps({"pairs": [[row["reference"], row["answer"]] for row in labelled.values()]})
    truth = json.loads(workspace.run("python", "-I", "-B", "-c", TRUTH, stdin=pairs, timeout=120).stdout)
    for id, right in zip(labelled, truth, strict=True):
        assert abs(float(rows[id].get("rouge_l", -1)) - right) < 1e-3, (
            f"rouge_l of row {id} is {right:.3f}, not what is recorded"
        )


def test_agreement_is_what_the_rows_say(record: dict[str, Any]) -> None:
    labels = [row["label"] for row in record["rows"]]
    found = {
        "rouge_kappa": _kappa(labels, ["good" if row["rouge_l"] >= 0.5 else "bad" for row in record["rows"]]),
        "judge_kappa": _kappa(labels, [row["judge"] for row in record["rows"]]),
    }
    for name, value in found.items():
        assert abs(float(record.get(name, 9)) - value) < 1e-3, (
            f"{name} of out/quality.json does not follow from its rows"
        )
    assert found["judge_kappa"] >= MIN_KAPPA, (
        f"the judge agrees with people no better than {found['judge_kappa']:.2f} (kappa)"
    )


def test_reading_is_right(record: dict[str, Any], workspace: Any) -> None:
    answers = yaml.safe_load(workspace.read_text("answers.yaml"))
    given = answers.get("quality") if isinstance(answers, dict) else None
    assert isinstance(given, Mapping), "answers.yaml has lost its form"
    bad = [row for row in record["rows"] if row["label"] == "bad"]
    wanted = {
        "rouge_misled": sum(row["rouge_l"] >= 0.5 for row in bad),
        "judge_misled": sum(row["judge"] == "good" for row in bad),
        "trust": "judge" if record["judge_kappa"] > record["rouge_kappa"] else "rouge",
    }
    wrong = [name for name, value in wanted.items() if given.get(name) is None or given[name] != value]
    assert not wrong, f"quality.{wrong[0]} in answers.yaml is not what out/quality.json says"


def _kappa(first: list[str], second: list[str]) -> float:
    agreed = sum(one == other for one, other in zip(first, second, strict=True)) / len(first)
    chance = sum(
        (first.count(verdict) / len(first)) * (second.count(verdict) / len(second)) for verdict in ("good", "bad")
    )
    return 1.0 if chance == 1 else (agreed - chance) / (1 - chance)
