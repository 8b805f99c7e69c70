"""Measures anew, in the session and without a line of the learner's.

python -I -B measured.py window < {"session": …, "windows": […], …}     what each window keeps
python -I -B measured.py rerank < {"session": …}                        both stages on the session's questions
python -I -B measured.py tokens < {"texts": […]}                        how many tokens each text has
"""

from __future__ import annotations

import functools
import json
import math
import os
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
import corpus
from tokenizers import Tokenizer

CANDIDATES, MEASURED = 12, 16
DATASETS = ("Dataset", "DatasetDict", "IterableDataset", "IterableDatasetDict", "Sequence", "Value")


@functools.cache
def tokenizer() -> Tokenizer:
    model = os.environ["MODEL_PATH"]
    file = Path(model) / "tokenizer.json"
    read = Tokenizer.from_file(str(file)) if file.is_file() else Tokenizer.from_pretrained(model)
    read.no_truncation()
    read.no_padding()
    return read


def tokens(given: dict[str, Any]) -> list[int]:
    read = tokenizer()
    return [len(read.encode(text, add_special_tokens=False).ids) for text in given["texts"]]


def window(given: dict[str, Any]) -> list[dict[str, float]]:
    read = tokenizer()
    manual = [paragraph for section in corpus.sections(given["session"]) for paragraph in section.paragraphs]
    questions = corpus.questions(given["session"])
    system, answer = given["system"], given["answer"]
    sizes = tokens({"texts": manual})
    wholes = ["\n".join([system, *manual, question.text]) for question in questions]
    offsets = [read.encode(whole, add_special_tokens=False).offsets for whole in wholes]
    rows = []
    for limit in given["windows"]:
        facts = asked = planned = 0
        for question, whole, ends in zip(questions, wholes, offsets, strict=True):
            left = whole[: ends[: limit - answer][-1][1]]
            room, kept = limit - answer - sum(tokens({"texts": [system, question.text]})), 0
            while kept < len(manual) and sum(sizes[: kept + 1]) <= room:
                kept += 1
            facts += question.fact in left
            asked += question.text in left
            planned += question.paragraph in manual[:kept]
        counts = {"facts_naive": facts, "questions_naive": asked, "facts_planned": planned}
        rows.append({"window": limit, **{name: count / len(questions) for name, count in counts.items()}})
    return rows


def rerank(given: dict[str, Any]) -> dict[str, float]:
    # Not needed here, and half of the time that sentence_transformers takes to load.
    sys.modules.update(dict.fromkeys(("peft", "scipy", "sklearn", "torchao")))
    sys.modules["scipy.sparse"] = SimpleNamespace(coo_matrix=None)
    sys.modules["sklearn.metrics"] = SimpleNamespace(pairwise_distances=None)
    sys.modules["datasets"] = SimpleNamespace(
        __spec__=SimpleNamespace(), __version__="", **dict.fromkeys(DATASETS, object)
    )
    import numpy as np
    import torch
    from sentence_transformers import CrossEncoder, SentenceTransformer

    torch.set_num_threads(1)
    questions = corpus.questions(given["session"])
    passages = sorted(question.paragraph for question in questions)
    embedder = SentenceTransformer(os.environ["MODEL_PATH"])
    reranker = CrossEncoder(os.environ["MODEL_PATH_RERANKER"], max_length=192)
    options = {"normalize_embeddings": True, "show_progress_bar": False}
    asked = questions[:MEASURED]
    scores = embedder.encode([question.text for question in asked], **options) @ embedder.encode(passages, **options).T
    ranks: dict[str, list[int]] = {"retrieved": [], "reranked": []}
    for question, row in zip(asked, scores, strict=True):
        candidates = [int(index) for index in np.argsort(-row, kind="stable")[:CANDIDATES]]
        pairs = [(question.text, passages[index]) for index in candidates]
        again = np.argsort(-reranker.predict(pairs, show_progress_bar=False), kind="stable")
        relevant = passages.index(question.paragraph)
        for name, order in (("retrieved", candidates), ("reranked", [candidates[place] for place in again])):
            ranks[name].append(order.index(relevant) if relevant in order else -1)
    found = {f"first_{name}": sum(rank == 0 for rank in places) / MEASURED for name, places in ranks.items()}
    for name, places in ranks.items():
        found[f"ndcg_{name}"] = sum(1 / math.log2(rank + 2) for rank in places if rank >= 0) / MEASURED
    return {**found, "ceiling": sum(rank >= 0 for rank in ranks["retrieved"]) / MEASURED}


print(json.dumps({"window": window, "rerank": rerank, "tokens": tokens}[sys.argv[1]](json.load(sys.stdin))))
