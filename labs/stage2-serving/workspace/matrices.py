"""Reads single matrices of the model. Given."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from huggingface_hub import snapshot_download
from safetensors import safe_open

MODEL = os.environ["MODEL_PATH"]


def read_matrix(name: str) -> np.ndarray:
    """One tensor of the original, as 32-bit floats."""
    folder = Path(MODEL) if Path(MODEL).is_dir() else Path(snapshot_download(MODEL, local_files_only=True))
    for file in sorted(folder.glob("*.safetensors")):
        with safe_open(file, framework="pt") as tensors:
            if name in tensors.keys():  # noqa: SIM118 it is no dict
                return tensors.get_tensor(name).float().numpy()
    raise KeyError(f"{MODEL} has no tensor {name}")
