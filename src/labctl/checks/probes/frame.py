"""What every probe runs in: the session's Python, isolated from the workspace, without labctl and its libraries.

Reads one JSON object, {"kind", "source", "arguments"}, and writes one: {"seen": …}, or {"unmet" | "missing" | "error": why}.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from typing import Any


def main() -> None:
    # Libraries talk, and a notebook's kernel inherits 0, 1 and 2: the answer goes where neither can write.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    print(json.dumps(_answer(json.loads(sys.stdin.buffer.read()))), file=answers, flush=True)
    os._exit(0)  # threads of libraries do not hold it up


def _answer(asked: dict[str, Any]) -> dict[str, Any]:
    kind, names = asked["kind"], {"__name__": asked["kind"]}
    try:
        exec(compile(asked["source"], f"<{kind}>", "exec"), names)  # noqa: S102 labctl's own source
        look: Any = names["look"]
        return {"seen": look(asked["arguments"])}
    except ImportError as error:
        return {"missing": str(error)}
    except Exception as error:  # noqa: BLE001 whatever it is, it is told
        if type(error) is names.get("Unmet"):
            return {"unmet": str(error)}
        return {"error": traceback.format_exception_only(error)[-1].strip()}


if __name__ == "__main__":
    main()
