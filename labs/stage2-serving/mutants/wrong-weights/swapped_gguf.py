"""Writes the GGUF file with two tensors of each block under each other's name, which have the same shape."""

import to_gguf

to_gguf.INSIDE["mlp.gate_proj"], to_gguf.INSIDE["mlp.up_proj"] = "ffn_up", "ffn_gate"
to_gguf.main()
