"""Prints what the learner's Chroma collection holds, read by a process of its own. One JSON object: document id → chunks.

python -I -B index_holds.py data/index knowledge
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path

folder, name = sys.argv[1:]
if not (Path(folder) / "chroma.sqlite3").is_file():  # opening it would make one
    sys.exit(f"there is no {folder}/chroma.sqlite3")

sys.modules["rfc3987_syntax"] = None  # not needed here, and most of the time that chromadb takes to load
import chromadb  # noqa: E402 it takes seconds

client = chromadb.PersistentClient(folder, settings=chromadb.Settings(anonymized_telemetry=False))
found = client.get_collection(name, embedding_function=None).get(include=["metadatas"])
print(json.dumps(Counter(str((about or {}).get("document")) for about in found["metadatas"])))
