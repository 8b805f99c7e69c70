"""Calls the learner's functions with inputs given on stdin, as JSON, and prints what they return, as one line of JSON.

Runs in the session, in the workspace. Asked for several parts ({name of a part: what it needs, …}), it loads the libraries once and
forks for each: none sees what another did, and one that crashes or never ends takes no other along. A part's answer is "one line
for the learner", or of each of its functions {"value": …} or {"error": "one line for the learner"}.
"""

# ruff: noqa: E402 - what is left out has to be said before the imports

from __future__ import annotations

import importlib
import json
import os
import select
import signal
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

sys.modules |= dict.fromkeys(("torchao", "sklearn", "scipy"))  # half of the time that transformers takes to load
os.environ["PYTORCH_NVML_BASED_CUDA_CHECK"] = "1"  # a CUDA that was asked in here could not be used after a fork
sys.path[0] = str(Path.cwd())  # the learner's modules, and none of the lab's that have the same name

import torch
import transformers

LIMIT_S = 400
"""For one part."""
LOADED = (
    transformers.AutoModelForCausalLM,
    transformers.AutoModelForQuestionAnswering,
    transformers.AutoModelForSequenceClassification,
    transformers.AutoTokenizer,
    transformers.TextClassificationPipeline,
    transformers.TextGenerationPipeline,
)
"""Named here, so that their modules are loaded before a part has its own process."""


def main() -> None:
    asked = json.load(sys.stdin)
    print(json.dumps({part: forked(part, given) for part, given in asked.items()}))


def forked(part: str, given: Mapping[str, Any]) -> Any:
    """The part's answer, from a process of its own."""
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        os.close(reader)
        with redirect_stdout(sys.stderr):
            answer = json.dumps(PARTS[part](given))
        with os.fdopen(writer, "w") as out:
            out.write(answer)
        sys.stderr.flush()
        os._exit(0)
    os.close(writer)
    ended = time.monotonic() + LIMIT_S
    said = b""
    with os.fdopen(reader, "rb", buffering=0) as source:
        while select.select([source], [], [], max(0.0, ended - time.monotonic()))[0]:
            piece = source.read(1 << 16)
            if not piece:
                break
            said += piece
        else:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            return f"was still running after {LIMIT_S} s"
    _, status = os.waitpid(child, 0)
    if status or not said:
        return f"the process ended with {os.waitstatus_to_exitcode(status)}"
    return json.loads(said)


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
