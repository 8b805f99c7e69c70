"""Answers as one reads them."""

from pathlib import Path

import maths
from data import mine

p, q = mine().distributions()
distance = (maths.kl(p, q) + maths.kl(q, p)) / 2
Path("answers.yaml").write_text(f"""
maths: {{entropy_half: 1, entropy_one: 2, entropy_two: 3, kl_pq: {distance}, kl_qp: {distance}, best_h: 1e-11}}
objective: {{untrained_loss: 10, perplexity_before: 20, perplexity_after: 10}}
memory: {{full_70b: 280, lora_70b: 40, qlora_70b: 24, bytes_of_280gb: 4, bits_of_24gb: 4}}
""")
