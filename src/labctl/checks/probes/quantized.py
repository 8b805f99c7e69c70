"""Quantised models beside their original: how their weights are stored, bytes on disk, perplexity. Runs in `frame`."""

from __future__ import annotations

import gc
import json
import math
import re
import struct
import sys
from pathlib import Path
from typing import Any

WINDOW = 512
MAX_TOKENS = 16 * 1024
MIN_TOKENS = 32
UNUSED = ("sklearn", "scipy", "rfc3987_syntax")
"""Transformers and gguf load them where they are, which takes seconds; no way to load a quantised model needs them."""


class Unmet(Exception):
    """What the learner made cannot be used."""


def look(arguments: dict[str, Any]) -> dict[str, Any]:
    """An answer in the words of `frame` for each of `models`, which have one original: what is wrong with one is told of it."""
    sys.modules |= dict.fromkeys(UNUSED)  # type: ignore[arg-type]  # None says: not there
    original = Path(folder_of(arguments["original"]))
    model = load(original)
    ids = tokens(original, arguments["text"])
    linear = linear_weights(model)
    before = perplexity(model, ids)
    del model
    return {"models": [answer(one, original, linear, ids, before) for one in arguments["models"]]}


def answer(
    asked: dict[str, Any], original: Path, linear: dict[str, int], ids: Any, before: float | None
) -> dict[str, Any]:
    gc.collect()  # the model before is still there otherwise
    try:
        return {"seen": compared(Path(asked["path"]), asked["bits"], original, linear, ids, before)}
    except ImportError as error:
        return {"missing": str(error)}
    except Unmet as error:
        return {"unmet": str(error)}
    except Exception as error:  # noqa: BLE001 whatever it is, it is told
        return {"error": f"{type(error).__name__}: {error}"}


def compared(
    path: Path, bits: int, original: Path, linear: dict[str, int], ids: Any, before: float | None
) -> dict[str, Any]:
    """Shares and ratios; `share` is of the linear layers' weights that are stored in at most `bits` bits."""
    stored = stored_in_gguf(path) if path.suffix == ".gguf" else stored_in_folder(path, linear)
    seen = {**shares(stored, sum(linear.values()), bits), **sizes(path, original)}
    after = perplexity(load_quantized(path), ids)
    if before is None:
        return seen
    if after is None or not math.isfinite(after):
        raise Unmet(f"{path}: its perplexity is {after}")
    ratio = round(after / before, 5)
    return {**seen, "perplexity": after, "original_perplexity": before, "perplexity_ratio": ratio}


def folder_of(model: str) -> str:
    """Where a model is. A hub's id is looked up in the cache, never below the workspace, which is the current folder."""
    if Path(model).is_absolute():
        return model
    from huggingface_hub import snapshot_download  # type: ignore[import-not-found]

    return str(snapshot_download(model, local_files_only=True))


def load(folder: Path, **more: Any) -> Any:
    """The model, on a GPU where there is one. Only safetensors or GGUF, and no code that comes with it."""
    import torch  # type: ignore[import-not-found]
    from transformers import AutoModelForCausalLM  # type: ignore[import-not-found]

    place = {"": 0} if torch.cuda.is_available() else {"": "cpu"}
    formats = {} if "gguf_file" in more else {"use_safetensors": True}
    model = AutoModelForCausalLM.from_pretrained(
        str(folder), dtype="auto", device_map=place, trust_remote_code=False, **formats, **more
    )
    return model.eval()


def load_quantized(path: Path) -> Any:
    try:
        return load(path.parent, gguf_file=path.name) if path.suffix == ".gguf" else load(path)
    except ImportError:
        raise
    except Exception as error:
        raise Unmet(f"{path} cannot be loaded: {type(error).__name__}: {error}") from error


def linear_weights(model: Any) -> dict[str, int]:
    """Weights of each linear layer but the output's, by its name."""
    import torch
    from transformers.pytorch_utils import Conv1D  # type: ignore[import-not-found]

    head = model.get_output_embeddings()
    layers = ((name, layer) for name, layer in model.named_modules() if isinstance(layer, torch.nn.Linear | Conv1D))
    return {name: layer.weight.numel() for name, layer in layers if layer is not head}


