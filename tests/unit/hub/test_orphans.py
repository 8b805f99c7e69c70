"""What a Hub starts ends with it, however it ends."""

from __future__ import annotations

import subprocess
import sys

import psutil

STARTS_ONE = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-m", "labctl.hub.orphans", sys.executable, "-c", {code!r}], stdout=subprocess.PIPE)
child.stdout.readline()
print(child.pid, flush=True)
time.sleep(600)
"""


def start(code: str) -> tuple[subprocess.Popen[str], psutil.Process]:
    """A parent, and the child that it has started as a Hub does."""
    parent = subprocess.Popen([sys.executable, "-c", STARTS_ONE.format(code=code)], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    return parent, psutil.Process(int(parent.stdout.readline()))


def test_a_child_ends_when_its_parent_is_killed() -> None:
    parent, child = start("import time; print('runs', flush=True); time.sleep(600)")
    assert child.is_running()
    with parent:
        parent.kill()
    gone, _ = psutil.wait_procs([child], timeout=20)
    assert gone == [child]


def test_it_becomes_the_command_with_its_arguments_and_exit_code() -> None:
    command = [
        sys.executable,
        "-m",
        "labctl.hub.orphans",
        sys.executable,
        "-c",
        "import sys; sys.exit(len(sys.argv))",
        "a b",
        "$c",
    ]
    assert subprocess.run(command, check=False).returncode == 3
