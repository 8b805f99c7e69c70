"""Probes: what only the session's own libraries can tell, asked by a program of labctl's that runs there.

Its source travels with labctl and is handed to the session's Python, so that no image and no environment has to hold labctl.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from labctl.checks.base import Unmet
from labctl.checks.weights import MAX_HEADER_BYTES
from labctl.target import CannotLook, CommandResult, Target

MAX_ANSWER_BYTES = 4 * 1024 * 1024
_NOT_FOUND = 127
_PROBES = Path(__file__).with_name("probes")
OFFLINE = {
    "HF_HUB_OFFLINE": "1",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "TRANSFORMERS_VERBOSITY": "error",
}
"""What a probe that loads models adds to the session's environment: no model hub is asked, and little is said."""


class StillRunning(CannotLook):
    """A probe was ended at its time limit."""


def run_probe(
    target: Target,
    kind: str,
    arguments: Mapping[str, Any],
    *,
    timeout_s: float,
    env: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """What the probe `kind` saw; `env` is added to the session's environment.

    Unmet when what the learner made is broken; CannotLook when the session lacks a library, or the probe itself broke down;
    StillRunning, which is a CannotLook, after `timeout_s`.
    """
    result = target.run(
        # -I: no module of the workspace and no PYTHON* variable stands in for a library. Not -B: compiling torch and
        # transformers anew costs 20 s each time, and where the environment can be written the first probe pays it for all.
        ["python", "-I", "-c", _source("frame")],
        timeout_s=timeout_s,
        env=env,
        stdin=json.dumps({"kind": kind, "source": _source(kind), "arguments": arguments}).encode(),
        max_output_bytes=MAX_ANSWER_BYTES,
    )
    if result.timed_out:
        raise StillRunning(f"the probe of `{kind}` was still running after {timeout_s:g}s and was ended")
    return seen_in(kind, _answer(kind, result))


def seen_in(kind: str, answer: Mapping[str, Any]) -> dict[str, Any]:
    """What was seen, in the words of `frame`; a probe of several things answers so for each. Raises as `run_probe` does."""
    if "unmet" in answer:
        raise Unmet(str(answer["unmet"]))
    if "missing" in answer:
        raise CannotLook(f"the session's environment lacks what `{kind}` needs: {answer['missing']}")
    seen = answer.get("seen")
    if not isinstance(seen, dict):
        raise CannotLook(f"the probe of `{kind}` broke down: {answer.get('error')}")
    return seen


def require_safetensors(target: Target, path: str) -> None:
    """Raises Unmet unless there is such a file: other formats of weights can run code, so that no probe opens them."""
    try:
        start = target.read(path, max_bytes=8)
    except FileNotFoundError:
        raise Unmet(f"there is no file {path}") from None
    except IsADirectoryError:
        raise Unmet(f"{path} is a folder, not a file") from None
    length = int.from_bytes(start, "little") if len(start) == 8 else 0
    if not 0 < length <= MAX_HEADER_BYTES:
        raise Unmet(f"{path} is not a safetensors file: its header would have {length} bytes")


@cache
def _source(name: str) -> str:
    return (_PROBES / f"{name}.py").read_text(encoding="utf-8")


def _answer(kind: str, result: CommandResult) -> dict[str, Any]:
    if result.exit_code == _NOT_FOUND and not result.stdout:
        raise CannotLook("the session has no program `python`; the lab's workspace needs an env or an image that has")
    try:
        answer = json.loads(result.stdout.splitlines()[-1])
    except (IndexError, ValueError, RecursionError):
        answer = None
    if not isinstance(answer, dict):
        words = (result.stderr.strip() or result.stdout.strip())[-300:]
        raise CannotLook(f"the probe of `{kind}` ended with {result.exit_code} and without an answer: {words}")
    return answer
