"""Calls the learner's functions with inputs given on stdin, as JSON, and prints what they return, as one line of JSON.

Runs in the session, in the workspace. Each part of the answer is {"value": …} or {"error": "one line for the learner"}.
"""

# ruff: noqa: E402 - what is left out has to be said before the imports

from __future__ import annotations

import importlib
import json
import os
import sys
from collections.abc import Callable, Mapping
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

sys.modules |= dict.fromkeys(("torchao", "sklearn", "scipy"))  # half of the time that transformers takes to load
sys.path[0] = str(Path.cwd())  # the learner's modules, and none of the lab's that have the same name

import torch
import transformers


def main() -> None:
    asked = json.load(sys.stdin)
    with redirect_stdout(sys.stderr):
        answer = PARTS[asked["do"]](asked)
    print(json.dumps(answer))


def tasks(asked: Mapping[str, Any]) -> dict[str, Any]:
    """Classification, summaries and answers, each as tasks.py gives them."""
    names = {"classify": "texts", "summarise": "reports", "answer": "questions"}
    return {
        name: attempt(lambda name=name, given=given: call("tasks", name, asked[given])) for name, given in names.items()
    }


def by_hand(asked: Mapping[str, Any]) -> dict[str, Any]:
    """What by_hand.py makes of the texts, for each model, while no pipeline can be called."""

    def refuse(*_: Any, **__: Any) -> None:
        raise RuntimeError("by_hand.py calls a pipeline; this step is to do without")

    transformers.Pipeline.__call__ = refuse
    transformers.TextClassificationPipeline.__call__ = refuse
    paths = {name: os.environ[f"SENTIMENT_{name.upper()}"] for name in ("small", "medium", "large")}
    return {
        name: attempt(lambda path=path: call("by_hand", "classify", path, asked["texts"]))
        for name, path in paths.items()
    }


def own_pipeline(asked: Mapping[str, Any]) -> dict[str, Any]:
    """Spans chosen from given logits, and questions answered through the registered pipeline."""

    def span(case: Mapping[str, Any]) -> list[float]:
        begins, ends = torch.tensor(case["begins"]), torch.tensor(case["ends"])
        return list(call("qa", "best_span", begins, ends, torch.tensor(case["allowed"]), case["longest"]))

    def answers() -> list[dict[str, Any]]:
        importlib.import_module("qa")
        ask = transformers.pipeline("extractive-qa", model=os.environ["ANSWERER"])
        return [
            {name: found[name] for name in ("answer", "start", "end", "score")}
            for found in map(ask, asked["questions"])
        ]

    return {"spans": attempt(lambda: [span(case) for case in asked["spans"]]), "answers": attempt(answers)}


def call(module: str, function: str, *arguments: Any) -> Any:
    return getattr(importlib.import_module(module), function)(*arguments)


def attempt(work: Callable[[], Any]) -> dict[str, Any]:
    """What the learner's code returns, if JSON can hold it, or how it failed."""
    try:
        value = work()
        json.dumps(value)
    except BaseException as error:  # noqa: BLE001 the learner's code may fail in any way, each of them the learner's to mend
        return {"error": " ".join(f"{type(error).__name__}: {error}".split())[:300]}
    return {"value": value}


PARTS = {"tasks": tasks, "by-hand": by_hand, "own-pipeline": own_pipeline}

if __name__ == "__main__":
    main()
