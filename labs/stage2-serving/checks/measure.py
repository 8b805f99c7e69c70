"""Measures models of the session again, believing no recorded number. Prints JSON. Runs isolated: it imports nothing of the learner's.

python -I measure.py cost MODEL QUESTIONS     bytes, perplexity and right answers of MODEL, out/int8 and out/int4
python -I measure.py rounding MODEL           errors of the first query matrix in INT8, with one scale and with one a row
"""

from __future__ import annotations

import json
import logging
import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

HERE = Path(__file__).parent
MATRIX = "model.layers.0.self_attn.q_proj.weight"
WINDOW = 256


def main() -> None:
    what, model, *more = sys.argv[1:]
    print(json.dumps(rounding(model) if what == "rounding" else cost(model, more[0])))


def cost(model: str, questions: str) -> dict[str, Any]:
    """What is known of each of the three; `error` in place of it where one does not load."""
    sys.modules |= dict.fromkeys(("sklearn", "scipy"))  # transformers would load them, for nothing
    import torch
    from transformers import AutoTokenizer
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
    torch.set_num_threads(1)
    torch.set_grad_enabled(False)
    tokenizer = AutoTokenizer.from_pretrained(model, padding_side="left")
    ids = tokenizer((HERE / "text.txt").read_text(encoding="utf-8"), return_tensors="pt").input_ids[0]
    rows = [json.loads(line) for line in (HERE / questions).read_text(encoding="utf-8").splitlines()]
    found = {}
    for name, folder in {"original": model, "int8": "out/int8", "int4": "out/int4"}.items():
        try:
            loaded = load(folder)
        except Exception as error:  # noqa: BLE001 a damaged file fails in many ways, each of them the learner's to mend
            found[name] = {"error": f"{type(error).__name__}: {error}"[:200]}
            continue
        found[name] = {
            "bytes": sum(file.stat().st_size for file in folder_of(folder).glob("*.safetensors")),
            "perplexity": perplexity(loaded, ids),
            "right": right(loaded, tokenizer, rows),
            "asked": len(rows),
        }
    return found


def load(folder: str) -> PreTrainedModel:
    """Nothing but safetensors, and no code that comes with a model."""
    import torch
    from transformers import AutoModelForCausalLM

    device, dtype = ("cuda", torch.bfloat16) if torch.cuda.is_available() else ("cpu", torch.float32)
    return AutoModelForCausalLM.from_pretrained(
        folder, dtype=dtype, device_map=device, use_safetensors=True, trust_remote_code=False, local_files_only=True
    ).eval()


def perplexity(model: PreTrainedModel, ids: torch.Tensor) -> float:
    from torch.nn.functional import cross_entropy

    total, count = 0.0, 0
    for window in ids.split(WINDOW):
        window = window.to(model.device)
        logits = model(input_ids=window[None]).logits[0, :-1].float()
        total += cross_entropy(logits, window[1:], reduction="sum").item()
        count += len(window) - 1
    return math.exp(min(total / count, 700))


def right(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, rows: list[dict[str, str]]) -> int:
    """Questions whose answer is in the greedy reply."""
    count = 0
    for start in range(0, len(rows), 60):
        part = rows[start : start + 60]
        texts = [
            str(
                tokenizer.apply_chat_template(
                    [{"role": "user", "content": row["prompt"]}], tokenize=False, add_generation_prompt=True
                )
            )
            for row in part
        ]
        inputs = tokenizer(texts, return_tensors="pt", padding=True, add_special_tokens=False).to(model.device)
        out = model.generate(
            input_ids=inputs.input_ids,
            attention_mask=inputs.attention_mask,
            max_new_tokens=16,
            do_sample=False,
            pad_token_id=tokenizer.pad_token_id,
        )
        replies = tokenizer.batch_decode(out[:, inputs.input_ids.shape[1] :], skip_special_tokens=True)
        count += sum(row["answer"].lower() in reply.lower() for row, reply in zip(part, replies, strict=True))
    return count


def rounding(model: str) -> dict[str, dict[str, float]]:
    """What a right rounding.py writes."""
    w = next(found for file in sorted(folder_of(model).glob("*.safetensors")) for found in matrices(file, MATRIX))
    return {
        "per_tensor": errors(w, np.abs(w).max(keepdims=True)),
        "per_channel": errors(w, np.abs(w).max(axis=1, keepdims=True)),
    }


def matrices(file: Path, name: str) -> list[np.ndarray]:
    """The tensor `name` of a safetensors file as 32-bit floats, if it is in there. Read by hand: a library for it loads torch."""
    data = file.read_bytes()
    start = 8 + int.from_bytes(data[:8], "little")
    entry = json.loads(data[8:start]).get(name)
    if entry is None:
        return []
    begin, end = (start + offset for offset in entry["data_offsets"])
    if entry["dtype"] == "BF16":  # the upper half of a 32-bit float
        bits = np.frombuffer(data[begin:end], np.uint16).astype(np.uint32) << 16
        return [bits.view(np.float32).reshape(entry["shape"])]
    kind = {"F32": np.float32, "F16": np.float16}[entry["dtype"]]
    return [np.frombuffer(data[begin:end], kind).astype(np.float32).reshape(entry["shape"])]


def errors(w: np.ndarray, largest: np.ndarray) -> dict[str, float]:
    scale = largest / np.float32(127)
    off = np.abs(w - np.clip(np.rint(w / scale), -127, 127) * scale).astype(np.float64)
    return {
        "largest_predicted": float(scale.max()) / 2,
        "largest": float(off.max()),
        "rms": float(np.sqrt(np.square(off).mean())),
    }


def folder_of(model: str) -> Path:
    if Path(model).is_dir():
        return Path(model)
    from huggingface_hub import snapshot_download

    return Path(snapshot_download(model, local_files_only=True))


if __name__ == "__main__":
    main()
