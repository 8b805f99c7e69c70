"""Proving a lab over a fake engine: which services start again between rounds, and what is remembered of a proof."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from labctl.errors import UsageError
from labctl.gpus.inventory import Gpu, Health, Inventory
from labctl.labs.lab import load_folder
from labctl.progress import Step
from labctl.sessions import proofs
from labctl.sessions.context import Context
from labctl.sessions.prove import Round, prove
from labctl.testing.runtime import FakeRuntime

LAB = """\
title: A lab to prove
stage: 1
minutes: 5
profiles:
  cpu: {memory: 64MiB, disk: 16MiB}
services:
  model: {command: [serve]}
  page: {command: [serve], owner: learner}
criteria:
  - id: written
    text: answer.txt says yes
    points: 3
    hint: write it
    checks:
      - file: {path: answer.txt, text: {contains: "yes"}}
  - id: signed
    text: somebody signed it
    points: 7
    hint: sign it
    checks:
      - file: {path: signature.txt}
"""
KEEPS = LAB + "test: {keep_services: true}\n"
ANSWERS = {
    "README.md": "Do it.\n",
    "solution/answer.txt": "yes\n",
    "solution/signature.txt": "ada\n",
    "mutants/no/answer.txt": "no\n",
    "mutants/no/mutant.yaml": "description: says no\nfails: [written]\n",
    "mutants/unsigned/answer.txt": "yes\n",
    "mutants/unsigned/mutant.yaml": "description: never signed\nfails: [signed]\nbase: starter\n",
}

GPU = Gpu(
    index=0,
    uuid="GPU-0",
    name="H100",
    memory_total_mib=81920,
    memory_free_mib=81920,
    compute_capability="9.0",
    health=Health(ok=True),
)

Prove = Callable[..., list[Round]]


@pytest.fixture
def write(write_lab: Callable[..., Path]) -> Callable[..., Path]:
    return lambda text=LAB: write_lab("small-lab", text=text, **ANSWERS)


@pytest.fixture
def run(ctx: Context) -> Prove:
    def prove_it(**choices: Any) -> list[Round]:
        kept = {"runtime": None, "profile": "cpu", "on_round": lambda _each: None, **choices}
        return prove(ctx, "small-lab", quiet, **kept)

    return prove_it


def quiet(_step: Step) -> None: ...


def starts(engine: FakeRuntime, service: str) -> int:
    return sum(count for (_, name), count in engine.starts.items() if name == service)


@pytest.mark.parametrize(("text", "fresh_sessions", "learners_starts"), [(LAB, 4, 4), (KEEPS, 2, 4)])
def test_a_lab_is_proved_whether_its_services_are_kept_or_not(
    write: Callable[..., Path], run: Prove, engine: FakeRuntime, text: str, fresh_sessions: int, learners_starts: int
) -> None:
    write(text)
    rounds = run()
    assert [each.name for each in rounds] == ["starter", "solution", "mutant no", "mutant unsigned", "solution again"]
    assert [each.problems for each in rounds] == [()] * 5
    assert starts(engine, "model") == fresh_sessions
    assert starts(engine, "page") == learners_starts
    assert engine.running == {}


def test_without_its_mutants_a_lab_is_run_but_not_proved(ctx: Context, write: Callable[..., Path], run: Prove) -> None:
    folder = write()
    rounds = run(with_mutants=False)
    assert [each.name for each in rounds] == ["starter", "solution", "solution again"]
    assert [each.problems for each in rounds] == [()] * 3
    assert proofs.holds(ctx, proofs.subject(ctx, load_folder(folder), None, "cpu")) is None


@pytest.mark.parametrize(
    ("only", "rounds"),
    [
        (["solution"], ["solution"]),
        (["unsigned"], ["mutant unsigned"]),
        (["no", "starter"], ["starter", "mutant no"]),
        (["no", "unsigned"], ["mutant no", "mutant unsigned"]),
    ],
)
@pytest.mark.parametrize("text", [LAB, KEEPS])
def test_of_all_rounds_just_those_that_are_asked_for(
    ctx: Context,
    write: Callable[..., Path],
    run: Prove,
    engine: FakeRuntime,
    text: str,
    only: list[str],
    rounds: list[str],
) -> None:
    folder = write(text)
    done = run(only=only)
    assert [each.name for each in done] == rounds
    assert [each.problems for each in done] == [()] * len(rounds)
    assert engine.running == {}
    assert proofs.holds(ctx, proofs.subject(ctx, load_folder(folder), None, "cpu")) is None


def test_a_round_that_the_lab_does_not_have_is_refused_before_anything_starts(
    write: Callable[..., Path], run: Prove, engine: FakeRuntime
) -> None:
    write()
    with pytest.raises(UsageError, match="no round 'nope'") as refused:
        run(only=["nope"])
    assert refused.value.hint == "its rounds are starter, solution, no, unsigned"
    assert engine.starts == {}


def test_a_kept_session_ends_however_a_round_ends(
    ctx: Context, write: Callable[..., Path], run: Prove, engine: FakeRuntime
) -> None:
    write(KEEPS)

    def interrupted(each: Round) -> None:
        if each.name == "mutant no":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(on_round=interrupted)
    assert engine.running == {}
    assert ctx.store.sessions(live=True) == []


def test_an_impatient_ctrl_c_does_not_keep_a_session_from_being_ended(
    ctx: Context, write: Callable[..., Path], engine: FakeRuntime
) -> None:
    write()
    pressed: list[str] = []

    def impatient(step: Step) -> None:
        if step.name.startswith("small-lab--") and not pressed:
            pressed.append(step.name)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prove(ctx, "small-lab", impatient, runtime=None, profile="cpu", on_round=lambda _each: None)
    assert engine.running == {}
    assert ctx.store.sessions(live=True) == []


def test_a_proof_holds_until_something_it_hangs_on_changes(
    ctx: Context, write: Callable[..., Path], run: Prove
) -> None:
    folder = write()

    def holds(profile: str | None = "cpu", runtime: str | None = None) -> bool:
        what = proofs.subject(ctx, load_folder(folder), runtime, profile)
        return proofs.holds(ctx, what) is not None

    assert not holds()
    run()
    assert holds()
    assert not holds(profile=None)  # what `up` would choose may be another
    assert not holds(runtime="docker")
    (folder / "mutants/no/answer.txt").write_text("never\n")
    assert not holds()
    (folder / "mutants/no/answer.txt").write_text("no\n")
    assert holds()


def test_only_a_lab_that_was_proved_as_it_stands_is_remembered(
    ctx: Context, write: Callable[..., Path], run: Prove
) -> None:
    folder = write()
    (folder / "mutants/no/answer.txt").write_text("yes\n")
    assert not all(each.ok for each in run())
    what = proofs.subject(ctx, load_folder(folder), None, "cpu")
    assert proofs.holds(ctx, what) is None
    (folder / "mutants/no/answer.txt").write_text("no\n")
    run(on_round=lambda _each: (folder / "README.md").write_text("Edited meanwhile.\n"))
    assert proofs.holds(ctx, replace(what, lab=load_folder(folder))) is None


def test_a_proof_on_the_cpu_is_none_for_a_machine_whose_gpus_were_merely_in_use(
    ctx: Context, write: Callable[..., Path], run: Prove, engine: FakeRuntime
) -> None:
    gpu = "profiles:\n  gpu: {memory: 1GiB, disk: 16MiB, gpu: {memory: 999GiB}}\n"
    folder = write(LAB.replace("profiles:\n", gpu))
    what = proofs.subject(ctx, load_folder(folder), None, None)
    run(profile=None)
    assert proofs.holds(ctx, what) is not None  # there is no GPU
    engine.inventory = Inventory(source="fake", gpus=(GPU,))
    assert proofs.holds(ctx, what) is None
    run(profile=None)  # none that fits
    assert proofs.holds(ctx, what) is None


def test_a_damaged_record_is_no_proof(ctx: Context, write: Callable[..., Path], run: Prove) -> None:
    folder = write()
    run()
    what = proofs.subject(ctx, load_folder(folder), None, "cpu")
    found = proofs.holds(ctx, what)
    assert found is not None
    assert (found.rounds, found.at) == (5, ctx.now())
    for text in ("", "[]", '{"digest": 1}', '{"digest": "", "at": "soon", "rounds": 5, "wall_s": 1}'):
        next((ctx.settings.home / "proofs").iterdir()).write_text(text)
        assert proofs.last(ctx, "small-lab", "local", "cpu") is None
