"""A lab file with mistakes: all of them at once, each with its place and what would be accepted."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from labctl.errors import LabFileError, NotFoundError, UsageError
from labctl.labs import catalog
from labctl.labs.lab import load, load_folder
from labctl.planning import declared_layout, plan
from tests.conftest import LAB

WriteLab = Callable[..., Path]


def mistakes(folder: Path) -> list[str]:
    with pytest.raises(LabFileError) as caught:
        load_folder(folder)
    return caught.value.what.splitlines()


def test_a_good_lab_loads(write_lab: WriteLab) -> None:
    lab = load_folder(write_lab())
    assert lab.id == "small-lab"
    assert [criterion.points for criterion in lab.spec.criteria] == [3, 7]
    assert lab.spec.profiles["cpu"].memory == 64


def test_all_mistakes_are_reported_at_once_with_place_and_remedy(write_lab: WriteLab) -> None:
    text = (
        LAB.replace("stage: 1", "stage: 9").replace("memory: 64MiB", "memory: lots").replace("    ports:", "    port:")
    )
    text = (
        text.replace("- file: {path", "- flie: {path")
        .replace("points: 7", "points: -7")
        .replace("hint: write it", "hnt: write it")
    )
    lines = mistakes(write_lab(text=text))
    joined = "\n".join(lines)
    assert "lab.yaml:2:1: stage: Input should be less than or equal to 4; seen 9" in joined
    assert "'lots' is not a size; write it like 512MiB or 4GiB" in joined
    assert "services.page.port: unknown key; did you mean 'ports'?" in joined
    assert "no check kind 'flie'; did you mean 'file'?" in joined
    assert "criteria.1.points: Input should be greater than or equal to 1; seen -7" in joined
    assert "criteria.0.hnt: unknown key; did you mean 'hint'?" in joined
    assert "criteria.0.hint: is missing" in joined
    assert len(lines) == 7
    assert [int(line.split("lab.yaml:")[1].split(":")[0]) for line in lines] == sorted(
        int(line.split("lab.yaml:")[1].split(":")[0]) for line in lines
    )


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("needs: [written]", "needs: [writen]", "needs 'writen', which is no criterion"),
        ("needs: [written]", "needs: [served]", "criteria.needs goes round in a circle"),
        ("id: served", "id: written", "the criterion id 'written' is given twice"),
        ("service: page", "service: pages", "names service 'pages'"),
        ("    owner: learner", "    depends_on: {nobody: {}}", "depends_on names 'nobody', which is no service"),
        ("    owner: learner", "    env: nothing-such", "no environment named 'nothing-such'"),
        ("    owner: learner", "    healthcheck: {http: /, port: grpc}", "the healthcheck's port must be one of ports"),
        ("    owner: learner", "    healthcheck: {http: /, tcp: true}", "give exactly one of http, tcp or command"),
        ("stage: 1", "stage: one", "seen 'one'"),
        ("id: written", "id: Not An Id", "String should match pattern"),
        ("title: A small lab", "title: ''", "at least 1 character"),
    ],
)
def test_what_does_not_fit_together_is_refused(write_lab: WriteLab, old: str, new: str, why: str) -> None:
    assert old in LAB
    assert why in "\n".join(mistakes(write_lab(text=LAB.replace(old, new))))


@pytest.mark.parametrize("place", ["../outside", "/etc/passwd", "a/../../b"])
def test_paths_that_leave_the_workspace_are_refused(write_lab: WriteLab, place: str) -> None:
    lines = mistakes(write_lab(text=LAB.replace("path: answer.txt", f"path: {place}")))
    assert any(place in line for line in lines)


@pytest.mark.parametrize(
    "template",
    [
        "{{ ''.__class__.__mro__ }}",
        "{{ undefined_name }}",
        "{{ vars.nothing }}",
        "{% for x in range(10) %}x{% endfor %}",
        "{{ port('nothing') }}",
        "{{ url('nobody') }}",
        "{{ 1 / 0 }}",
        "{{ unclosed",
    ],
)
def test_a_bad_template_is_refused_with_its_place(write_lab: WriteLab, template: str) -> None:
    lab = load_folder(write_lab(text=LAB.replace("\"{{ port('http') }}\"", f'"{template}"')))
    with pytest.raises(LabFileError, match=r"lab.yaml:8:41: services.page.command.3: "):
        plan(lab, learner="ada", profile="cpu", layout=declared_layout(lab))


def test_an_unknown_profile_names_those_there_are(write_lab: WriteLab) -> None:
    lab = load_folder(write_lab())
    with pytest.raises(UsageError) as caught:
        plan(lab, learner="ada", profile="gpu", layout=declared_layout(lab))
    assert caught.value.hint == "it has: cpu"


def test_an_unknown_lab_gets_the_nearest_name(home: Path, write_lab: WriteLab) -> None:
    write_lab("stage9-something")
    with pytest.raises(NotFoundError) as caught:
        load("stage9-somthing", [home / "labs"])
    assert "did you mean stage9-something?" in caught.value.hint


def test_a_folder_whose_name_is_no_id_is_refused(write_lab: WriteLab) -> None:
    with pytest.raises(LabFileError, match="is no lab id"):
        load_folder(write_lab("Not_An_Id"))


def test_a_broken_lab_is_listed_with_its_problem(home: Path, write_lab: WriteLab) -> None:
    write_lab("broken-lab", text="a: [")
    write_lab("good-lab")
    rows = {row.id: row for row in catalog.summaries([home / "labs"])}
    assert rows["good-lab"].problem is None
    assert "not YAML" in str(rows["broken-lab"].problem)


def test_own_labs_come_before_built_in_ones(home: Path, write_lab: WriteLab) -> None:
    folder = write_lab("stage2-finetune")
    assert catalog.find("stage2-finetune", [home / "labs"]) == folder


def test_the_digest_changes_with_any_file_and_with_nothing_else(write_lab: WriteLab) -> None:
    folder = write_lab()
    before = load_folder(folder).digest
    (folder / "__pycache__").mkdir()
    (folder / "__pycache__" / "x.pyc").write_text("cache")
    assert load_folder(folder).digest == before
    (folder / "workspace" / "readme.txt").write_text("changed")
    assert load_folder(folder).digest != before


def test_a_model_is_what_its_recipe_and_the_modules_of_that_say(write_lab: WriteLab) -> None:
    lab = load_folder(write_lab("demo"))
    models = lab.path.parent / "models"
    for folder in ("toy", "common"):
        (models / folder).mkdir(parents=True)
    (models / "common/shared.py").write_text("WORD = 1\n")
    (models / "toy/model.yaml").write_text(
        "description: a toy\nenv: web\ncommand: [python, make.py]\nmodules: [common]\n"
    )
    model = lab.model("toy")
    assert model is not None
    assert model.modules == (models / "common",)
    before = model.digest
    (models / "common/shared.py").write_text("WORD = 2\n")
    assert model.digest != before
    (models / "toy/model.yaml").write_text(
        "description: a toy\nenv: web\ncommand: [python, make.py]\nmodules: [no-such]\n"
    )
    with pytest.raises(LabFileError, match=r"model.yaml:4:11: modules\[0\]: there is no folder .*no-such"):
        lab.model("toy")


def test_a_warm_cache_says_the_same_and_an_edit_is_seen(home: Path, write_lab: WriteLab) -> None:
    folder, cache = write_lab(), home / "cache" / "labs.json"
    first = catalog.summaries([home / "labs"], cache=cache)
    assert cache.is_file()
    assert catalog.summaries([home / "labs"], cache=cache) == first == catalog.summaries([home / "labs"])
    (folder / "lab.yaml").write_text(LAB.replace("A small lab", "Another title"))
    assert {row.title for row in catalog.summaries([home / "labs"], cache=cache)} >= {"Another title"}


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"version": 1, "labs": [["x", {}]]}', '{"version": 0}', "\x00"])
def test_a_damaged_cache_is_only_a_cache(home: Path, write_lab: WriteLab, damage: str) -> None:
    write_lab()
    cache = home / "labs.json"
    cache.write_text(damage)
    assert "small-lab" in {row.id for row in catalog.summaries([home / "labs"], cache=cache)}
