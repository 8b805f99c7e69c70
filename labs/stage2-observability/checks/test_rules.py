"""The learner's rules under tests that they did not see: promtool plays series through them, no server runs."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from labctl.target import CannotLook

TIMEOUT_S = 170


def test_rules_hold(workspace: Any, lab: Path, tmp_path: Path) -> None:
    rules = yaml.safe_load(workspace.read_text("rules.yml"))
    groups = rules.get("groups") if isinstance(rules, dict) else None
    assert groups, "rules.yml holds no group of rules yet"
    promtool = shutil.which("promtool")
    if promtool is None:
        raise CannotLook("promtool is not here; it comes with Prometheus: apt-get install prometheus")
    (tmp_path / "rules.yml").write_text(workspace.read_text("rules.yml"))
    (tmp_path / "rules_test.yml").write_bytes((lab / "checks" / "rules_test.yml").read_bytes())
    command = [promtool, "test", "rules", "rules_test.yml"]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    assert ran.returncode == 0, _why(ran.stdout + ran.stderr)


def _why(said: str) -> str:
    """The names of the tests that failed, which say what is wrong; else what promtool says of the file."""
    failed = re.findall(r"name: (.+?),?$", said, re.MULTILINE)
    return "; ".join(dict.fromkeys(failed)) or said.strip()[-400:]


@pytest.mark.parametrize("alert", ["LLMQueueGrows", "LLMErrors"])
def test_alerts_say_what_is_wrong(workspace: Any, alert: str) -> None:
    rules = yaml.safe_load(workspace.read_text("rules.yml"))
    found = [
        rule for group in rules.get("groups") or [] for rule in group.get("rules") or [] if rule.get("alert") == alert
    ]
    assert found, f"rules.yml has no alert {alert}"
    summary = str((found[0].get("annotations") or {}).get("summary", ""))
    assert "$value" in summary, f"the annotation `summary` of {alert} does not say the value that made it fire"
