"""The check `generation`."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labctl.checks.base import BaseCheck
from labctl.checks.generation import exact, f1, scores_of
from labctl.outcomes import Outcome
from labctl.target import CannotLook, Request, Response
from labctl.testing.target import FakeTarget, completion

CheckOf = Callable[..., BaseCheck]
METRICS = ("rouge1", "rouge2", "rougeL", "bleu", "chrf", "exact", "accuracy", "f1")


@pytest.mark.parametrize(
    ("metric", "text", "references", "score"),
    [
        ("rouge1", "the cat sat", ["the cat sat on the mat"], 2 * 1 * 0.5 / 1.5),
        ("rouge2", "the cat sat", ["the cat sat on the mat"], 2 * 1 * 0.4 / 1.4),
        ("rougeL", "sat the cat", ["the cat sat on the mat"], 2 * (2 / 3) * (2 / 6) / (2 / 3 + 2 / 6)),
        ("rougeL", "a b", ["x y", "a b"], 1),
        ("rouge1", "", ["a"], 0),
        ("exact", " The  Seine.", ["the seine"], 1),
        ("exact", "It is the Seine", ["the Seine"], 0),
        ("accuracy", "POSITIVE", ["negative", "positive"], 1),
        ("f1", "the river Seine!", ["Seine"], 2 * 0.5 * 1 / 1.5),
        ("f1", "", ["Seine"], 0),
        ("f1", "the", ["a"], 1),
        ("bleu", "the quick brown fox jumps", ["the quick brown fox jumps"], 1),
        ("bleu", "entirely other words are here", ["the quick brown fox jumps"], 0),
        ("chrf", "the quick brown fox", ["the quick brown fox"], 1),
    ],
)
def test_a_metric_is_what_it_is_by_hand(metric: str, text: str, references: list[str], score: float) -> None:
    total, each = scores_of(metric, [(text, references)])
    assert total == pytest.approx(score, abs=1e-6)
    assert each == [pytest.approx(score, abs=1e-6)]


def test_bleu_and_chrf_are_of_the_whole_corpus_and_references_may_differ_in_number() -> None:
    from sacrebleu import corpus_bleu, corpus_chrf

    texts = ["the cat is on the mat", "there is a dog in the garden"]
    references = [["the cat sat on the mat", "a cat is on the mat"], ["there is a big dog in the garden"]]
    streams: Any = [[refs[0] for refs in references], [references[0][1], None]]
    pairs = list(zip(texts, references, strict=True))
    assert scores_of("bleu", pairs)[0] == pytest.approx(corpus_bleu(texts, streams).score / 100)
    assert scores_of("chrf", pairs)[0] == pytest.approx(corpus_chrf(texts, streams).score / 100)
    assert 0.3 < scores_of("bleu", pairs)[0] < 1


@pytest.mark.parametrize("metric", METRICS)
@settings(deadline=None)
@given(text=st.text(max_size=60), reference=st.text(min_size=1, max_size=60))
def test_every_metric_is_between_0_and_1_for_any_text(metric: str, text: str, reference: str) -> None:
    total, each = scores_of(metric, [(text, [reference]), (reference, [reference, text])])
    assert all(-1e-9 <= score <= 1 + 1e-9 for score in (total, *each))


@settings(deadline=None)
@given(text=st.text(min_size=1, max_size=60))
def test_a_text_is_right_beside_itself(text: str) -> None:
    assert (exact(text, [text]), f1(text, [text])) == (1, 1)


@pytest.fixture
def lab(tmp_path: Path) -> Path:
    folder = tmp_path / "lab"
    folder.mkdir()
    return folder


def served(tmp_path: Path, say: Callable[[str], str]) -> FakeTarget:
    def model(request: Request) -> Response:
        return completion(say(json.loads(request.body or b"")["messages"][-1]["content"]))

    return FakeTarget(folder=tmp_path, answers={("llm", "POST", "/v1/chat/completions"): model})


def test_a_served_model_is_judged_and_what_was_expected_stays_out_of_the_report(
    lab: Path, tmp_path: Path, check_of: CheckOf
) -> None:
    lines = [{"input": f"Capital of {n}?", "expected": [f"secret-{n}", "or this"]} for n in range(4)]
    (lab / "cases.jsonl").write_text("\n".join(map(json.dumps, lines)))
    source = {"service": "llm", "chat": {"model": "m"}}
    check = check_of(
        "generation", lab=str(lab), metric="exact", cases="cases.jsonl", value={"ge": 0.75}, **{"from": source}
    )
    assert check.run(served(tmp_path, lambda asked: f" Secret-{asked[11]}. ")).message == "exact is 1 over 4 cases"
    result = check.run(served(tmp_path, lambda asked: "secret-0" if "0" in asked else "no idea"))
    assert result.outcome is Outcome.FAIL
    assert result.message == (
        "exact is 0.25 over 4 cases; wanted >= 0.75; furthest off: 'Capital of 1?' got 'no idea' (0); "
        "'Capital of 2?' got 'no idea' (0); 'Capital of 3?' got 'no idea' (0)"
    )
    assert "secret-1" not in str(result)
    assert result.actual["cases"] == 4


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ({"id": 1}, "answer in the answer to 'q' is null; wanted a text"),
        ({"id": 1, "answer": ["x"]}, 'is ["x"]; wanted a text'),
        ({"id": 1, "answer": True}, "is True; wanted a text"),
        ({"id": 1, "answer": "x" * 30_000}, "wanted at most 20000 characters, not 30000"),
    ],
)
def test_an_answer_that_is_no_text_fails(
    lab: Path, target: FakeTarget, check_of: CheckOf, said: dict[str, Any], why: str
) -> None:
    (lab / "cases.jsonl").write_text('{"input": "q", "expected": "a"}\n')
    program = ["python3", "-c", f"print({json.dumps(said)!r})"]
    settings: dict[str, Any] = {"from": {"command": program}, "select": "answer", "cases": "cases.jsonl"}
    result = check_of("generation", lab=str(lab), metric="f1", value={"ge": 0}, **settings).run(target)
    assert (result.outcome, why in result.message) == (Outcome.FAIL, True), result.message


def test_a_case_without_an_expected_text_is_the_labs_mistake(lab: Path, target: FakeTarget, check_of: CheckOf) -> None:
    (lab / "cases.jsonl").write_text('{"input": "q"}\n')
    settings: dict[str, Any] = {"from": {"service": "a"}, "cases": "cases.jsonl"}
    with pytest.raises(CannotLook, match="names nothing expected for 'q'"):
        check_of("generation", lab=str(lab), metric="f1", value={"ge": 0}, **settings).run(target)


def test_the_libraries_are_not_loaded_before_they_are_needed() -> None:
    program = "import labctl.checks.kinds, sys; print([m for m in ('nltk', 'rouge_score', 'sacrebleu', 'lxml') if m in sys.modules])"
    assert subprocess.check_output([sys.executable, "-c", program], text=True).strip() == "[]"
