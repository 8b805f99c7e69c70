"""Many learners at once for few GPUs, as real processes: nobody gets what another has, and who waits is served."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from labctl import settings
from labctl.store.store import Store
from tests.nvml import library

pytestmark = pytest.mark.slow

GIB = 1024
LAB = """\
title: A lab for a GPU
stage: 1
minutes: 5
profiles:
  gpu: {memory: 64MiB, disk: 16MiB, gpu: {memory: %s, sharing: %s}}
services:
  busy:
    command: [sleep, "600"]
criteria:
  - id: there
    text: readme.txt is there
    points: 1
    hint: it is
    checks:
      - file: {path: readme.txt}
"""


@pytest.fixture
def four_gpus(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Four GPUs of 80 GiB, and an end to every session."""
    gpus = [library.gpu(f"GPU-{number}", total_gib=80, used_gib=0) for number in range(4)]
    monkeypatch.setenv("LABCTL_NVML_LIBRARY", str(library.compile_fake(tmp_path)))
    monkeypatch.setenv("FAKE_NVML", str(library.scenario(tmp_path / "scenario.json", gpus=gpus)))
    yield tmp_path
    labctl("down", "--all", "--yes")


def write_lab(folder: Path, memory: str, sharing: str) -> None:
    made = folder / "labs" / "busy"
    (made / "workspace").mkdir(parents=True)
    (made / "lab.yaml").write_text(LAB % (memory, sharing))
    (made / "workspace" / "readme.txt").write_text("here\n")


def begin(*words: str) -> subprocess.Popen[str]:
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen([sys.executable, "-m", "labctl", *words], env=dict(os.environ), **pipes)  # type: ignore[call-overload, no-any-return]


def labctl(*words: str) -> str:
    process = begin(*words)
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    return out


def ends(processes: Sequence[subprocess.Popen[str]]) -> list[tuple[int, str]]:
    said = [process.communicate(timeout=600) for process in processes]
    return [(process.returncode, err) for process, (_, err) in zip(processes, said, strict=True)]


def test_fifty_at_once_never_get_more_than_there_is(four_gpus: Path) -> None:
    write_lab(four_gpus, "35GiB", "timeslice")
    learners = [f"l{number}" for number in range(50)]
    ended = ends([begin("up", "busy", "--learner", name, "--quiet") for name in learners])
    assert Counter(code for code, _ in ended) == {0: 8, 4: 42}
    held = Store(settings.load()).held()
    assert Counter(each.uuid for each in held) == {f"GPU-{number}": 2 for number in range(4)}
    assert len({each.session for each in held}) == 8
    assert all(each.memory_mib == 35 * GIB for each in held)
    assert all("GPU 3" in err and "10 of the 35 GiB asked are free" in err for code, err in ended if code == 4)


def test_whoever_waits_is_served_in_the_end(four_gpus: Path) -> None:
    write_lab(four_gpus, "70GiB", "exclusive")
    waiting = {
        name: begin("up", "busy", "--learner", name, "--wait", "--quiet") for name in map("w{}".format, range(10))
    }
    while waiting:
        name = next_served(waiting)
        ((code, err),) = ends([waiting.pop(name)])
        assert code == 0, err
        held = Store(settings.load()).held()
        assert max(Counter(each.uuid for each in held).values()) == 1
        labctl("down", f"busy--{name}")
    assert len(Store(settings.load()).held(released=True)) == 10


def next_served(waiting: dict[str, subprocess.Popen[str]]) -> str:
    """The name of one whose `up` has ended."""
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline:
        for name, process in waiting.items():
            if process.poll() is not None:
                return name
        time.sleep(0.1)
    raise AssertionError(f"nobody was served: {list(waiting)}")
