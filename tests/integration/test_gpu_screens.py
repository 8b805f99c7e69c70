"""What people see of GPUs: real commands over a fake NVML library, and a store that says who holds what."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from labctl import settings
from labctl.store.lock import session_lock
from tests.integration.gpu_host import GpuHost, command
from tests.nvml.library import gpu, links, mig_slice

CODES = re.compile(rb"\x1b\[[0-9;?]*[A-Za-z]")


@pytest.fixture
def host(home: Path, tmp_path_factory: pytest.TempPathFactory) -> GpuHost:
    return GpuHost(home, tmp_path_factory.mktemp("nvml"))


@pytest.fixture
def shared(host: GpuHost) -> GpuHost:
    """Four GPUs: one shared in turns, one of carol's own, one split, one that is hot."""
    split: dict[str, Any] = {"mig_mode": 1, "mig": [mig_slice("MIG-1"), mig_slice("MIG-2", used_gib=4)]}
    hot: dict[str, Any] = {"clocks_event_reasons": 0x40}
    host.play(gpu("GPU-1"), gpu("GPU-2"), gpu("GPU-3", **split), gpu("GPU-4", **hot), links=links(2))
    host.hold("alice", "GPU-1", "timeslice", 16)
    host.hold("bob", "GPU-1", "timeslice", 24)
    host.hold("carol", "GPU-2", "exclusive", 80)
    return host


def wait_in_line(host: GpuHost) -> Iterator[None]:
    with (
        session_lock(settings.load().home, host.wait("dan", 5)),
        session_lock(settings.load().home, host.wait("eve", 3)),
    ):
        yield


@pytest.fixture
def line(host: GpuHost) -> Iterator[None]:
    """dan waits, and eve behind him."""
    yield from wait_in_line(host)


def on_terminal(host: GpuHost, columns: int, *args: str, until: bytes = b"") -> tuple[int, bytes]:
    """Exit code and output of labctl on a terminal so wide; once it has said `until`, Ctrl-C is typed."""
    pid, terminal = pty.fork()
    if pid == 0:
        kept = {name: value for name, value in host.environment.items() if name not in ("NO_COLOR", "CI")}
        os.execve(
            sys.executable, list(command(*args)), {**kept, "COLUMNS": str(columns), "LINES": "50", "TERM": "xterm"}
        )
    said, deadline, typed = b"", time.monotonic() + 60, False
    while time.monotonic() < deadline:
        if select.select([terminal], [], [], 0.2)[0]:
            try:
                part = os.read(terminal, 65536)
            except OSError:  # the other end is closed
                break
            said += part
        if until and not typed and said.count(until) >= 3:
            os.write(terminal, b"\x03")
            typed = True
    os.close(terminal)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), said


def test_the_list_says_who_holds_what_and_what_sharing_means(shared: GpuHost) -> None:
    found = shared.labctl("gpu", "list")
    assert found.returncode == 0, found.stderr
    assert "alice/tune 16 GiB, shared in turns, until " in found.stdout
    assert "bob/tune 24 GiB, shared in turns, until " in found.stdout
    assert "carol/tune 80 GiB, a GPU of one's own, until " in found.stdout
    assert "shared in turns: nothing limits memory" in found.stdout
    assert "└ 1g.10gb" in found.stdout
    assert "slowed down hard by heat" in found.stdout
    assert "NVLink: 0-1" in found.stdout
    assert "labctl gpu watch" in found.stderr


@pytest.mark.parametrize("columns", [80, 100, 200])
def test_the_list_fits_the_terminal(shared: GpuHost, line: None, columns: int) -> None:
    code, said = on_terminal(shared, columns, "gpu", "list")
    lines = CODES.sub(b"", said).decode().splitlines()
    assert code == 0
    assert max(map(len, lines)) <= columns
    assert sum(line.startswith(("0 ", "1 ", "2 ", "3 ")) and "80 GiB" in line for line in lines) == 4


def test_the_line_is_shown_in_order(shared: GpuHost, line: None) -> None:
    found = shared.labctl("gpu", "list").stdout
    assert re.search(r"waits +1\. dan/serve since \d\d:\d\d \(16 GiB\)\n +2\. eve/serve since ", found), found


