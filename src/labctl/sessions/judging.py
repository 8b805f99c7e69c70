"""The judge that runs where a session is: `python -m labctl.sessions.judging TASK.json`.

It says what it finds on its output, a JSON object a line: `{"criterion": …}` for each as soon as it is settled, `{"done": true}`
at the end. Whoever asked for it reads that; a line that is missing means that it was killed.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

from labctl.grading import grade
from labctl.outcomes import CriterionResult
from labctl.plan import CriterionPlan
from labctl.target import TargetSpec, connect


def main(file: Path) -> None:
    """Judge what the task says."""
    task = json.loads(file.read_text())
    criteria = [CriterionPlan.from_json(values) for values in task["criteria"]]
    grade(criteria, connect(TargetSpec(**task["target"])), only=task["only"], on_result=_tell)
    _say({"done": True})


def _tell(result: CriterionResult) -> None:
    _say({"criterion": result.to_json()})


def _say(what: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
    os._exit(0)  # a check that hangs must not keep its pod
