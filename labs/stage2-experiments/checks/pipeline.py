"""Asks DVC which stages would run after a change. Runs in the session, on a copy of the workspace.

Reads nothing; prints {"": […], "FILE or PARAMETER": […], …}: the names of the stages that are out of date, before and after each change.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import yaml
from dvc.repo import Repo

LEFT_OUT = (".cache", ".labctl", ".mlflow", "__pycache__", "storage")
PARAMETERS = [("train", "epochs"), ("train", "seed"), ("report", "confusions")]
FILES = ["data/tickets.csv", "data/heldout.csv", "training.py", "train.py", "report.py"]


def main() -> None:
    if not Path("dvc.yaml").is_file():
        sys.exit("there is no dvc.yaml yet (step 6)")
    with tempfile.TemporaryDirectory(prefix="labctl-check-") as folder:
        copy = Path(folder) / "copy"
        os.environ["DVC_SITE_CACHE_DIR"] = str(Path(folder) / "site")  # what DVC remembers of the copy goes with it
        shutil.copytree(".", copy, ignore=shutil.ignore_patterns(*LEFT_OUT), symlinks=True)
        print(json.dumps(stages(copy)))


def stages(copy: Path) -> dict[str, list[str]]:
    repo = Repo(str(copy))
    found = {"": outdated(repo)}
    for group, name in PARAMETERS:
        found[f"{group}.{name}"] = after(repo, copy / "params.yaml", lambda text: raised(text, group, name))  # noqa: B023 - called at once
    for file in FILES:
        found[file] = after(repo, copy / file, lambda text: text + "\n")
    return found


def after(repo: Repo, file: Path, change: Callable[[str], str]) -> list[str]:
    """What is out of date when this file is changed; it is changed back."""
    before = file.read_text(encoding="utf-8")
    file.write_text(change(before), encoding="utf-8")
    try:
        return outdated(repo)
    finally:
        file.write_text(before, encoding="utf-8")


def raised(text: str, group: str, name: str) -> str:
    known = yaml.safe_load(text)
    known[group][name] += 1
    return yaml.safe_dump(known)


def outdated(repo: Repo) -> list[str]:
    """Names of stages, without the path of dvc.yaml before them; data that is tracked for itself is no stage."""
    return sorted(name.rpartition(":")[2] for name in repo.status() if not name.endswith(".dvc"))


try:
    main()
except Exception as error:  # noqa: BLE001 - whatever DVC says about the learner's files is for the learner to read
    sys.exit(f"DVC cannot read the pipeline: {type(error).__name__}: {' '.join(str(error).split())[:250]}")