def test_json_tells_the_same_and_the_shares(shared: GpuHost, line: None) -> None:
    found = json.loads(shared.labctl("gpu", "list", "--json").stdout)
    first, second, split, _ = found["gpus"]
    assert [(each["learner"], each["memory_mib"], each["sharing"]) for each in first["allocations"]] == [
        ("alice", 16 * 1024, "timeslice"),
        ("bob", 24 * 1024, "timeslice"),
    ]
    assert (first["usable"], first["why_not"], second["usable"]) == (True, None, False)
    assert [part["allocations"] for part in split["mig"]] == [[], []]
    assert [(each["place"], each["learner"]) for each in found["waiting"]] == [(1, "dan"), (2, "eve")]
    assert found["links"] == [{"a": "GPU-1", "b": "GPU-2", "level": "nvlink"}]


def test_one_who_waits_is_in_status_without_a_session(shared: GpuHost, line: None) -> None:
    found = shared.labctl("status", "serve--eve")
    assert found.returncode == 0, found.stderr
    assert re.search(r"serve--eve waits for a GPU: place 2 of 2 since \d\d:\d\d", found.stdout)
    assert "serve--dan" not in found.stdout
    assert json.loads(shared.labctl("status", "--json").stdout)["waiting"][1]["session"] == "serve--eve"
    assert shared.labctl("status", "nobody").returncode == 5


def test_a_name_that_two_wait_under_shows_both(shared: GpuHost, line: None) -> None:
    found = shared.labctl("status", "serve").stdout
    assert "place 1 of 2" in found
    assert "place 2 of 2" in found


def test_status_tells_the_share(shared: GpuHost) -> None:
    assert "H100 80GB HBM3 16 of 80 GiB, shared in turns (GPU-1)" in shared.labctl("status", "tune--alice").stdout
    assert "H100 80GB HBM3 80 GiB (GPU-2)" in shared.labctl("status", "tune--carol").stdout


def test_doctor_tells_of_gpus(shared: GpuHost) -> None:
    found = {each["name"]: each for each in json.loads(shared.labctl("doctor", "--json").stdout)["findings"]}
    assert found["GPU"]["detail"] == "4 × NVIDIA H100 80GB HBM3, driver 570.86.10, CUDA 12.8"
    assert found["GPU 3"]["ok"] is None
    assert "heat" in found["GPU 3"]["remedy"]
    assert found["MIG"]["detail"] == "GPU 2: 2 × 1g.10gb"
    assert found["MPS"]["ok"] is None


@pytest.mark.parametrize("columns", [80, 120])
def test_watch_draws_in_place_and_ends_with_ctrl_c(shared: GpuHost, line: None, columns: int) -> None:
    code, said = on_terminal(shared, columns, "gpu", "watch", "-n", "0.2", until=b"Ctrl-C ends")
    plain = CODES.sub(b"", said).decode().replace("^C", "")  # which the terminal says itself
    assert code == 130
    assert b"\x1b[2J" not in said  # nothing is wiped: that flickers
    assert b"\x1b[?1049h" not in said  # the last table stays to be read
    assert b"\x1b[?25h" in said  # the cursor is back
    assert "alice/tune 16 GiB" in plain
    assert "1. dan/serve since" in plain
    assert max(map(len, plain.splitlines())) <= columns


def test_watch_into_a_pipe_is_a_table_for_each_look(shared: GpuHost) -> None:
    process = subprocess.Popen(
        command("gpu", "watch", "-n", "0.2"),
        env=shared.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    tables = 0
    for text in process.stdout:
        tables += text.startswith("driver ")
        assert "\x1b" not in text
        if tables == 2:
            break
    process.send_signal(2)
    process.communicate(timeout=60)
    assert process.returncode == 130


def test_watch_notes_what_it_sees(shared: GpuHost) -> None:
    on_terminal(shared, 100, "gpu", "watch", "-n", "0.2", until=b"Ctrl-C ends")
    assert all(each.seen_at is not None for each in shared.store.held())
