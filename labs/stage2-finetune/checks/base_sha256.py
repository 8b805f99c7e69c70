"""Prints the sha256 over a model's weight files. Runs in the session: a model of the hub lies in its cache there.

python base_sha256.py MODEL
"""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

from huggingface_hub import snapshot_download

folder = Path(sys.argv[1])
if not folder.is_dir():
    folder = Path(snapshot_download(sys.argv[1], local_files_only=True))
digest = hashlib.sha256()
for file in sorted(folder.glob("*.safetensors")):
    digest.update(file.read_bytes())
print(digest.hexdigest())
