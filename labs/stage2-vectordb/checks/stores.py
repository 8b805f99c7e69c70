"""Does to one of the learner's stores what stdin says, and prints what it answered. Runs in the session.

    python -B stores.py ChromaStore < {"folder": …, "dimensions": …, "steps": [[method, arguments…], …], "keep": …}

A step's vectors are lists. Each run is a process of its own: what a second one finds was on disk.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path.cwd()))
import stores


def done(store: Any, method: str, arguments: list[Any]) -> Any:
    if method == "upsert":
        store.upsert(arguments[0], np.array(arguments[1]))
        return None
    if method == "search":
        return [[str(id), float(score)] for id, score in store.search(np.array(arguments[0]), *arguments[1:])]
    return getattr(store, method)(*arguments)


given = json.load(sys.stdin)
store = getattr(stores, sys.argv[1])(given["folder"], given["dimensions"])
answers = [done(store, method, arguments) for method, *arguments in given["steps"]]
store.close()
if not given["keep"]:
    shutil.rmtree(given["folder"], ignore_errors=True)
print(json.dumps(answers))
