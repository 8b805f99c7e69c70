"""Step 4: positions, layer norm and residual connections, as functions and by their effect."""

from __future__ import annotations

import itertools
import json
import math
import random
from collections.abc import Mapping
from typing import Any

import reference
from conftest import same, shape

DICE = random.Random()
VARIANTS = ["norm, residual", "norm, no residual", "no norm, residual", "no norm, no residual"]
NOTHING = 1e-6
"""Below this the tokens at the end are the same; the digits are rounding."""
FLOAT16_MAX = 65504


def matrix(rows: int, columns: int, std: float = 1.0) -> list[list[float]]:
    return [[DICE.gauss(0, std) for _ in range(columns)] for _ in range(rows)]


def block_weights(width: int) -> dict[str, Any]:
    """Random weights for a block, gains and biases too."""
    made: dict[str, Any] = {}
    for norm in ("norm1", "norm2"):
        made |= {f"{norm}.gain": matrix(1, width)[0], f"{norm}.bias": matrix(1, width)[0]}
    sizes = {f"attention.W_{part}": (width, width) for part in "qkvo"}
    for name, (rows, columns) in {**sizes, "up": (4 * width, width), "down": (width, 4 * width)}.items():
        made |= {f"{name}.weight": matrix(rows, columns, 0.4), f"{name}.bias": matrix(1, rows, 0.2)[0]}
    return made


def test_block(drive: Any) -> None:
    width, heads, made = 8, 2, block_weights(8)
    rows = [matrix(3, width, 5) for _ in range(2)]
    gain, bias = matrix(1, width)[0], matrix(1, width)[0]
    causal = [[j <= i for j in range(3)] for i in range(3)]
    choices = list(itertools.product((True, False), repeat=2))
    block = {"call": "block", "width": width, "heads": heads, "weights": made, "x": rows, "mask": causal}
    normed, *outputs = drive(
        [
            {"call": "layer_norm", "x": rows, "gain": gain, "bias": bias},
            *({**block, "norm": norm, "residual": residual} for norm, residual in choices),
        ]
    )
    assert same(normed, [reference.layer_norm(x, gain, bias) for x in rows]), (
        "LayerNorm: each row (the last dimension) is to have mean 0 and variance 1, then · gain + bias"
    )
    for (norm, residual), output in zip(choices, outputs, strict=True):
        wanted = [reference.block(x, made, heads, norm=norm, residual=residual, mask=causal) for x in rows]
        assert same(output, wanted), f"Block(norm={norm}, residual={residual}) does not return what its docstring says"


def test_positions(drive: Any, session: Any, recorded: Any, answered: Any) -> None:
    n, width = DICE.randint(5, 40), DICE.choice([8, 12, 32])
    (given,) = drive([{"call": "positions", "n": n, "width": width}])
    assert shape(given) == [n, width], f"sinusoidal_positions({n}, {width}) has the shape {shape(given)}"
    assert same(given, reference.positions(n, width)), f"sinusoidal_positions({n}, {width}) is not sin and cos in turn"
    record = recorded("position")
    without, with_ = record.get("gap_without"), record.get("gap_with")
    assert isinstance(without, float | int), f"out/position.json: gap_without is {without}"
    assert abs(without) < NOTHING, f"gap_without is {without}: a block without positions cannot notice any order"
    assert same(with_, gap(session), 0.001), f"out/position.json: gap_with is {with_}; your data say otherwise"
    encoding, distance = session.distance()
    dot = sum(math.cos(distance / 10000 ** (i / encoding)) for i in range(0, encoding, 2))
    assert same(record.get("dot"), [dot] * 5, 0.001), f"out/position.json: dot is {str(record.get('dot'))[:100]}"
    assert same(answered("position.dot_at_distance"), dot, 0.0006), (
        "position.dot_at_distance in answers.yaml is not right"
    )


def gap(session: Any) -> float:
    """How much the learner's block with positions depends on the order of the learner's tokens."""
    made: dict[str, Any] = {
        f"{norm}.{key}": [float(key == "gain")] * 16 for norm in ("norm1", "norm2") for key in ("gain", "bias")
    }
    sizes = {f"attention.W_{part}": (16, 16) for part in "qkvo"}
    for name, (rows, columns) in {**sizes, "up": (64, 16), "down": (16, 64)}.items():
        made[f"{name}.weight"] = session.matrix(f"position {name}.weight", rows, columns, 1 / math.sqrt(columns))
        made[f"{name}.bias"] = [0.0] * rows
    x, order, added = session.matrix("tokens", 10, 16), session.shuffled(10), reference.positions(10, 16)

    def through(rows: Any) -> Any:
        return reference.block(reference.joined(rows, added, True), made, 4, norm=True, residual=True)

    straight = through(x)
    pairs = zip(through([x[i] for i in order]), [straight[i] for i in order], strict=True)
    return max(abs(a - b) for rows in pairs for a, b in zip(*rows, strict=True))


def test_depth(workspace: Any, parameters: Mapping[str, Any], recorded: Any, answered: Any) -> None:
    record = recorded("depth")
    lab, seed = parameters["lab"], str(parameters["seed"])
    done = workspace.run("python", "-I", "-B", f"{lab}/checks/deep.py", f"{lab}/workspace/data.py", seed, timeout=280)
    deep = json.loads(done.stdout)
    for name in VARIANTS:
        found, wanted = record.get(name) or {}, deep[name]
        assert same(logs(found.get("rms")), logs(wanted["rms"]), 0.01), (
            f"out/depth.json, {name}: rms is not what 24 blocks give"
        )
        assert same(logs([found.get("gradient")]), logs([wanted["gradient"]]), 0.02), (
            f"out/depth.json, {name}: gradient is wrong"
        )
        spread = found.get("spread")
        collapsed = wanted["spread"] < NOTHING
        right = isinstance(spread, float | int) and (
            0 <= spread < NOTHING if collapsed else same(logs([spread]), logs([wanted["spread"]]), 0.02)
        )
        assert right, f"out/depth.json, {name}: spread is {spread}; your data say otherwise"
    rms = deep["no norm, residual"]["rms"]
    growth = (rms[-1] / rms[0]) ** (1 / 24)
    overflow = next((blocks for blocks, size in enumerate(rms) if size > FLOAT16_MAX), None)
    assert same(answered("depth.growth_per_block") / growth, 1.0, 0.006), (
        "depth.growth_per_block in answers.yaml is not right"
    )
    overflow = overflow if overflow is not None else math.ceil(math.log(FLOAT16_MAX / rms[0]) / math.log(growth))
    assert answered("depth.blocks_to_float16") == overflow, "depth.blocks_to_float16 in answers.yaml is not right"


def logs(numbers: Any) -> Any:
    """The logarithms of positive numbers, so that `same` compares 1e-9 as it compares 1e5; None where there is none."""
    if not isinstance(numbers, list):
        return None
    return [math.log(x) if isinstance(x, float | int) and x > 0 else None for x in numbers]
