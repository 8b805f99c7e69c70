"""What the tests of this folder share: the learner's data, the learner's functions on fresh input, the learner's answers."""

from __future__ import annotations

import ast
import importlib.util
import json
import math
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from labctl.checks.answers import is_open, to_number

sys.path.insert(0, str(Path(__file__).parent))  # reference.py

Case = Mapping[str, Any]
Drive = Callable[[Sequence[Case]], list[Any]]

FILES = {
    "softmax": "attention.py",
    "causal_mask": "attention.py",
    "attention": "attention.py",
    "split_heads": "attention.py",
    "merge_heads": "attention.py",
    "MultiHeadAttention": "attention.py",
    "sinusoidal_positions": "block.py",
    "LayerNorm": "block.py",
    "Block": "block.py",
    "diagnose": "diagnose.py",
}
"""Where the learner writes what the driver calls."""
TORCHS_OWN = {
    "softmax": ("softmax", "scaled_dot_product"),
    "attention": ("softmax", "scaled_dot_product"),
    "LayerNorm": ("layer_norm", "group_norm", "batch_norm"),
    "Block": ("layer_norm", "group_norm", "batch_norm"),
}
"""Parts of the names of those operations of torch that are to be written here, and so may not be used."""
USES = {
    "score": ("attention.py", "experiments.py"),
    "roles": ("experiments.py",),
    "tied": ("experiments.py",),
    "heads": ("attention.py", "experiments.py"),
    "position": ("attention.py", "block.py", "experiments.py"),
    "depth": ("attention.py", "block.py", "experiments.py"),
}
"""The learner's files that an experiment's numbers depend on."""
NEWER = "import os, sys; out, *files = sys.argv[1:]; print(*(f for f in files if os.path.getmtime(f) > os.path.getmtime(out)))"


@pytest.fixture(scope="session")
def session(lab: Path, parameters: Mapping[str, Any]) -> Any:
    """The data that this learner works on, made by the lab's own copy of data.py."""
    spec = importlib.util.spec_from_file_location("data", lab / "workspace" / "data.py")
    assert spec
    assert spec.loader
    data = importlib.util.module_from_spec(spec)
    sys.modules["data"] = data
    spec.loader.exec_module(data)
    return data.Session(str(parameters["seed"]))


@pytest.fixture(scope="session")
def drive(workspace: Any, parameters: Mapping[str, Any]) -> Drive:
    """A function from cases to what the learner's functions return for them, all in one process of the session."""

    def values(cases: Sequence[Case]) -> list[Any]:
        require_written(workspace, {case["call"] for case in cases})
        driver = f"{parameters['lab']}/checks/drive.py"
        done = workspace.run("python", "-B", driver, stdin=json.dumps(cases), timeout=280)
        lines = done.stdout.strip().splitlines()
        assert done.exit_code == 0, f"your files could not be run: {done.stderr.strip()[-300:]}"
        assert lines, f"your files ended the process: {done.stderr.strip()[-300:]}"
        answers = json.loads(lines[-1])
        for case, answer in zip(cases, answers, strict=True):
            name = case["call"]
            assert "error" not in answer, f"{described(case)}: {answer['error'][:400]}"
            own = [used for used in answer["used"] if any(part in used for part in TORCHS_OWN.get(name, ()))]
            assert not own, f"{FILES[name]}: {name} uses torch's own ({', '.join(own)}), wanted one that you wrote"
        return [answer["value"] for answer in answers]

    return values


def require_written(workspace: Any, names: set[str]) -> None:
    """Fails, without any process, where a function still is as the learner got it or its file cannot be read as Python."""
    for file in sorted({FILES[name] for name in names}):
        try:
            tree = ast.parse(workspace.read_text(file))
        except SyntaxError as error:
            pytest.fail(f"{file}, line {error.lineno}: {error.msg}")
        for notice, name in open_functions(tree):
            assert name not in names, notice


