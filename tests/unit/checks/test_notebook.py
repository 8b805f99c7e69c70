"""The check `notebook` on notebooks written by hand, and `file` where a notebook will do. A rerun needs a kernel: see integration."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from labctl.checks.base import BaseCheck
from labctl.outcomes import CheckResult, Outcome
from labctl.testing.target import FakeTarget

CheckOf = Callable[..., BaseCheck]


def code(source: Any, count: Any = None, *outputs: Any) -> dict[str, Any]:
    return {"cell_type": "code", "source": source, "execution_count": count, "outputs": list(outputs), "metadata": {}}


def stream(text: Any) -> dict[str, Any]:
    return {"output_type": "stream", "name": "stdout", "text": text}


def result(text: Any) -> dict[str, Any]:
    return {"output_type": "execute_result", "data": {"text/plain": text}, "metadata": {}, "execution_count": 1}


ERROR = {"output_type": "error", "ename": "KeyError", "evalue": "'loss'", "traceback": []}
WORDS = {"cell_type": "markdown", "source": ["# Title"], "metadata": {}}


def saved(target: FakeTarget, cells: Any, name: str = "lab.ipynb", **more: Any) -> None:
    (target.folder / name).write_text(json.dumps({"nbformat": 4, "nbformat_minor": 5, "cells": cells, **more}))


def looked(target: FakeTarget, check_of: CheckOf, cells: Any, **settings: Any) -> CheckResult:
    saved(target, cells)
    return check_of("notebook", path="lab.ipynb", **settings).run(target)


def test_a_notebook_executed_top_to_bottom_passes(target: FakeTarget, check_of: CheckOf) -> None:
    cells = [WORDS, code(["x = 1\n", "print(x)"], 1, stream(["1\n"])), code("  "), code("x + 1", 2, result("2"))]
    seen = looked(target, check_of, cells, outputs=[{"contains": "1\n2"}, {"excludes": "Error"}])
    assert (seen.outcome, seen.actual["cells"]) == (Outcome.PASS, 2), seen.message


@pytest.mark.parametrize(
    ("cells", "why"),
    [
        ([code("x")], "cell 1 was not executed"),
        ([code("x", 1), code("y", 3)], "cell 2 is In[3]; wanted In[2]: restart the kernel"),
        ([code("x", 2), code("y", 1)], "cell 1 is In[2]; wanted In[1]"),
        ([WORDS, code("x", 1, ERROR)], "cell 2 ended with KeyError: 'loss'"),
        ([code("x", True)], "cell 1 was not executed"),
        ([WORDS], "has no cell with code"),
        ([code("")], "has no cell with code"),
        ([code("x", 1, result("41"))], "its outputs are '41\\n'; wanted containing '42'"),
    ],
)
def test_any_other_notebook_fails_with_the_cell(target: FakeTarget, check_of: CheckOf, cells: Any, why: str) -> None:
    seen = looked(target, check_of, cells, outputs=[{"contains": "42"}])
    assert (seen.outcome, why in seen.message) == (Outcome.FAIL, True), seen.message


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "null",
        '{"nbformat": 3, "worksheets": []}',
        '{"nbformat": 4}',
        '{"nbformat": 4, "cells": {}}',
        '{"nbformat": 4, "cells": [1]}',
        '{"nbformat": 4, "cells": [{"cell_type": 4}]}',
        '{"nbformat": 4, "cells": [{"cell_type": "code", "source": 7}]}',
        '{"nbformat": 4, "cells": [{"cell_type": "code", "source": [7]}]}',
        '{"nbformat": 4, "cells": [{"cell_type": "code", "source": "x", "outputs": 7}]}',
        '{"nbformat": 4, "cells": [{"cell_type": "code", "source": "x", "outputs": [7]}]}',
        '{"nbformat": 4, "cells": [{"cell_type": "code", "source": "x", "outputs": [{"data": {"text/plain": {}}}]}]}',
        '{"nbformat": 4, "cells": [{"cell_type": "code", "source": "x", "outputs": [{"output_type": "stream", "text": 1}]}]}',
        '{"nbformat": 4, "cells": [{"cell_type": "code", "source": "x", "outputs": [{"output_type": "error", "ename": []}]}]}',
        "[" * 100_000,
    ],
)
@pytest.mark.parametrize("rerun", [False, True])
def test_what_is_no_notebook_fails(target: FakeTarget, check_of: CheckOf, text: str, rerun: bool) -> None:
    (target.folder / "lab.ipynb").write_text(text)
    assert check_of("notebook", path="lab.ipynb", rerun=rerun).run(target).outcome is Outcome.FAIL


def test_the_code_of_a_notebook_stands_for_a_python_file(target: FakeTarget, check_of: CheckOf) -> None:
    check = check_of(
        "file", path="train.py", notebook=True, text={"contains": "import peft\nx = 1\n\nprint"}, max_bytes=40
    )
    assert check.run(target).message == "there is no train.py"
    saved(target, [WORDS, code(["import peft\n", "x = 1"]), code("print(x)")], "train.ipynb")
    assert check.run(target).outcome is Outcome.PASS
    assert check_of("file", path="train.py", text={"contains": "peft"}).run(target).outcome is Outcome.FAIL
    (target.folder / "train.py").write_text("pass")  # a .py file comes first
    assert check.run(target).outcome is Outcome.FAIL


def test_a_glob_of_python_files_finds_notebooks(target: FakeTarget, check_of: CheckOf) -> None:
    saved(target, [code("import torch")], "a.ipynb")
    saved(target, "no cells", "b.ipynb")
    seen = check_of("file", path="*.py", notebook=True, text={"contains": "torch"}).run(target)
    assert (seen.outcome, seen.message) == (Outcome.FAIL, "b.ipynb is no Jupyter notebook of format 4")
    assert check_of("file", path="*.py", notebook=True, exists=False).run(target).outcome is Outcome.FAIL
