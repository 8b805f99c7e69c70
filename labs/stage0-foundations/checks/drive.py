"""Calls the learner's functions with inputs that come on stdin, and prints what they return as one line of JSON.

Runs in the session, in the workspace. Judges nothing: the right answers are not here.

    python -B drive.py < cases.json        a list of {"call": name, …}; an answer is {"value": …} or {"error": text}
"""

from __future__ import annotations

import contextlib
import importlib
import json
import random
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path.cwd()))


def call(case: dict[str, Any]) -> Any:
    """What the learner's function returns for one case."""
    given = {key: value for key, value in case.items() if key not in ("call", "module")}
    if case["call"] in SPECIAL:
        return SPECIAL[case["call"]](**given)
    return getattr(importlib.import_module(case["module"]), case["call"])(**given)


def slope(cubic: list[float], x: float, h: float) -> float:
    """The slope of a x³ + b x² + c x."""
    a, b, c = cubic
    return importlib.import_module("maths").slope(lambda at: a * at**3 + b * at**2 + c * at, x, h)


def sample(logits: list[float], temperature: float, draws: int, seed: int) -> list[int]:
    return importlib.import_module("maths").sample(logits, temperature, draws, random.Random(seed))


def next_token_loss(logits: Any, ids: Any, counted: Any) -> list[Any]:
    """The loss, and its gradient by the logits, as it comes from autograd."""
    import torch

    said = torch.tensor(logits, dtype=torch.float64, requires_grad=True)
    loss = importlib.import_module("objective").next_token_loss(said, torch.tensor(ids), torch.tensor(counted))
    loss.backward()
    return [loss.item(), said.grad.tolist()]


SPECIAL = {function.__name__: function for function in (slope, sample, next_token_loss)}


def answer(case: dict[str, Any]) -> dict[str, Any]:
    try:
        return {"value": call(case)}
    except Exception as error:  # noqa: BLE001 whatever goes wrong in the learner's code is the learner's to read
        return {"error": f"{type(error).__name__}: {error}"}


if __name__ == "__main__":
    cases = json.load(sys.stdin)
    with contextlib.redirect_stdout(sys.stderr):  # what the learner's modules print is not an answer
        answers = [answer(case) for case in cases]
    print(json.dumps(answers))
