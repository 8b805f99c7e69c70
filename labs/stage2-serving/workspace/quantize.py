"""Step 1: quantise the model with bitsandbytes, to 8 bits in out/int8 and to 4 bits in out/int4.

labctl exec stage2-serving -- python quantize.py
"""

from __future__ import annotations

from pathlib import Path

import measuring
from transformers import AutoModelForCausalLM, BitsAndBytesConfig

OUT = Path("out")


def quantize(config: BitsAndBytesConfig, out: Path) -> None:
    """Load the original with its linear layers quantised as `config` says; save it with its tokenizer in `out`."""
    # Yours: from_pretrained takes a quantization_config. Give it dtype=measuring.DTYPE and device_map=measuring.DEVICE.
    raise NotImplementedError("step 1: quantize in quantize.py is yours to write")


def main() -> None:
    # Yours: 8 bits; and 4 bits of the type nf4, computing in measuring.DTYPE.
    int8 = BitsAndBytesConfig()
    int4 = BitsAndBytesConfig()
    quantize(int8, OUT / "int8")
    quantize(int4, OUT / "int4")
    for folder in (measuring.MODEL, OUT / "int8", OUT / "int4"):
        print(f"{measuring.weights_bytes(folder):12,} bytes  {folder}")


if __name__ == "__main__":
    main()
