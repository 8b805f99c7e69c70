"""Probes without the libraries they are about: what of `adapter_output` and `quantized` is known before any model is loaded."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError
from safetensors.numpy import save_file

from labctl.checks.base import BaseCheck, Unmet
from labctl.checks.probe import StillRunning, run_probe
from labctl.grading.attempts import observe_all
from labctl.outcomes import CheckResult, Outcome
from labctl.target import CannotLook, RefusedPath
from labctl.testing.target import FakeTarget

CheckOf = Callable[..., BaseCheck]


@pytest.fixture
def session(target: FakeTarget, tmp_path: Path) -> Callable[[str], FakeTarget]:
    """A session whose `python` is this shell script."""

    def make(script: str) -> FakeTarget:
        program = tmp_path / "bin/python"
        program.parent.mkdir(exist_ok=True)
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
        return FakeTarget(folder=target.folder, environment={"PATH": f"{program.parent}:/usr/bin:/bin"})

    return make


def saying(answer: Any) -> str:
    return f"cat > /dev/null; echo chatter; echo '{json.dumps(answer)}'"


def test_what_a_probe_saw_is_its_last_line(session: Callable[[str], FakeTarget]) -> None:
    assert run_probe(session(saying({"seen": {"a": 1}})), "notebook", {}, timeout_s=20) == {"a": 1}


@pytest.mark.parametrize(
    ("script", "error", "why"),
    [
        (saying({"unmet": "broken"}), Unmet, "broken"),
        (saying({"missing": "No module named 'peft'"}), CannotLook, "lacks what `notebook` needs: No module named"),
        (saying({"error": "KeyError: 3"}), CannotLook, "broke down: KeyError: 3"),
        (saying([1]), CannotLook, "without an answer"),
        (saying({"seen": 3}), CannotLook, "broke down"),
        ("echo no memory >&2; exit 9", CannotLook, "ended with 9 and without an answer: no memory"),
        ("printf '\\377\\000'", CannotLook, "without an answer"),
        ("sleep 60", StillRunning, "still running after 1s"),
    ],
)
def test_a_probe_that_saw_nothing_is_told_from_one_that_saw_something_broken(
    session: Callable[[str], FakeTarget], script: str, error: type[Exception], why: str
) -> None:
    timeout_s = 1.0 if "sleep" in script else 30.0
    with pytest.raises(error, match=why):
        run_probe(session(script), "notebook", {}, timeout_s=timeout_s)


def test_a_session_without_python_is_the_labs_mistake(target: FakeTarget) -> None:
    nowhere = FakeTarget(folder=target.folder, environment={"PATH": "/nowhere"})
    with pytest.raises(CannotLook, match="no program `python`"):
        run_probe(nowhere, "notebook", {}, timeout_s=20)


def test_a_library_that_the_session_lacks_is_the_labs_mistake_and_no_module_of_the_workspace_stands_in(
    session: Callable[[str], FakeTarget], check_of: CheckOf
) -> None:
    there = session(f'exec "{Path(sys.executable).resolve()}" "$@"')  # without this environment's packages
    for name in ("peft", "torch", "json"):
        (there.folder / f"{name}.py").write_text("raise SystemExit('imported from the workspace')")
    adapter_saved(there)
    with pytest.raises(CannotLook, match="lacks what `adapter_output` needs: No module named"):
        looked_at_adapter(there, check_of)


def adapter_saved(target: FakeTarget) -> Path:
    folder = target.folder / "out/adapter"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "adapter_config.json").write_text("{}")
    save_file({"a": np.ones(2, np.float32)}, folder / "adapter_model.safetensors")
    return folder


def looked_at_adapter(target: FakeTarget, check_of: CheckOf, **settings: Any) -> CheckResult:
    given = {"base": "/models/tiny", "adapter": "out/adapter", "prompts": ["a", "b", "c", "d"], **settings}
    return check_of("adapter_output", **given).run(target)


@pytest.mark.parametrize(
    ("adapted", "restored", "outcome", "why"),
    [
        ("ABcd", "abcd", Outcome.PASS, "changes 2 of 4 replies, and without it 4 of 4 are the base's own"),
        ("abcd", "abcd", Outcome.FAIL, "wanted at least 50% of the replies changed by the adapter"),
        ("Abcd", "abcd", Outcome.FAIL, "changes 1 of 4 replies"),
        ("ABCD", "aBcd", Outcome.FAIL, "wanted the base's own replies once the adapter is switched off"),
    ],
    ids=["changed", "untouched", "too few", "base harmed"],
)
def test_an_adapter_must_change_replies_and_leave_the_base_alone(
    session: Callable[[str], FakeTarget], check_of: CheckOf, adapted: str, restored: str, outcome: Outcome, why: str
) -> None:
    seen = {"base": list("abcd"), "adapted": list(adapted), "restored": list(restored)}
    there = session(saying({"seen": seen}))
    adapter_saved(there)
    result = looked_at_adapter(there, check_of)
    assert (result.outcome, why in result.message) == (outcome, True), result.message


@pytest.mark.parametrize("content", [None, b"", b"\x80\x04pickle of something", b"\xff" * 64])
def test_weights_that_are_no_safetensors_are_never_loaded(
    session: Callable[[str], FakeTarget], check_of: CheckOf, content: bytes | None
) -> None:
    there = session("touch started")
    weights = adapter_saved(there) / "adapter_model.safetensors"
    weights.unlink()
    (weights.parent / "adapter_model.bin").write_bytes(b"pickle")
    if content is not None:
        weights.write_bytes(content)
    assert looked_at_adapter(there, check_of).outcome is Outcome.FAIL
    (there.folder / "q").mkdir()
    (there.folder / "q/pytorch_model.bin").write_bytes(b"pickle")
    if content is not None:
        (there.folder / "q/model.safetensors").write_bytes(content)
    assert check_of("quantized", original="/m", path="q", bits=8).run(there).outcome is Outcome.FAIL
    assert not (there.folder / "started").exists()


def test_weights_linked_from_outside_are_refused(
    session: Callable[[str], FakeTarget], check_of: CheckOf, tmp_path: Path
) -> None:
    there = session("touch started")
    adapter_saved(there).rename(tmp_path / "elsewhere")
    (there.folder / "out/adapter").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(RefusedPath):
        looked_at_adapter(there, check_of)


SEEN = {
    "share": 1.0,
    "stored": {"8 bits (I8)": 1.0},
    "bytes": 400,
    "original_bytes": 1000,
    "size_ratio": 0.4,
    "perplexity": 10.5,
    "original_perplexity": 10.0,
    "perplexity_ratio": 1.05,
}


@pytest.mark.parametrize(
    ("seen", "why"),
    [
        ({}, ""),
        ({"share": 0.5}, "wanted 90% of the linear layers' weights in at most 8 bits"),
        ({"size_ratio": 0.7}, "wanted at most 60% of the original's bytes"),
        ({"perplexity_ratio": 1.2}, "wanted at most 1.1 times the original's perplexity"),
    ],
)
def test_a_quantised_model_is_small_and_still_knows(
    session: Callable[[str], FakeTarget], check_of: CheckOf, tmp_path: Path, seen: dict[str, Any], why: str
) -> None:
    (tmp_path / "lab").mkdir()
    (tmp_path / "lab/heldout.txt").write_text("some text")
    script = saying({"seen": {"models": [{"seen": {**SEEN, **seen}}]}}).replace("/dev/null", "asked.json")
    there = session(script)
    (there.folder / "q").mkdir()
    save_file({"a": np.ones(2, np.int8)}, there.folder / "q/model.safetensors")
    settings = {"original": "/m", "path": "q", "bits": 8, "max_size_ratio": 0.6}
    result = check_of("quantized", text="heldout.txt", lab=str(tmp_path / "lab"), **settings).run(there)
    assert (result.outcome is Outcome.PASS, why in result.message) == (not why, True), result.message
    assert "perplexity 10.5 against 10" in result.message
    assert json.loads((there.folder / "asked.json").read_text())["arguments"]["text"] == "some text"
    with pytest.raises(CannotLook, match="cannot be read"):
        check_of("quantized", text="other.txt", lab=str(tmp_path / "lab"), **settings).run(there)


def several(there: FakeTarget, check_of: CheckOf, **settings: Any) -> list[BaseCheck]:
    """Checks of one original; of `lost` there is no file."""
    for name in ("a", "b"):
        (there.folder / name).mkdir()
        save_file({"a": np.ones(2, np.int8)}, there.folder / name / "model.safetensors")
    return [check_of("quantized", original="/m", path=path, bits=8, **settings) for path in ("lost", "a", "b")]


def looked_at(checks: list[BaseCheck], there: FakeTarget) -> list[str]:
    """What each of them comes to in one look, in a few words."""
    return [f"{result.outcome}: {result.message[:30]}" for result in observe_all(checks, there)]


def test_quantised_models_of_one_original_are_one_process(
    session: Callable[[str], FakeTarget], check_of: CheckOf
) -> None:
    answers = [{"seen": {**SEEN, "share": 0.5}}, {"unmet": "b cannot be loaded"}]
    there = session("echo >> started;" + saying({"seen": {"models": answers}}).replace("/dev/null", "asked.json"))
    checks = several(there, check_of)
    assert len({check.shares for check in checks}) == 1
    told = looked_at(checks, there)
    assert [text.split(":")[0] for text in told] == ["fail", "fail", "fail"]
    assert [text.partition(": ")[2] for text in told if "a: 100%" not in text] == [
        "there is no safetensors file i",
        "b cannot be loaded",
    ]
    asked = json.loads((there.folder / "asked.json").read_text())["arguments"]
    assert asked["models"] == [{"path": "a", "bits": 8}, {"path": "b", "bits": 8}]
    assert (there.folder / "started").read_text() == "\n"


def test_a_quantised_model_that_ends_the_process_is_not_held_against_another(
    session: Callable[[str], FakeTarget], check_of: CheckOf
) -> None:
    good = saying({"seen": {"models": [{"seen": SEEN}]}}).replace("/dev/null", "asked.json")
    there = session(f"{good} > answer; if grep -q '\"a\"' asked.json; then exit 9; fi; cat answer")
    told = looked_at(several(there, check_of), there)
    assert told == [
        "fail: there is no safetensors file i",
        "error: could not look: the probe of `",
        "pass: b: 100% in 8 bits (I8); 400 by",
    ]


def test_quantised_models_that_take_too_long_are_not_looked_at_again(
    session: Callable[[str], FakeTarget], check_of: CheckOf
) -> None:
    there = session("echo >> started; sleep 60")
    told = looked_at(several(there, check_of, timeout=0.5), there)
    assert [text.split(":")[0] for text in told] == ["fail", "error", "error"]
    assert (there.folder / "started").read_text() == "\n"


@pytest.mark.parametrize("settings", [{"bits": 4}, {"max_size_ratio": 0.5}])
def test_what_is_only_judged_otherwise_shares_a_look(check_of: CheckOf, settings: dict[str, Any]) -> None:
    one = {"original": "/m", "path": "a", "bits": 8}
    assert check_of("quantized", **one).shares == check_of("quantized", **{**one, **settings}).shares


@pytest.mark.parametrize("settings", [{"original": "/n"}, {"text": "other.txt"}, {"lab": "/other"}])
def test_what_is_measured_otherwise_shares_none(check_of: CheckOf, settings: dict[str, Any]) -> None:
    one = {"original": "/m", "path": "a", "bits": 8, "text": "heldout.txt"}
    assert check_of("quantized", **one).shares != check_of("quantized", **{**one, **settings}).shares


@pytest.mark.parametrize("settings", [{"retry": "5s"}, {"alone": True}])
def test_a_quantised_model_with_a_budget_of_its_own_is_looked_at_by_itself(
    check_of: CheckOf, settings: dict[str, Any]
) -> None:
    assert check_of("quantized", original="/m", path="a", bits=8, **settings).shares is None


@pytest.mark.parametrize("content", [b"", b"GGU", b"safetensors"])
def test_a_file_that_is_no_gguf_fails(target: FakeTarget, check_of: CheckOf, content: bytes) -> None:
    check = check_of("quantized", original="/m", path="q.gguf", bits=8)
    assert check.run(target).message == "there is no file q.gguf"
    (target.folder / "q.gguf").write_bytes(content)
    assert check.run(target).message == "q.gguf is no GGUF file"


@pytest.mark.parametrize(
    ("kind", "settings", "why"),
    [
        ("quantized", {"original": "m", "path": "q", "bits": 8, "text": "../x"}, "leads out of the lab"),
        ("quantized", {"original": "m", "path": "q", "bits": 8, "max_perplexity_ratio": 1.2}, "needs a text"),
        ("quantized", {"original": "m", "path": "../q", "bits": 8}, "leads out of the workspace"),
        ("notebook", {"path": "a.py"}, "ends with .ipynb"),
        ("file", {"path": "a.txt", "notebook": True}, "must end with .py"),
        ("file", {"path": "a.py", "notebook": True, "unchanged": "0" * 64}, "unchanged"),
        ("agent_trace", {"path": "t", "min_steps": 3, "max_steps": 2}, "less than min_steps"),
        ("adapter_output", {"base": "m", "adapter": "a", "prompts": []}, "at least 1"),
    ],
)
def test_a_mistake_in_a_lab_file_is_refused(check_of: CheckOf, kind: str, settings: dict[str, Any], why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        check_of(kind, **settings)
