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
    model = AutoModelForCausalLM.from_pretrained(
        measuring.MODEL, quantization_config=config, dtype=measuring.DTYPE, device_map=measuring.DEVICE
    )
    model.save_pretrained(out)
    measuring.load_tokenizer().save_pretrained(out)


def main() -> None:
    int8 = BitsAndBytesConfig(load_in_8bit=True)
    int4 = BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=measuring.DTYPE)
    quantize(int8, OUT / "int8")
    quantize(int4, OUT / "int4")
    for folder in (measuring.MODEL, OUT / "int8", OUT / "int4"):
        print(f"{measuring.weights_bytes(folder):12,} bytes  {folder}")


if __name__ == "__main__":
    main()
