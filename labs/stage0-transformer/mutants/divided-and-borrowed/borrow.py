"""Takes torch's own layer norm for the one that was to be written; the rest of block.py is the solution's."""

from pathlib import Path

with Path("block.py").open("a") as file:
    file.write(
        "\n\nLayerNorm.forward = lambda self, x: nn.functional.layer_norm(x, x.shape[-1:], self.gain, self.bias, self.epsilon)\n"
    )
