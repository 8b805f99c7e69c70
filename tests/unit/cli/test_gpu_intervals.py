"""How often GPUs are looked at: what is accepted, and what is said of the rest."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from labctl.cli.gpu import _interval_s


@pytest.mark.parametrize(
    ("text", "seconds"), [("2s", 2.0), ("15", 15.0), ("0.5", 0.5), ("200ms", 0.2), ("1m30s", 90.0)]
)
def test_an_interval_is_a_duration_or_a_number_of_seconds(text: str, seconds: float) -> None:
    assert _interval_s(text, "2s", least_s=0.2) == seconds


@pytest.mark.parametrize("verb", ["watch", "export"])
@pytest.mark.parametrize("text", ["nan", "inf", "1e300", "-1", "0", "", "0.1s", "31d", "9" * 50, "٣"])
def test_another_interval_is_refused(home: Path, verb: str, text: str) -> None:
    command = [sys.executable, "-m", "labctl", "gpu", verb, f"--interval={text}"]
    result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert (result.returncode, "--interval: " in result.stderr) == (2, True), result.stderr
