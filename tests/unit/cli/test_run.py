"""`run` and `exec` on the command line: what is labctl's and what is the command's. With a GPU it is in tests/integration."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest


def labctl(*args: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "labctl", *args]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


@pytest.mark.parametrize(
    ("args", "code", "said"),
    [
        (["run", "small-lab"], 2, "Missing argument"),
        (["run", "small-lab", "--"], 2, "there is no command to run"),
        (["run", "--no-wait", "small-lab", "--", "true"], 5, "no session of 'small-lab' is running"),
        (["run", "small-lab", "true", "--wait", "--colour"], 5, "no session of 'small-lab' is running"),
        (["run", "nothing-such", "true"], 5, "no lab named 'nothing-such'"),
        (
            ["run", "small-lab", "--learner", "q", "--", "true"],
            2,
            "'--learner' is no command; options of `labctl run` come",
        ),
        (["run", "small-lab", "--wait", "--", "true"], 2, "come before LAB"),
        (["run", "small-lab", "--", "--odd"], 5, "no session of 'small-lab' is running"),
        (
            ["exec", "small-lab", "--learner", "q", "--", "true"],
            2,
            "'--learner' is no command; options of `labctl exec`",
        ),
        (["exec", "small-lab", "ls", "--colour"], 5, "no session of 'small-lab' is running"),
        (["exec", "small-lab", "--"], 2, "Missing argument"),
    ],
)
def test_options_come_before_the_lab_and_what_follows_is_the_commands(
    home: Path, write_lab: object, args: list[str], code: int, said: str
) -> None:
    write_lab()  # type: ignore[operator]
    result = labctl(*args)
    assert (result.returncode, said in result.stderr) == (code, True), result.stderr
