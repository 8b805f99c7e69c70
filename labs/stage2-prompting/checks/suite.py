"""Runs the learner's tests against other versions of the route prompt, each in a copy of the workspace, and prints the exit codes.

Runs in the session. Reads {"versions": {name: prompt}} from stdin. The copy has neither .git nor out/, so nothing but the
prompt's behaviour tells one version from another.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import yaml

VERSION = "v2"
"""Each version takes the place of the learner's own good one, so that its name says nothing."""
LIMIT_S = 240


def main() -> None:
    versions = json.load(sys.stdin)["versions"]
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "workspace"
        shutil.copytree(".", copy, ignore=shutil.ignore_patterns(".git", "out", "__pycache__", ".labctl*"))
        print(json.dumps({name: run(copy, prompt) for name, prompt in versions.items()}))


def run(copy: Path, prompt: dict[str, Any]) -> dict[str, Any]:
    """The exit code, and the last lines of what the tests printed."""
    registry = yaml.safe_load((copy / "prompts/registry.yaml").read_text())
    registry["route"] = VERSION
    (copy / "prompts/registry.yaml").write_text(yaml.safe_dump(registry))
    (copy / f"prompts/route/{VERSION}.yaml").write_text(yaml.safe_dump(prompt, allow_unicode=True))
    command = [sys.executable, "-B", "-m", "unittest", "test_prompts"]
    try:
        done = subprocess.run(command, cwd=copy, capture_output=True, text=True, timeout=LIMIT_S, check=False)
    except subprocess.TimeoutExpired:
        return {"code": None, "said": f"still running after {LIMIT_S}s"}
    return {"code": done.returncode, "said": done.stderr[-600:]}


if __name__ == "__main__":
    main()
