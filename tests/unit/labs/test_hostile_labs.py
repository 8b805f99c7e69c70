"""Lab files with numbers, names and files that nothing downstream could bear: refused in words, never an exception, never a hang."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from labctl.errors import LabctlError, LabFileError
from labctl.labs import catalog
from labctl.labs.digest import folder_digest
from labctl.labs.lab import load_folder
from labctl.labs.source import read_source
from labctl.labs.spec import is_id
from labctl.planning import declared_layout, plan
from labctl.sessions.lint import problems
from tests.conftest import LAB

WriteLab = Callable[..., Path]


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("    owner: learner", f"    stop_grace_period: 1{'0' * 400}", "must fit into 64 bits"),
        ("    owner: learner", "    stop_grace_period: 1e400", "is not a duration"),
        ("    owner: learner", "    stop_grace_period: .inf", "is not a duration"),
        ("    owner: learner", "    stop_grace_period: 31d", "is more than 30d"),
        ("    owner: learner", f"    stop_grace_period: {'9' * 400}s", "is not a duration"),
        ("    owner: learner", f"    stop_grace_period: '{'1' * 200_000}'", "is not a duration"),
        ("memory: 64MiB", f"memory: {'9' * 400}GiB", "is not a size"),
        ("memory: 64MiB", "memory: 9999999999999TiB", "is more than 1024TiB"),
        ("memory: 64MiB", "memory: 99999999999999", "is not a size"),
        ("points: 7", f"points: {'9' * 5000}", "cannot be read"),
        ("points: 7", f"points: 0x{'f' * 5000}", "must fit into 64 bits"),
        ("points: 7", f"points: {'9' * 400}", "must fit into 64 bits"),
        ("points: 7", f"points: {'59:' * 400}1.5", "cannot be read"),
        ("points: 7", "points: !!int ''", "cannot be read"),
        ("points: 7", "points: !!bool maybe", "cannot be read"),
        ('contains: "yes"', f"ge: {'9' * 400}", "must fit into 64 bits"),
        ("title: A small lab", 'title: "a\\0b"', "title: a text must not hold the character NUL"),
        ("[python3, -m", '["pyth\\0on3", -m', "services.page: command: a text must not hold the character NUL"),
        ("path: answer.txt", 'path: "a\\0b"', "leads out of the workspace"),
        ("    owner: learner", '    environment: {A: "\\0"}', "NUL"),
        ("    owner: learner", '    environment: {"A=B": c}', "String should match pattern"),
        ("    owner: learner", '    environment: {"A\\n": c}', "String should match pattern"),
        ("services:", 'workspace: {environment: {"A=B": c}}\nservices:', "String should match pattern"),
        ("services:", 'workspace: {environment: {"A\\n": c}}\nservices:', "String should match pattern"),
        ("  page:", '  "page\\n":', "String should match pattern"),
        ("id: served", 'id: "served\\n"', "String should match pattern"),
        ("{memory: 64MiB", '{model: "tiny\\n", memory: 64MiB', "String should match pattern"),
        ("    owner: learner", "    env: ../../evil", "is no name of an environment"),
        ("services:", "workspace: {env: ../../evil}\nservices:", "is no name of an environment"),
        ("{memory: 64MiB", "{gpu: {partition: hard}, memory: 64MiB", "unknown key"),
    ],
    ids=lambda text: text[:30],
)
def test_what_cannot_be_borne_is_refused(write_lab: WriteLab, old: str, new: str, why: str) -> None:
    assert old in LAB
    with pytest.raises(LabFileError) as caught:
        load_folder(write_lab(text=LAB.replace(old, new)))
    assert why in caught.value.what
    assert "lab.yaml:" in caught.value.what


@pytest.mark.parametrize("text", ["page\n", "page-", "-page", "", "Page", "a" * 41])
def test_an_id_is_exactly_one(text: str) -> None:
    assert not is_id(text)


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("    owner: learner", "    env: \"{{ '../../evil' }}\"", "services.page.env: filled in, it is wrong"),
        ("services:", "workspace: {env: \"{{ '../../evil' }}\"}\nservices:", "workspace.env: filled in, it is wrong"),
        ("    owner: learner", "    environment: {A: \"{{ '\\\\0' }}\"}", "NUL"),
        ("path: answer.txt", "path: \"{{ '../secret' }}\"", "criteria.0.checks.0.file.path: filled in, it is wrong"),
    ],
    ids=lambda text: text[:30],
)
def test_what_a_template_becomes_is_checked_again(write_lab: WriteLab, old: str, new: str, why: str) -> None:
    lab = load_folder(write_lab(text=LAB.replace(old, new)))
    with pytest.raises(LabFileError) as caught:
        plan(lab, learner="ada", profile="cpu", layout=declared_layout(lab))
    assert why in caught.value.what
    assert "lab.yaml:" in caught.value.what


def test_an_environment_outside_its_folder_is_not_found(write_lab: WriteLab) -> None:
    folder = write_lab()
    (folder.parent / "evil.txt").write_text("pip\n")
    (folder.parent / "envs").mkdir()
    with pytest.raises(LabFileError, match="no environment named"):
        load_folder(folder).env("../evil")


def test_a_fifo_is_no_lab_file_and_is_not_waited_for(home: Path, write_lab: WriteLab) -> None:
    folder = home / "labs" / "pipe-lab"
    folder.mkdir(parents=True)
    os.mkfifo(folder / "lab.yaml")
    with pytest.raises(LabFileError, match="no regular file"):
        read_source(folder / "lab.yaml")
    with pytest.raises(LabFileError, match="no regular file"):
        read_source(Path("/dev/zero"))
    rows = {row.id: row for row in catalog.summaries([home / "labs"])}
    assert "no regular file" in str(rows["pipe-lab"].problem)


def test_a_fifo_and_a_name_that_is_not_utf8_do_not_stop_the_digest(write_lab: WriteLab) -> None:
    folder = write_lab()
    before = folder_digest(folder)
    os.mkfifo(folder / "workspace" / "pipe")
    assert folder_digest(folder) == before
    Path(os.fsdecode(os.fsencode(folder / "workspace") + b"/caf\xe9")).write_text("x")
    assert folder_digest(folder) != before


def test_validate_finds_what_checks_rely_on_and_the_lab_does_not_have(write_lab: WriteLab) -> None:
    text = LAB.replace(
        "- http: {service: page, path: /}",
        "- http: {service: page, port: grpc, path: /}\n"
        "      - pytest: {file: checks/test_none.py}\n"
        "      - http: {service: quiet, path: /}",
    ).replace("criteria:", "  quiet: {command: [sleep, '9']}\ncriteria:")
    found = "\n".join(problems(write_lab(text=text)))
    assert "lab.yaml:25:31: criteria.1.checks.0.http.port: the service has no port 'grpc'; it has http" in found
    assert "criteria.1.checks.1.pytest.file: there is no file 'checks/test_none.py'" in found
    assert "criteria.1.checks.2.http.service: the service has no ports" in found


def test_validate_finds_what_is_not_utf8(write_lab: WriteLab) -> None:
    folder = write_lab()
    (folder / "README.md").write_bytes(b"# caf\xe9\n")
    (folder / "solution").mkdir()
    Path(os.fsdecode(os.fsencode(folder / "solution") + b"/caf\xe9")).write_text("x")
    found = "\n".join(problems(folder))
    assert "README.md: not UTF-8 text (byte 5)" in found
    assert "solution/caf\\xe9: the name is not UTF-8" in found


def test_a_folder_one_stands_in_does_not_shadow_a_built_in_lab(
    home: Path, write_lab: WriteLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = write_lab("stage2-finetune")
    extra = write_lab("my-own-lab")
    monkeypatch.chdir(home / "labs")
    assert catalog.find("stage2-finetune") == catalog.builtin_folder() / "stage2-finetune"
    assert catalog.find("my-own-lab") == extra
    assert catalog.find("stage2-finetune", [home / "labs"]) == own


def test_a_current_folder_that_was_removed_is_only_left_out(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = home / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    assert catalog.search_path() == [catalog.builtin_folder()]
    assert catalog.summaries()
    with pytest.raises(LabctlError, match=r"no lab.yaml in \./nothing"):
        catalog.find("./nothing")
