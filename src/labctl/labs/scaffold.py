"""`lab new`: a small lab that works and is proved, to start from."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from labctl.errors import UsageError
from labctl.labs.spec import is_id

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
    if not is_id(id):
        raise UsageError(
            f"{id!r} is no lab id", "use lower-case words joined by single dashes, for example stage1-my-lab"
        )
    place = folder.absolute() / id
    if place.exists():
        raise UsageError(f"{place} is there already", "choose another id, or remove it first")
    folder.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix=f".{id}.", dir=folder))
    try:
        for name, text in _files(id).items():
            (partial / name).parent.mkdir(parents=True, exist_ok=True)
            (partial / name).write_text(text, encoding="utf-8")
        partial.chmod(0o755)
        partial.rename(place)
    except OSError:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    return place


def _files(id: str) -> dict[str, str]:
    title = id.replace("-", " ").capitalize()
    stage = id[5] if id.startswith("stage") and id[5:6] in "01234" and id[5:6] else "1"
    counted = _COUNT.format(expression="len(text.split())")
    return {
        "lab.yaml": _LAB.format(id=id, title=title, stage=stage),
        "README.md": _README.format(id=id, title=title),
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
