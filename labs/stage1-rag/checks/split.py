"""Prints what the learner's split gives for the texts on stdin. Runs in the session, as the learner's own program would.

python -B split.py < [{"text": …, "size": …, "overlap": …}, …]
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path.cwd()))
from chunking import split


def made(asked: dict[str, Any]) -> dict[str, Any]:
    try:
        return {"chunks": split(asked["text"], asked["size"], asked["overlap"])}
    except ValueError as error:
        return {"refused": str(error)}


wanted = json.load(sys.stdin)
print(json.dumps([made(asked) for asked in wanted]))
