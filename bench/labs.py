"""Labs made up for the benchmarks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

_HEAD = """\
title: Bench {number}
stage: 1
minutes: 5
profiles:
  cpu: {{memory: 32MiB, disk: 1MiB}}
"""

_SERVICE = """\
services:
  page:
    command: [python3, -S, -c, "import time; time.sleep(86400)"]
"""

_CRITERION = """\
  - id: c{number}
    text: A file is there
    points: 1
    hint: It is there
    checks:
      - file: {{path: readme.txt}}
"""


def write_labs(folder: Path, count: int, *, criteria: int = 3, service: bool = True) -> list[str]:
    """`count` labs below `folder`; their ids."""
    ids = [f"bench{number}" for number in range(count)]
    for number, id in enumerate(ids):
        place = folder / id
        (place / "workspace").mkdir(parents=True)
        (place / "workspace" / "readme.txt").write_text("hello\n")
        body = "criteria:\n" + "".join(_CRITERION.format(number=index) for index in range(criteria))
        (place / "lab.yaml").write_text(_HEAD.format(number=number) + (_SERVICE if service else "") + body)
    return ids


_CONTAINERS_HEAD = """\
title: Bench {id}
stage: 1
minutes: 5
profiles:
  cpu: {{memory: 64MiB, disk: 1MiB}}
services:
"""

_SERVER = """\
  {name}:
    image: {image}
    command: [python3, -S, -m, http.server, "8000"]
    ports: {{http: 8000}}
    healthcheck: {{http: /, port: http}}
    depends_on: [{needs}]
"""


def write_containers_lab(folder: Path, id: str, image: str, services: Sequence[str]) -> str:
    """A lab of web servers, each of which waits until the one before it is healthy; its id."""
    place = folder / id
    (place / "workspace").mkdir(parents=True)
    (place / "workspace" / "index.html").write_text("hello\n")
    body = "".join(
        _SERVER.format(name=name, image=image, needs=", ".join(services[:index][-1:]))
        for index, name in enumerate(services)
    )
    criteria = "criteria:\n" + _CRITERION.format(number=0)
    (place / "lab.yaml").write_text(_CONTAINERS_HEAD.format(id=id) + body + criteria)
    return id
