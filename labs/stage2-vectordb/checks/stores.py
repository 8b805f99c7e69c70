"""Does to the learner's stores what stdin says, and prints what each answered. Runs in the session.

    python -B stores.py < {name: {"store": "ChromaStore", "folder": …, "dimensions": …, "steps": [[method, arguments…], …], "keep": …}, …}

A step's vectors are lists. An answer is {"value": …} or {"error": "its last line"}: what fails leaves the others alone. Each run is
a process of its own: what a second one finds was on disk.
"""

from __future__ import annotations

import json
import shutil
import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path.cwd()))
with redirect_stdout(sys.stderr):
    import stores


def done(store: Any, method: str, arguments: list[Any]) -> Any:
    if method == "upsert":
        store.upsert(arguments[0], np.array(arguments[1]))
        return None
    if method == "search":
        return [[str(id), float(score)] for id, score in store.search(np.array(arguments[0]), *arguments[1:])]
    return getattr(store, method)(*arguments)


def used(given: dict[str, Any]) -> dict[str, Any]:
    """The answers of one store to its steps, if JSON can hold them, or how it failed."""
    try:
        store = getattr(stores, given["store"])(given["folder"], given["dimensions"])
        answers = [done(store, method, arguments) for method, *arguments in given["steps"]]
        store.close()
        json.dumps(answers)
    except BaseException as error:  # noqa: BLE001 the learner's code may fail in any way, each of them the learner's to mend
        shutil.rmtree(given["folder"], ignore_errors=True)  # nobody will look for what is in it
        return {"error": f"{type(error).__name__}: {error}"}
    if not given["keep"]:
        shutil.rmtree(given["folder"], ignore_errors=True)
    return {"value": answers}


asked = json.load(sys.stdin)
with redirect_stdout(sys.stderr):
    answers = {name: used(given) for name, given in asked.items()}
print(json.dumps(answers))
