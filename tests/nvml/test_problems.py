"""Drivers that fail, hang and crash, and the sentences about them."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import psutil
import pytest

from labctl.gpus import nvml
from labctl.gpus.problems import no_driver, sentence
from tests.nvml.conftest import Play
from tests.nvml.library import gpu

_Seen = TypeVar("_Seen")


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (1, "was not started"),
        (3, "this kind of machine"),
        (4, "/dev/nvidia*"),
        (8, "cables"),
        (9, "modprobe nvidia"),
        (10, "ran out of time"),
        (11, "interrupts"),
        (13, "too old"),
        (14, "infoROM"),
        (15, "fell off the bus"),
        (16, "--gpu-reset"),
        (17, "device rules"),
        (18, "library 12.570.86.10): reboot"),
        (19, "try again in a minute"),
        (20, "no memory left"),
        (23, "no resources left"),
        (25, "does not know the form"),
        (27, "not ready"),
        (28, "lspci"),
        (999, "'Unknown'"),
        (4242, "'error 4242'"),
    ],
)
@pytest.mark.parametrize("function", ["nvmlInitWithFlags", "nvmlDeviceGetCount_v2"])
def test_each_failure_has_its_own_sentence(play: Play, function: str, code: int, words: str) -> None:
    found = nvml.inventory(play(gpu(), errors={function: code}))
    assert found.gpus == ()
    assert words in (found.problem or "")


@pytest.mark.parametrize("function", ["nvmlInitWithFlags", "nvmlDeviceGetCount_v2"])
def test_a_driver_too_old_to_be_asked_says_so(play: Play, function: str) -> None:
    assert "too old" in (nvml.inventory(play(gpu(), without=(function,))).problem or "")


def test_a_driver_without_gpus_is_a_normal_state(play: Play) -> None:
    found = nvml.inventory(play())
    assert (found.gpus, found.driver) == ((), "570.86.10")
    assert "sees no GPU" in (found.problem or "")


def test_every_sentence_names_a_remedy_and_no_two_are_the_same() -> None:
    import pynvml

    names = [name.removeprefix("NVMLError_") for name in dir(pynvml) if name.startswith("NVMLError_")]
    known = [sentence(name) for name in [*names, "NoGpu", "LibraryMismatch"] if "answered '" not in sentence(name)]
    known += [no_driver("machine"), no_driver("container"), no_driver("wsl")]
    assert len(set(known)) == len(known) > 20
    assert not [text for text in known if not re.search(r"[:;(] ?(?:`|[a-z])", text)]


def test_a_driver_that_hangs_is_left_alone_after_the_deadline(play: Play) -> None:
    library = play(gpu(hangs=["nvmlDeviceGetMigMode"]))
    before = time.monotonic()
    found = nvml.inventory(library, deadline_s=2)
    assert time.monotonic() - before < 10
    assert "did not answer within 2 seconds" in (found.problem or "")
    alive = [child for child in psutil.Process().children() if child.status() != psutil.STATUS_ZOMBIE]
    assert not [child for child in alive if "labctl.gpus.nvml" in " ".join(child.cmdline())]


def test_a_labctl_that_is_killed_leaves_nobody_with_a_driver_that_hangs(play: Play) -> None:
    library = play(gpu(hangs=["nvmlDeviceGetMigMode"]))
    program = "import sys; from labctl.gpus import nvml; nvml.inventory(sys.argv[1], deadline_s=300)"
    with subprocess.Popen([sys.executable, "-c", program, library]) as asking:
        child = _until(lambda: psutil.Process(asking.pid).children())[0]
        # its library is loaded: it has said that it goes with us
        _until(lambda: any(library in mapped.path for mapped in child.memory_maps()))
        asking.kill()
    child.wait(timeout=30)


def _until(look: Callable[[], _Seen]) -> _Seen:
    end = time.monotonic() + 30
    while time.monotonic() < end:
        if seen := look():
            return seen
    raise AssertionError("not seen within 30 seconds")


def test_one_gpu_that_hangs_does_not_hide_the_others(play: Play) -> None:
    hanging = gpu("GPU-2", hangs=["nvmlDeviceGetMigMode"])
    unopened = gpu("GPU-3", hangs=["nvmlDeviceGetHandleByIndex_v2"])
    found = nvml.inventory(play(gpu("GPU-1"), hanging, unopened, gpu("GPU-4")), deadline_s=2)
    assert found.problem is None
    assert [one.uuid for one in found.gpus] == ["GPU-1", "GPU-2", "", "GPU-4"]
    assert [one.health.ok for one in found.gpus] == [True, False, False, True]
    assert "did not answer within 2 seconds" in found.gpus[1].health.reasons[0]
    assert found.gpus[1].processes is None


def test_a_library_that_crashes_takes_only_its_own_process_with_it(play: Play) -> None:
    assert "crashed" in (nvml.inventory(play(gpu(), crashes=["nvmlInitWithFlags"])).problem or "")


def test_gpus_that_were_read_before_the_library_crashed_stay(play: Play) -> None:
    found = nvml.inventory(play(gpu("GPU-1"), gpu("GPU-2", crashes=["nvmlDeviceGetMigMode"]), gpu("GPU-3")))
    assert [one.health.ok for one in found.gpus] == [True, False, False]
    assert [one.uuid for one in found.gpus] == ["GPU-1", "GPU-2", ""]
    assert "crashed before it told of it (Aborted)" in found.gpus[1].health.reasons[0]


def test_a_library_that_does_not_survive_its_loading_takes_only_its_own_process_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, play: Play
) -> None:
    library = play()
    (tmp_path / "scenario.json").write_text('{"gpus": [')
    assert "crashed" in (nvml.inventory(library).problem or "")


def test_a_scenario_that_is_no_json_is_said_where_to_whoever_plays_it_by_hand(tmp_path: Path, play: Play) -> None:
    library = play()
    (tmp_path / "scenario.json").write_text('{"gpus": [\n  {"name": "NVIDIA H100" "uuid": "GPU-1"}]}')
    run = subprocess.run([sys.executable, "-m", "labctl.gpus.nvml", library], capture_output=True, text=True)
    assert run.returncode < 0
    assert "scenario.json, line 2: ',' or '}' expected at: \"uuid\"" in run.stderr


def test_what_a_library_prints_is_no_answer_and_does_not_hide_one(tmp_path: Path, play: Play) -> None:
    noisy, source = tmp_path / "noisy.so", tmp_path / "noisy.c"
    source.write_text(
        "#include <stdio.h>\n"
        '__attribute__((constructor)) static void greet(void) { puts("{}"); printf("hello"); fflush(stdout); }\n'
    )
    linked = ["-Wl,--no-as-needed", play(gpu())]
    subprocess.run(["cc", "-shared", "-fPIC", "-o", str(noisy), str(source), *linked], check=True)
    assert [one.uuid for one in nvml.inventory(str(noisy)).gpus] == ["GPU-1"]


def test_a_working_directory_full_of_modules_is_not_imported_from(
    play: Play, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "json.py").write_text("raise SystemExit('this is the wrong json')")
    monkeypatch.chdir(tmp_path)
    assert len(nvml.inventory(play(gpu())).gpus) == 1
