"""INT8 by hand, a scale for each column. Round a matrix to 8-bit integers, once with one scale and once with a scale for each row.

labctl exec stage2-serving -- python rounding.py
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from matrices import read_matrix

OUT = Path("out")
MATRIX = "model.layers.0.self_attn.q_proj.weight"


def scales(w: np.ndarray, *, per_channel: bool) -> np.ndarray:
    """What one step of the integers is worth: shape (1, 1) for the whole matrix, or (rows, 1), one for each row.

    A row is an output channel: torch keeps the weight of a linear layer as (outputs, inputs). The largest absolute weight
    becomes 127. Where all weights are zero the scale is 1, so that nothing is divided by zero.
    """
    largest = np.abs(w).max(axis=0 if per_channel else None, keepdims=True)
    return np.where(largest == 0, np.float32(1), largest / np.float32(127)).astype(np.float32)


def quantize(w: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """The matrix in steps of `scale`, rounded to the nearest integer from -127 to 127; dtype int8."""
    return np.clip(np.rint(w / scale), -127, 127).astype(np.int8)


def dequantize(q: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """The floats that the integers stand for; dtype float32."""
    return q.astype(np.float32) * scale


def largest_error(scale: np.ndarray) -> float:
    """The most that any weight can be off by after rounding, known from the scales alone, before anything is rounded."""
    return float(scale.max()) / 2


def errors(w: np.ndarray, *, per_channel: bool) -> dict[str, float]:
    """The error that was predicted, and what it came to: the largest, and the root of the mean square."""
    scale = scales(w, per_channel=per_channel)
    off = np.abs(w - dequantize(quantize(w, scale), scale))
    return {
        "largest_predicted": largest_error(scale),
        "largest": float(off.max()),
        "rms": float(np.sqrt(np.mean(np.square(off, dtype=np.float64)))),
    }


def main() -> None:
    w = read_matrix(MATRIX)
    found = {"per_tensor": errors(w, per_channel=False), "per_channel": errors(w, per_channel=True)}
    print(f"{MATRIX} {w.shape}: largest weight {np.abs(w).max():.4g}, median {np.median(np.abs(w)):.4g}")
    OUT.mkdir(exist_ok=True)
    (OUT / "rounding.json").write_text(json.dumps(found, indent=2))
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
