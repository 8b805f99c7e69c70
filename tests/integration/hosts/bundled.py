"""A lab that is small enough to be carried in a test: an image of one file, a model that is built, and one of a hub."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from docker import DockerClient

LAB = """\
title: A lab with an image and two models
stage: 1
minutes: 5
profiles:
  cpu: {{model: small, models: {{big: org/big}}, memory: 64MiB, disk: 16MiB}}
services:
  idle: {{image: "{image}", command: [/bin/true]}}
criteria:
  - id: written
    text: answer.txt is there
    points: 1
    hint: write it
    checks: [{{file: {{path: answer.txt}}}}]
"""
BUILD = """\
import sys, pathlib
out = pathlib.Path(sys.argv[1])
(out / "inner").mkdir(parents=True)
(out / "weights.bin").write_bytes(bytes(1000))
(out / "inner" / "config.json").write_text("{}")
"""


def make_image(engine: DockerClient, reference: str) -> None:
    """Give the engine an image of one small file, another one for each reference."""
    layer = io.BytesIO()
    with tarfile.open(fileobj=layer, mode="w") as tar:
        info = tarfile.TarInfo("hello.txt")
        info.size = len(reference)
        tar.addfile(info, io.BytesIO(reference.encode()))
    repository, tag = reference.split(":")
    engine.api.import_image_from_data(layer.getvalue(), repository=repository, tag=tag)


def write_lab(labs: Path, hub: Path, image: str) -> Path:
    """The folder of the lab in `labs`; `hub` gets the hub's model."""
    files = {
        "bundled/lab.yaml": LAB.format(image=image),
        "bundled/workspace/readme.txt": "start here\n",
        "envs/bare.txt": "",
        "models/small/model.yaml": 'description: Zeros\nenv: bare\ncommand: [python, build.py, "{out}"]\n',
        "models/small/build.py": BUILD,
    }
    for name, text in files.items():
        (labs / name).parent.mkdir(parents=True, exist_ok=True)
        (labs / name).write_text(text)
    (hub / "org" / "big").mkdir(parents=True)
    (hub / "org" / "big" / "model.safetensors").write_bytes(b"big" * 1000)
    return labs / "bundled"
