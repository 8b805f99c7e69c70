"""The checks `answers` and `gpu`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from labctl.checks.base import BaseCheck
from labctl.outcomes import Outcome
from labctl.target import CannotLook
from labctl.testing.target import FakeTarget

CheckOf = Callable[..., BaseCheck]


def outcome_of(target: FakeTarget, check_of: CheckOf, written: str, **settings: Any) -> Outcome:
    (target.folder / "answers.yaml").write_text(written)
    return check_of("answers", **settings).run(target).outcome


@pytest.mark.parametrize(
    "text", ["n: 29184", "n: 29,184", "n: 29_184", "n: '29184.0'", "n: 2.9184e4", "n: +29300", '{"n": 29184}']
)
def test_a_number_within_the_tolerance_passes(target: FakeTarget, check_of: CheckOf, text: str) -> None:
    assert outcome_of(target, check_of, text, key="n", number=29184) is Outcome.PASS


@pytest.mark.parametrize(
    "text", ["n: 30000", "n: .nan", "n: nan", "n: .inf", "n: inf", "n: true", "n: many", "n: 8:06:24", "n: 2,9184"]
)
def test_another_number_and_no_number_fail(target: FakeTarget, check_of: CheckOf, text: str) -> None:
    assert outcome_of(target, check_of, text, key="n", number=29184) is Outcome.FAIL


def test_the_number_wanted_stays_out_of_the_report(target: FakeTarget, check_of: CheckOf) -> None:
    (target.folder / "answers.yaml").write_text("n: 5")
    result = check_of("answers", key="n", number=29184).run(target)
    assert "29184" not in f"{result.message}{result.expected}{result.actual}"


@pytest.mark.parametrize("text", ["", "n:", "n: null", "n: TODO", "n: ~", "n: '?'", "m: 5", "[1]", "5"])
def test_an_open_question_is_called_unanswered(target: FakeTarget, check_of: CheckOf, text: str) -> None:
    (target.folder / "answers.yaml").write_text(text)
    assert check_of("answers", key="n", number=5).run(target).message == "n in answers.yaml is not answered yet"


@pytest.mark.parametrize("text", ["q: LoRA", "q: '  lora. '", "q: Low-Rank   adaptation", "q: yes"])
def test_texts_are_compared_without_case_and_spaces(target: FakeTarget, check_of: CheckOf, text: str) -> None:
    assert outcome_of(target, check_of, text, key="q", text=["LoRA", "low-rank adaptation", "yes"]) is Outcome.PASS


def test_another_text_fails_without_naming_the_right_one(target: FakeTarget, check_of: CheckOf) -> None:
    (target.folder / "answers.json").write_text('{"a": {"q": "full"}}')
    result = check_of("answers", file="answers.json", key="a.q", text="lora").run(target)
    assert (result.outcome, "lora" in result.message) == (Outcome.FAIL, False)


def test_an_answer_is_compared_with_the_learners_own_run(target: FakeTarget, check_of: CheckOf) -> None:
    (target.folder / "run.json").write_text('{"log": [{"loss": 0.5}]}')
    settings: dict[str, Any] = {"key": "n", "from": {"file": "run.json", "select": "log[-1].loss", "factor": 100}}
    assert outcome_of(target, check_of, "n: 50", **settings) is Outcome.PASS
    assert outcome_of(target, check_of, "n: 51", **settings) is Outcome.FAIL
    (target.folder / "run.json").write_text("{}")
    result = check_of("answers", **settings).run(target)
    assert (result.outcome, "your run is to record a number" in result.message) == (Outcome.FAIL, True)
    (target.folder / "run.json").unlink()
    assert check_of("answers", **settings).run(target).message == "there is no file run.json"


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"a: &a [x]\nn: *a", "holds an alias"),
        (b"n: &n [*n]", "holds an alias"),
        (b"n: " + b"[" * 100_000, "nested deeper"),
        (b"n: [" + b"1," * 50_000 + b"]", "holds more"),
        (b"n: [1", "is not YAML"),
        (b"n: 1\n---\nn: 2", "is not YAML"),
        (b"\xff\xfe\x00", "is not UTF-8"),
        (b"n: \x00", "is not YAML"),
        (b"? [a]\n: 1", "is not YAML"),
        (b"# " + b"x" * 300_000, "larger than"),
        (b"n: {a: 1}", "one value, not a dict"),
        (b"n: !!python/object/apply:os.system [ls]", "one value, not a list"),
    ],
    ids=["alias", "recursive", "deep", "many", "open", "documents", "binary", "nul", "key", "huge", "map", "tag"],
)
def test_a_hostile_answers_file_fails_with_its_reason(
    target: FakeTarget, check_of: CheckOf, content: bytes, why: str
) -> None:
    (target.folder / "answers.yaml").write_bytes(content)
    result = check_of("answers", key="n", number=1).run(target)
    assert (result.outcome, why in result.message) == (Outcome.FAIL, True), result.message


@pytest.fixture
def nvidia_smi(target: FakeTarget, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Put a program of this name on the session's PATH that prints what is given."""

    def install(program: str) -> None:
        path = target.folder / "bin/nvidia-smi"
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"#!/bin/sh\n{program}\n")
        path.chmod(0o755)
        monkeypatch.setenv("PATH", f"{path.parent}:/usr/bin:/bin")

    return install


TWO_GPUS = "echo 'GPU-1, NVIDIA H200, 512, 7\nGPU-2, NVIDIA H200, 20480, 98'"


def test_gpus_are_counted_and_their_figures_compared(
    target: FakeTarget, check_of: CheckOf, nvidia_smi: Callable[[str], None]
) -> None:
    nvidia_smi(TWO_GPUS)
    good: dict[str, Any] = {"count": {"equals": 2}, "name": {"contains": "H200"}, "utilization_percent": {"gt": 50}}
    assert check_of("gpu", **good, memory_used_mib={"ge": 20000}).run(target).outcome is Outcome.PASS
    result = check_of("gpu", count={"equals": 1}, memory_used_mib={"le": 1000}).run(target)
    assert result.expected == ["count equal to 1, not 2", "memory.used <= 1000, not 20480"]


@pytest.mark.parametrize(
    "program", ["echo 'NVIDIA-SMI has failed'; exit 9", "echo 'GPU-1, GB10, [N/A], [N/A]'", "echo nonsense", "sleep 60"]
)
def test_what_the_driver_does_not_say_is_an_error(
    target: FakeTarget, check_of: CheckOf, nvidia_smi: Callable[[str], None], program: str
) -> None:
    nvidia_smi(program)
    with pytest.raises(CannotLook):
        check_of("gpu", memory_used_mib={"ge": 1}, timeout="1s").run(target)


def test_without_nvidia_smi_nothing_can_be_seen(
    target: FakeTarget, check_of: CheckOf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(CannotLook, match="not in the session's PATH"):
        check_of("gpu", count={"ge": 1}).run(target)
