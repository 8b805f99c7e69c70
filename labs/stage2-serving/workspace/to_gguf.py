"""Step 5: write the model as out/model.gguf, the format of llama.cpp, its matrices in 8 bits.

labctl exec stage2-serving -- python to_gguf.py
"""

from __future__ import annotations

from pathlib import Path

import gguf
import gguf_header
import numpy as np

OUT = Path("out")


def gguf_name(name: str) -> str:
    """The name that llama.cpp gives the tensor which transformers calls `name`.

    Of block 2, for example, model.layers.2.self_attn.q_proj.weight is blk.2.attn_q.weight there. The ending, .weight or .bias,
    stays. The README has the table.
    """
    # Yours.
    raise NotImplementedError("step 5: gguf_name in to_gguf.py is yours to write")


def stored(tensor: np.ndarray) -> tuple[np.ndarray, gguf.GGMLQuantizationType]:
    """How a tensor goes into the file, and the type that says so: matrices as Q8_0, vectors as F32.

    Q8_0 keeps blocks of 32 weights of a row as 32 8-bit integers and one 16-bit scale.
    """
    # Yours: gguf.quants.quantize does it, given the type.
    raise NotImplementedError("step 5: stored in to_gguf.py is yours to write")


def main() -> None:
    OUT.mkdir(exist_ok=True)
    part = OUT / "model.gguf.part"  # and renamed at the end, so that the server never loads half a file
    writer = gguf_header.writer(part, gguf.LlamaFileType.MOSTLY_Q8_0)
    for name, tensor in gguf_header.tensors():
        data, kind = stored(tensor)
        writer.add_tensor(gguf_name(name), data, raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    part.replace(OUT / "model.gguf")
    print(f"{(OUT / 'model.gguf').stat().st_size:,} bytes in out/model.gguf")


if __name__ == "__main__":
    main()
