"""Prints what the learner's functions of neighbours.py give. Runs in the session, without the embedding model.

    python -B nearest.py < {"vectors": {text: […], …}, "pairs": [[a, b], …], "query": …, "texts": […], "k": …}
    python -B nearest.py < {"vectors": {text: […], …}, "cases": what paraphrases.json would hold}

The module kb is replaced: its embed looks a text's vector up, so by_meaning is seen to search by what embed gives; its HERE
is a folder with other cases, so main is seen to measure.
"""

from __future__ import annotations

import contextlib
import json
import sys
import tempfile
import types
from pathlib import Path
from typing import Any

import numpy as np


def main() -> None:
    given = json.load(sys.stdin)
    with tempfile.TemporaryDirectory() as folder:
        here = Path(folder)
        neighbours = imported(here, {text: np.array(vector) for text, vector in given["vectors"].items()})
        print(json.dumps(measured(neighbours, here, given) if "cases" in given else found(neighbours, given)))


def imported(here: Path, vectors: dict[str, np.ndarray]) -> Any:
    """The learner's module, with a kb of ours."""
    kb = types.ModuleType("kb")
    kb.HERE = here  # type: ignore[attr-defined]
    kb.embed = lambda texts: np.stack([vectors[text] for text in texts])  # type: ignore[attr-defined]
    sys.modules["kb"] = kb
    sys.path.insert(0, str(Path.cwd()))
    import neighbours

    return neighbours


def found(neighbours: Any, given: dict[str, Any]) -> dict[str, Any]:
    vectors = {text: np.array(vector) for text, vector in given["vectors"].items()}
    query, texts, k = given["query"], given["texts"], given["k"]
    rows = np.stack([vectors[text] for text in texts])
    return {
        "cosines": [float(neighbours.cosine(vectors[a], vectors[b])) for a, b in given["pairs"]],
        "nearest": [int(index) for index in neighbours.nearest(vectors[query], rows, k)],
        "by_meaning": [int(index) for index in neighbours.by_meaning(query, texts, k)],
    }


def measured(neighbours: Any, here: Path, given: dict[str, Any]) -> Any:
    """What main writes for other cases; what it prints is put out of the way."""
    (here / "paraphrases.json").write_text(json.dumps(given["cases"]), encoding="utf-8")
    neighbours.OUT = here / "out"
    with contextlib.redirect_stdout(sys.stderr):
        neighbours.main()
    return json.loads((here / "out" / "neighbours.json").read_text(encoding="utf-8"))


main()
