"""What stands in a GGUF file before the tensors: the model's shape, its tokenizer, its chat template. Given.

Knows two architectures: `llama` and `qwen2`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gguf
import numpy as np
from huggingface_hub import snapshot_download
from safetensors import safe_open

MODEL = os.environ["MODEL_PATH"]
FOLDER = Path(MODEL) if Path(MODEL).is_dir() else Path(snapshot_download(MODEL, local_files_only=True))
CONFIG = json.loads((FOLDER / "config.json").read_text())


def writer(path: Path, file_type: gguf.LlamaFileType) -> gguf.GGUFWriter:
    """A file that has everything but tensors."""
    made = gguf.GGUFWriter(path, CONFIG["model_type"])
    _shape(made)
    _tokenizer(made)
    made.add_file_type(file_type)
    return made


def tensors() -> Iterator[tuple[str, np.ndarray]]:
    """Each tensor under the name that transformers gives it, as 32-bit floats, in the order of channels llama.cpp wants."""
    for file in sorted(FOLDER.glob("*.safetensors")):
        with safe_open(file, framework="pt") as found:
            for name in found.keys():  # noqa: SIM118 it is no dict
                yield name, _reordered(name, found.get_tensor(name).float().numpy())


def _reordered(name: str, tensor: np.ndarray) -> np.ndarray:
    """Position rotates pairs of channels. transformers pairs i with i + half; llama.cpp, for a Llama, neighbours."""
    if CONFIG["model_type"] != "llama" or not name.endswith(("q_proj.weight", "k_proj.weight")):
        return tensor
    heads = CONFIG["num_attention_heads" if "q_proj" in name else "num_key_value_heads"]
    rows, columns = tensor.shape
    halves = tensor.reshape(heads, 2, rows // heads // 2, columns)
    return np.ascontiguousarray(halves.swapaxes(1, 2).reshape(rows, columns))


def _shape(made: gguf.GGUFWriter) -> None:
    heads, hidden = CONFIG["num_attention_heads"], CONFIG["hidden_size"]
    head = CONFIG.get("head_dim") or hidden // heads
    rope = CONFIG.get("rope_parameters") or CONFIG
    made.add_name(FOLDER.name)
    made.add_context_length(CONFIG["max_position_embeddings"])
    made.add_embedding_length(hidden)
    made.add_block_count(CONFIG["num_hidden_layers"])
    made.add_feed_forward_length(CONFIG["intermediate_size"])
    made.add_head_count(heads)
    made.add_head_count_kv(CONFIG["num_key_value_heads"])
    made.add_key_length(head)
    made.add_value_length(head)
    made.add_rope_dimension_count(head)
    made.add_rope_freq_base(float(rope.get("rope_theta") or 10000.0))
    made.add_layer_norm_rms_eps(CONFIG["rms_norm_eps"])
    made.add_vocab_size(CONFIG["vocab_size"])


def _tokenizer(made: gguf.GGUFWriter) -> None:
    """A byte-level BPE tokenizer: tokens by their id, and the merges in their order."""
    saved = json.loads((FOLDER / "tokenizer.json").read_text(encoding="utf-8"))
    special = {entry["content"]: entry["id"] for entry in saved["added_tokens"]}
    ids = {number: token for token, number in {**saved["model"]["vocab"], **special}.items()}
    tokens = [ids.get(number, f"[unused{number}]") for number in range(CONFIG["vocab_size"])]
    made.add_tokenizer_model("gpt2")
    made.add_tokenizer_pre("qwen2" if CONFIG["model_type"] == "qwen2" else "smollm")  # both keep each digit a token
    made.add_token_list(tokens)
    made.add_token_types([_kind(number in ids, token in special) for number, token in enumerate(tokens)])
    made.add_token_merges([merge if isinstance(merge, str) else " ".join(merge) for merge in saved["model"]["merges"]])
    end = _generation().get("eos_token_id", CONFIG["eos_token_id"])
    made.add_eos_token_id(end[0] if isinstance(end, list) else end)
    made.add_add_bos_token(False)
    made.add_chat_template(_chat_template())


def _kind(known: bool, special: bool) -> gguf.TokenType:
    if not known:
        return gguf.TokenType.UNUSED
    return gguf.TokenType.CONTROL if special else gguf.TokenType.NORMAL


def _generation() -> dict[str, Any]:
    file = FOLDER / "generation_config.json"
    return json.loads(file.read_text()) if file.is_file() else {}


def _chat_template() -> str:
    file = FOLDER / "chat_template.jinja"
    if file.is_file():
        return file.read_text(encoding="utf-8")
    return str(json.loads((FOLDER / "tokenizer_config.json").read_text(encoding="utf-8"))["chat_template"])
