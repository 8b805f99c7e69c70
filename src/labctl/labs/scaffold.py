"""`lab new`: a small lab that works and is proved, to start from."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from labctl.errors import LabFileError, UsageError
from labctl.labs.spec import is_id

if TYPE_CHECKING:
    from labctl.labs.compose.notes import Note

_LAB = """\
# Every field is described in docs/lab-file.md; `labctl lab validate` reports mistakes with line and column.
title: {title}
stage: {stage}
minutes: 15
summary: One or two sentences that make a learner want to start.
objectives:
  - what the learner can do afterwards
profiles:
  cpu: {{memory: 256MiB, disk: 64MiB}}
services:
  page:
    command: [python3, -m, http.server, "{{{{ port('http') }}}}", --bind, "127.0.0.1"]
    ports: {{http: 8000}}
    healthcheck: {{tcp: true, timeout: 30s}}
    owner: learner
criteria:
  - id: page-served
    text: The page /index.html greets the visitor
    points: 40
    hint: The service `page` serves the workspace; which file does it look for?
    checks:
      - http: {{service: page, path: /index.html, text: {{contains: Hello}}}}
  - id: words-counted
    text: count.py prints how many words a file has
    points: 60
    hint: Run `labctl exec {id} -- python3 count.py text.txt` and count by hand.
    checks:
      - command: {{command: [python3, count.py, text.txt], stdout: {{matches: '^12$'}}}}
      - command: {{command: [python3, count.py, "{{{{ lab_path }}}}/checks/other.txt"], stdout: {{matches: '^5$'}}}}
"""

_README = """\
# {title}

**Goal.** Say what the learner will have built.

**What is running.** The service `page` serves your workspace; `labctl status {id}` shows its URL.

## 1. A page (5 minutes)

Write `index.html` with the word `Hello` in it. Judged by `page-served`.

## 2. Counting (10 minutes)

Finish `count.py`, so that `python3 count.py FILE` prints the number of words in FILE. Judged by `words-counted`, on
`text.txt` and on a file you have not seen.
"""

_COUNT = '''\
"""Print how many words the file named as the first argument has."""

import sys
from pathlib import Path

text = Path(sys.argv[1]).read_text()
words = {expression}
print(words)
'''

_TEXT = "one two three four five six\nseven eight nine ten eleven twelve\n"


def scaffold(id: str, folder: Path) -> Path:
    """Write the lab `id` below `folder`; its folder. Raises UsageError for a bad id or a folder that is there already."""
    place = _place(id, folder)
    _write(place, _files(id))
    return place


def scaffold_from_compose(id: str, folder: Path, compose: Path) -> tuple[Path, list[Note]]:
    """Write the lab `id` with the services of a Compose file; its folder, and what of that file needs a person's eye.

    Raises as `scaffold` does, and LabFileError when the file is none that a lab can be made from.
    """
    from labctl.labs.compose.skeleton import skeleton

    place = _place(id, folder)
    files, notes = skeleton(id, compose, title=_title(id), stage=_stage(id))
    _check(files["lab.yaml"], compose)
    _write(place, files)
    return place, notes


def _place(id: str, folder: Path) -> Path:
    if not is_id(id):
        raise UsageError(
            f"{id!r} is no lab id", "use lower-case words joined by single dashes, for example stage1-my-lab"
        )
    place = folder.absolute() / id
    if place.exists():
        raise UsageError(f"{place} is there already", "choose another id, or remove it first")
    return place


def _write(place: Path, files: Mapping[str, str]) -> None:
    """All of the lab or nothing."""
    place.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix=f".{place.name}.", dir=place.parent))
    try:
        for name, text in files.items():
            (partial / name).parent.mkdir(parents=True, exist_ok=True)
            (partial / name).write_text(text, encoding="utf-8")
        partial.chmod(0o755)
        partial.rename(place)
    except OSError:
        shutil.rmtree(partial, ignore_errors=True)
        raise


def _check(text: str, compose: Path) -> None:
    """What the conversion cannot know of, such as dependencies in a circle or a file grown too large, is found here."""
    from labctl.labs.catalog import LAB_FILE
    from labctl.labs.lab import validate
    from labctl.labs.source import read_source
    from labctl.labs.spec import LabSpec

    with tempfile.TemporaryDirectory(prefix="labctl-new-") as folder:
        file = Path(folder) / LAB_FILE
        file.write_text(text, encoding="utf-8")
        try:
            source = read_source(file)
            validate(LabSpec, source, source.data)
        except LabFileError as error:
            what = error.what.replace(str(file), LAB_FILE)
            raise LabFileError(
                f"{compose} makes a lab file that is wrong: {what}", "mend that in the Compose file"
            ) from error


def _title(id: str) -> str:
    return id.replace("-", " ").capitalize()


def _stage(id: str) -> str:
    return id[5] if id.startswith("stage") and id[5:6] in "01234" and id[5:6] else "1"


def _files(id: str) -> dict[str, str]:
    counted = _COUNT.format(expression="len(text.split())")
    return {
        "lab.yaml": _LAB.format(id=id, title=_title(id), stage=_stage(id)),
        "README.md": _README.format(id=id, title=_title(id)),
        "checks/other.txt": "a text nobody has seen\n",
        "workspace/count.py": _COUNT.format(expression="0  # your part"),
        "workspace/text.txt": _TEXT,
        "solution/count.py": counted,
        "solution/index.html": "<h1>Hello, labctl</h1>\n",
        "mutants/constant/mutant.yaml": "description: prints the number that the known file has, whatever the file\nfails: [words-counted]\n",
        "mutants/constant/count.py": _COUNT.format(expression="12"),
        "mutants/wrong-name/mutant.yaml": "description: the page has another name\nfails: [page-served]\nbase: starter\n",
        "mutants/wrong-name/count.py": counted,
        "mutants/wrong-name/page.html": "<h1>Hello, labctl</h1>\n",
    }
