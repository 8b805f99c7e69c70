"""Has the learner's rounding.py round the matrices on stdin, and prints what it made of them. Runs in the session's workspace.

Only this process imports what the learner wrote; what comes out is judged elsewhere.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import numpy as np

sys.path.insert(0, "")
import rounding


def rounded(rows: list[list[float]], *, per_channel: bool) -> dict[str, Any]:
    """Everything the four functions give, as lists, with shapes and types."""
    w = np.array(rows, dtype=np.float32)
    scale = rounding.scales(w, per_channel=per_channel)
    integers = rounding.quantize(w, scale)
    back = rounding.dequantize(integers, scale)
    return {
        "scale": np.asarray(scale, dtype=np.float64).ravel().tolist(),
        "scale_shape": list(np.shape(scale)),
        "integers": np.asarray(integers).tolist(),
        "dtype": str(np.asarray(integers).dtype),
        "back": np.asarray(back, dtype=np.float64).tolist(),
        "largest": float(rounding.largest_error(scale)),
    }


def main() -> None:
    given = json.load(sys.stdin)
    made = [{str(way): rounded(rows, per_channel=way) for way in (False, True)} for rows in given["matrices"]]
    print(json.dumps({"nonce": given["nonce"], "made": made}))


if __name__ == "__main__":
    main()
