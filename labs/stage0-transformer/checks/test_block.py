"""Step 4: positions, layer norm and residual connections, as functions and by their effect."""

from __future__ import annotations

import itertools
import json
import math
import random
from collections.abc import Mapping
from typing import Any

import reference
from conftest import about, difference, same, shape

DICE = random.Random()
VARIANTS = {
    f"{'norm' if norm else 'no norm'}, {'residual' if residual else 'no residual'}": (norm, residual)
    for norm, residual in itertools.product((True, False), repeat=2)
}
"""The name of each in out/depth.json, and its norm and residual."""
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
    n, wide = DICE.randint(5, 40), DICE.choice([8, 12, 32])
    width, heads, made = 8, 2, block_weights(8)
    rows = [matrix(3, width, 5) for _ in range(2)]
    gain, bias = matrix(1, width)[0], matrix(1, width)[0]
    causal = [[j <= i for j in range(3)] for i in range(3)]
    block = {"call": "Block", "width": width, "heads": heads, "x": rows, "mask": causal}
    closed = {**made, "attention.W_o.weight": [[0.0] * width] * width, "attention.W_o.bias": [0.0] * width}
    variants = [
        ("with W_o = 0, where x + down(gelu(up(x))) is left", {"norm": False, "residual": True}, closed),
        *(("", {"norm": norm, "residual": residual}, made) for norm, residual in VARIANTS.values()),
    ]
    placed, normed, *outputs = drive(
        [
            {"call": "sinusoidal_positions", "n": n, "width": wide},
            {"call": "LayerNorm", "x": rows, "gain": gain, "bias": bias},
            *({**block, **flags, "weights": used} for _, flags, used in variants),
        ]
    )
    off = difference(placed, reference.positions(n, wide))
    assert not off, f"sinusoidal_positions({n}, {wide}): {off}"
    off = difference(normed, [reference.layer_norm(x, gain, bias) for x in rows])
    assert not off, f"LayerNorm: {moments(normed, gain, bias)}{off}"
    for (what, flags, used), output in zip(variants, outputs, strict=True):
        off = difference(output, [reference.block(x, used, heads, mask=causal, **flags) for x in rows])
        name = f"Block(norm={flags['norm']}, residual={flags['residual']}) {what}".rstrip()
        assert not off, f"{name}: {off}"


def moments(normed: Any, gain: list[float], bias: list[float]) -> str:
    """Mean and variance of the first row before gain and bias, where there is one: what went wrong is seen there."""
    if shape(normed)[:1] != [2] or shape(normed)[2:] != [len(gain)]:
        return ""
    row = [(value - shift) / factor for value, factor, shift in zip(normed[0][0], gain, bias, strict=True)]
    mean = sum(row) / len(row)
    variance = sum((value - mean) ** 2 for value in row) / len(row)
    return f"before gain and bias a row of {len(row)} has mean {mean:.2f} and variance {variance:.3g}, wanted 0 and 1; "


def test_positions(session: Any, recorded: Any, answered: Any, in_file: Any) -> None:
    record = recorded("position")
    without, with_, wanted = record.get("gap_without"), record.get("gap_with"), gap(session)
    assert isinstance(without, float | int), f"{in_file('position')}gap_without is {without}, wanted a number"
    assert abs(without) < NOTHING, (
        f"{in_file('position')}gap_without is {without}, wanted less than {NOTHING}: a block without positions cannot "
        "notice any order"
    )
    assert same(with_, wanted, 0.001), f"{in_file('position')}gap_with is {with_}, wanted {about(wanted)}"
    encoding, distance = session.distance()
    dot = sum(math.cos(distance / 10000 ** (i / encoding)) for i in range(0, encoding, 2))
    dots = record.get("dot")
    assert len(shape(dots)) == 1, f"{in_file('position')}dot is {str(dots)[:100]}, wanted a list of 5 numbers"
    assert len(dots) == 5, f"{in_file('position')}dot holds {len(dots)} numbers, wanted 5"
    for number in dots:
        assert same(number, dot, 0.001), f"{in_file('position')}dot holds {number}, wanted five times {about(dot)}"
    answered("position.dot_at_distance", dot, 0.0006 / min(1.0, abs(dot)), f"the dot product at distance {distance}")


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


def test_depth(workspace: Any, parameters: Mapping[str, Any], recorded: Any, answered: Any, in_file: Any) -> None:
    record = recorded("depth")
    lab, seed = parameters["lab"], str(parameters["seed"])
    done = workspace.run("python", "-I", "-B", f"{lab}/checks/deep.py", f"{lab}/workspace/data.py", seed, timeout=280)
    deep = json.loads(done.stdout)
    for name in VARIANTS:
        off = deviation(record.get(name) or {}, deep[name])
        assert not off, f"{in_file('depth')}{name}: {off}"
    rms = deep["no norm, residual"]["rms"]
    growth = (rms[-1] / rms[0]) ** (1 / 24)
    answered("depth.growth_per_block", growth, 0.006, "the mean growth of your 24 blocks")
    overflow = next((blocks for blocks, size in enumerate(rms) if size > FLOAT16_MAX), None)
    overflow = overflow if overflow is not None else math.ceil(math.log(FLOAT16_MAX / rms[0]) / math.log(growth))
    answered("depth.blocks_to_float16", overflow, 0, "that whole number of blocks")


def deviation(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> str:
    """What is wrong with the record of one variant; nothing when it is right."""
    rms = found.get("rms")
    if not isinstance(rms, list) or len(rms) != len(wanted["rms"]):
        return (
            f"rms is {f'{len(rms)} numbers' if isinstance(rms, list) else rms}, wanted a list of {len(wanted['rms'])}"
        )
    numbers = [(f"rms after {i} blocks", *pair, 0.01) for i, pair in enumerate(zip(rms, wanted["rms"], strict=True))]
    numbers.append(("gradient", found.get("gradient"), wanted["gradient"], 0.02))
    spread = found.get("spread")
    if wanted["spread"] >= NOTHING:
        numbers.append(("spread", spread, wanted["spread"], 0.02))
    elif not isinstance(spread, float | int) or not 0 <= spread < NOTHING:
        return f"spread is {spread}, wanted less than {NOTHING}"
    for name, value, right, tolerance in numbers:
        if not same(logs([value]), logs([right]), tolerance):
            return f"{name} is {value}, wanted {about(right)}"
    return ""


def logs(numbers: Any) -> Any:
    """The logarithms of positive numbers, so that `same` compares 1e-9 as it compares 1e5; None where there is none."""
    if not isinstance(numbers, list):
        return None
    return [math.log(x) if isinstance(x, float | int) and x > 0 else None for x in numbers]
