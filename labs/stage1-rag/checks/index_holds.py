"""Prints what the learner's Chroma collection holds, read by a process of its own. One JSON object: document id → chunks.

python -I -B index_holds.py data/index knowledge
"""

from __future__ import annotations

import json
import sys
from collections import Counter

import chromadb

folder, name = sys.argv[1:]
client = chromadb.PersistentClient(folder, settings=chromadb.Settings(anonymized_telemetry=False))
found = client.get_collection(name, embedding_function=None).get(include=["metadatas"])
print(json.dumps(Counter(str((about or {}).get("document")) for about in found["metadatas"])))