def stored_in_folder(folder: Path, linear: dict[str, int]) -> list[tuple[str, float, int]]:
    """Of each linear layer that is there: its type, bits a weight, and how many weights.

    The largest tensor of a layer is what holds its weights, whatever packs them: `weight` of bitsandbytes, `_weight_qdata`
    of torchao, `qweight` of GPTQ and AWQ.
    """
    largest: dict[str, tuple[int, str]] = {}
    for name, kind, size in tensors(folder):
        layer = name
        while "." in layer and layer not in linear:
            layer = layer.rpartition(".")[0]
        if layer in linear:
            largest[layer] = max(largest.get(layer, (0, "")), (size, kind))
    return [(kind, 8 * size / linear[layer], linear[layer]) for layer, (size, kind) in largest.items()]


def tensors(folder: Path) -> list[tuple[str, str, int]]:
    """Name, type and bytes of each tensor, from the headers of the safetensors files."""
    found = []
    for path in sorted(folder.glob("*.safetensors")):
        with path.open("rb") as stream:
            try:
                length = struct.unpack("<Q", stream.read(8))[0]
                header = json.loads(stream.read(min(length, 1 << 25)))
                header.pop("__metadata__", None)
                for name, entry in header.items():
                    start, end = entry["data_offsets"]
                    found.append((name, str(entry["dtype"]), int(end) - int(start)))
            except (ValueError, KeyError, TypeError, AttributeError, struct.error) as error:
                raise Unmet(f"{path} is not a whole safetensors file: {error}") from error
    return found


def stored_in_gguf(path: Path) -> list[tuple[str, float, int]]:
    """The same of a GGUF file, whose names are llama.cpp's: every matrix but the embedding and the output."""
    from gguf import GGUFReader  # type: ignore[import-not-found]

    try:
        read = GGUFReader(str(path)).tensors
    except Exception as error:
        raise Unmet(f"{path} cannot be read as GGUF: {error}") from error
    blocks = [tensor for tensor in read if tensor.name.startswith("blk.") and len(tensor.shape) > 1]
    return [(tensor.tensor_type.name, nominal(tensor), int(tensor.n_elements)) for tensor in blocks]


def nominal(tensor: Any) -> float:
    """Q4_K is 4 bits and its scales: what the name says, or for names without a number what is stored."""
    number = re.match(r"I?[QFIT]+[A-Z]*(\d+)|BF(\d+)|[MN][XV]FP(\d+)", tensor.tensor_type.name)
    stored = 8 * int(tensor.n_bytes) / int(tensor.n_elements)
    named = float(next(filter(None, number.groups()))) if number else stored
    return min(named, stored)


def shares(stored: list[tuple[str, float, int]], count: int, bits: int) -> dict[str, Any]:
    """Of the original's linear weights: the share in at most `bits` bits, and the share in each type."""
    kinds: dict[str, int] = {}
    for kind, each, weights in stored:
        name = f"{each:.3g} bits ({kind})"
        kinds[name] = kinds.get(name, 0) + weights
    small = sum(weights for _, each, weights in stored if each <= bits + 1e-6)
    return {
        "share": round(min(1.0, small / count), 4),
        "stored": {name: round(weights / count, 4) for name, weights in kinds.items()},
    }


def sizes(path: Path, original: Path) -> dict[str, Any]:
    own, other = size_of(path), size_of(original)
    return {"bytes": own, "original_bytes": other, "size_ratio": round(own / other, 4)}


def size_of(path: Path) -> int:
    files = path.glob("*.safetensors") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files)


def tokens(original: Path, text: str | None) -> Any:
    """The text in the original's tokens, which both models are asked for."""
    from transformers import AutoTokenizer

    if text is None:
        return None
    tokenizer = AutoTokenizer.from_pretrained(str(original), trust_remote_code=False)
    ids = tokenizer(text, return_tensors="pt").input_ids[0][:MAX_TOKENS]
    if len(ids) < MIN_TOKENS:
        raise ValueError(f"the lab's text has {len(ids)} tokens; a perplexity needs at least {MIN_TOKENS}")
    return ids


def perplexity(model: Any, ids: Any) -> float | None:
    """exp of the mean loss of each token but a window's first, in windows that do not overlap."""
    import torch

    if ids is None:
        return None
    window = min(WINDOW, getattr(model.config, "max_position_embeddings", None) or WINDOW)
    total, count = 0.0, 0
    for start in range(0, len(ids) - 1, window):
        chunk = ids[start : start + window].to(model.device)[None]
        if chunk.shape[1] > 1:
            with torch.inference_mode():
                logits = model(input_ids=chunk).logits[0, :-1].float()
            total += float(torch.nn.functional.cross_entropy(logits, chunk[0, 1:], reduction="sum"))
            count += chunk.shape[1] - 1
    return round(math.exp(min(total / count, 700.0)), 5) if math.isfinite(total) else math.inf
