"""The versions of the data: right in content, kept by DVC and not by git, and a pipeline that runs what has changed."""

from __future__ import annotations

import csv
import hashlib
import io
import re
from collections.abc import Callable, Mapping
from typing import Any

DATA = "data/tickets.csv"
TAGS = ("data-v1", "data-v2")
WANTED = {
    "report.confusions": {"report"},
    "train.epochs": {"train"},
    "train.seed": {"train"},
    "data/tickets.csv": {"train"},
    "data/heldout.csv": {"train"},
    "training.py": {"train"},
    "train.py": {"train"},
    "report.py": {"report"},
}
"""What has to run first after each change; what depends on it follows from its outputs."""


def test_git_holds_no_data(git: Callable[..., str]) -> None:
    assert git("rev-parse", "HEAD"), "the workspace is no git repository with a commit"
    commits = git("rev-list", "--all", "--", DATA).split()
    assert not commits, f"{DATA} itself is in the git history ({commits[-1][:10]}); git is to hold {DATA}.dvc only"


def test_second_version_is_right(workspace: Any, office: Any, parameters: Mapping[str, Any], first_md5: str) -> None:
    data = workspace.read_bytes(DATA)
    assert md5(data) != first_md5, f"{DATA} is the first version"
    wanted = [(row["id"], row["text"], row["team"]) for row in office.second_version(parameters["session"])]
    found = rows(data)
    assert not (twice := repeated(office, found)), f"{DATA} still has the text of ticket {twice} more than once"
    ids = {number for number, _, _ in found}
    lost = [row for row in wanted if row[0] not in ids]
    assert not lost, f"{DATA} lacks {len(lost)} tickets, for example {lost[0][0]}"
    too_many = ids - {row[0] for row in wanted}
    assert not too_many, f"{DATA} has {len(too_many)} tickets too many, for example {min(too_many, key=int)}"
    known = {row[0]: row for row in wanted}
    other = [row for row in found if row != known[row[0]]]
    assert not other, f"{len(other)} tickets have another team or text than wanted, for example {other[0][0]}"
    assert found == wanted, f"the tickets of {DATA} are not in the order of their ids"


def rows(data: bytes) -> list[tuple[str, str, str]]:
    try:
        found = list(csv.DictReader(io.StringIO(data.decode("utf-8"), newline="")))
    except (UnicodeDecodeError, csv.Error):
        found = []
    whole = [row for row in found if all(isinstance(row.get(name), str) for name in ("id", "text", "team"))]
    assert 0 < len(whole) == len(found), f"{DATA} is no CSV file with the columns id, text and team"
    return [(row["id"], row["text"], row["team"]) for row in whole]


def repeated(office: Any, found: list[tuple[str, str, str]]) -> str | None:
    seen: set[str] = set()
    for number, text, _ in found:
        if office.same(text) in seen:
            return number
        seen.add(office.same(text))
    return None


def test_both_versions_can_be_restored(
    workspace: Any, git: Callable[..., str], office: Any, parameters: Mapping[str, Any], first_md5: str
) -> None:
    """For somebody who has the repository and the remote, and nothing else."""
    first, second = (stored(workspace, git, tag) for tag in TAGS)
    assert md5(first) == first_md5, "what data-v1 names is not the tickets that you began with"
    assert md5(second) != first_md5, "data-v1 and data-v2 name the same version of the data"
    wanted = [(row["id"], row["text"], row["team"]) for row in office.second_version(parameters["session"])]
    assert rows(second) == wanted, "what data-v2 names is not the second version as step 3 makes it"


def stored(workspace: Any, git: Callable[..., str], tag: str) -> bytes:
    """What the remote holds for this tag."""
    assert git("rev-parse", "--verify", "--quiet", f"refs/tags/{tag}"), f"git has no tag {tag}"
    pointer = git("cat-file", "blob", f"{tag}:{DATA}.dvc")
    found = re.search(r"^\s*-?\s*md5:\s*([0-9a-f]{32})\s*$", pointer, re.MULTILINE)
    assert found, f"at {tag} git has no {DATA}.dvc that names a version"
    version = found[1]
    kept = workspace.find(f"storage/files/md5/{version[:2]}/{version[2:]}")
    assert kept, f"the remote has not got what {tag} names ({version[:10]}…): `dvc push`"
    data: bytes = workspace.read_bytes(kept[0].path)
    assert md5(data) == version, f"what the remote has for {tag} is damaged"
    return data


def md5(data: bytes) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


def test_pipeline_runs_what_changed(drive: Callable[..., Any]) -> None:
    outdated = drive("pipeline.py", None)
    assert not outdated[""], f"out of date now: {', '.join(outdated[''])}; `dvc repro` brings the pipeline up to date"
    for change, stages in WANTED.items():
        found = set(outdated[change])
        assert found == stages, (
            f"after a change of {change} DVC would run {', '.join(sorted(found)) or 'nothing'}; wanted {', '.join(stages)} first"
        )