def open_functions(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """What a function that does nothing but raise NotImplementedError says, and its name or that of its class."""
    classes = [node for node in tree.body if isinstance(node, ast.ClassDef)]
    for owner in (tree, *classes):
        for function in owner.body:
            if isinstance(function, ast.FunctionDef) and isinstance(function.body[-1], ast.Raise):
                match [node for node in function.body if not isinstance(node, ast.Expr)]:
                    case [
                        ast.Raise(
                            exc=ast.Call(func=ast.Name(id="NotImplementedError"), args=[ast.Constant(value=notice)])
                        )
                    ]:
                        yield str(notice), owner.name if isinstance(owner, ast.ClassDef) else function.name


def described(case: Case) -> str:
    """The call with the shapes of what goes in."""
    if case["call"] == "diagnose":
        return f"diagnose of a program that is {case['kind'].partition('/')[0]}"
    given = {**case, **dict(zip("QKV", case.get("inputs", ()), strict=False))}
    shapes = {key: shape(value) for key, value in given.items() if isinstance(value, list) and key != "inputs"}
    return (
        f"{case['call']} with {', '.join(f'{key} of shape {size}' for key, size in shapes.items())}"
        if shapes
        else case["call"]
    )


@pytest.fixture(scope="session")
def answered(workspace: Any) -> Callable[..., None]:
    """A function that requires the number under a key of answers.yaml, such as heads.parameters; `what` says which it is."""
    given = yaml.safe_load(workspace.read_text("answers.yaml"))

    def require(key: str, wanted: float, tolerance: float, what: str) -> None:
        part, _, name = key.partition(".")
        value = (given.get(part) or {}).get(name) if isinstance(given, dict) else None
        assert not is_open(value), f"{key} in answers.yaml is not answered yet"
        found = to_number(value)
        assert found is not None, f"{key} in answers.yaml is {value!r}; wanted a number"
        how = f"within {100 * tolerance:.2g} % of {what}" if tolerance else f"exactly {what}"
        assert abs(found - wanted) <= tolerance * abs(wanted), (
            f"{key} in answers.yaml is {found:g}, which is not right; wanted {how}"
        )

    return require


@pytest.fixture(scope="session")
def recorded(workspace: Any) -> Callable[[str], dict[str, Any]]:
    """A function from the name of an experiment to what it wrote."""

    def record(name: str) -> dict[str, Any]:
        found = workspace.read_json(f"out/{name}.json")
        assert isinstance(found, dict), f"out/{name}.json: wanted an object"
        return found

    return record


@pytest.fixture(scope="session")
def in_file(workspace: Any) -> Callable[[str], str]:
    """A function from the name of an experiment to the start of a complaint: its file, and what was changed since."""

    def start(name: str) -> str:
        out = f"out/{name}.json"
        newer = workspace.run("python", "-I", "-c", NEWER, out, *USES[name]).stdout.split()
        verb = "are" if len(newer) > 1 else "is"
        again = f"{', '.join(newer)} {verb} newer than {out}: run experiments.py {name} again. " if newer else ""
        return f"{again}{out}: "

    return start


def same(value: Any, wanted: Any, tolerance: float = 1e-4) -> bool:
    """Whether nested lists have one shape, and each number is the one wanted, give or take `tolerance` (relative above 1)."""
    return not difference(value, wanted, tolerance)


def difference(value: Any, wanted: Any, tolerance: float = 1e-4, where: str = "") -> str:
    """The first place where nested lists are not the same, with both numbers; nothing when there is none."""
    at = f"at {where} " if where else ""
    if isinstance(wanted, list | tuple):
        if not isinstance(value, list | tuple) or len(value) != len(wanted):
            return f"{at}the shape is {shape(value)}, wanted {shape(wanted)}"
        pairs = enumerate(zip(value, wanted, strict=True))
        return next(filter(None, (difference(*pair, tolerance, f"{where}[{i}]") for i, pair in pairs)), "")
    if not isinstance(value, int | float):
        return f"{at}it is {'a list' if isinstance(value, list) else value!r}, wanted a number"
    if math.isfinite(value) and abs(value - wanted) <= tolerance * max(1.0, abs(wanted)):
        return ""
    return f"{at}it is {value:.6g}, wanted {wanted:.6g}"


def about(number: float) -> str:
    """A number of the learner's own data so roughly that one sees how far off one is, and cannot copy it."""
    return f"about {number:.2g}"


def shape(value: Any) -> list[int]:
    """How long nested lists are, level by level."""
    return [len(value), *shape(value[0])] if isinstance(value, list | tuple) and value else []
