"""The cohort file: what it means, and its mistakes with their places."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import jsonschema
import pytest
import yaml

from labctl.cohorts.scaffold import scaffold
from labctl.cohorts.spec import Cohort, CohortFile, Gpu, Stagger, cohort_schema, load
from labctl.errors import LabFileError, UsageError
from labctl.gpus.need import Need, Sharing
from labctl.names import session_id

FULL = """\
name: autumn
title: LLM course
labs: [lab-a, lab-b]
roster: ../people.csv
runtime: docker
profile: gpu
window: {timezone: Europe/Berlin, opens: 2026-09-01 09:00, closes: 2026-09-30}
sessions: {initial: 10, reserved: 2, maximum: 40}
ttl: 4h
idle: 30m
limits: {sessions: 2, memory: 8GiB, cpus: 1.5, disk: 1GiB}
gpu: {sharing: timeslice}
overcommit: 2
stagger: {size: 10, every: 1m}
late: {days: 2, penalty_percent_per_day: 10}
attempts: last
instructors: [grace@example.org]
cost: {gpu_hour: 2.5, currency: EUR}
"""
LEAST = "labs: [lab-a]\nroster: roster.csv\n"


@pytest.fixture
def file(home: Path, write_lab: Callable[..., Path]) -> Callable[[str], CohortFile]:
    for id in ("lab-a", "lab-b"):
        write_lab(id)
    (home / "labs" / "courses.yaml").write_text("short: {title: Short, labs: [lab-b, {reads: [x]}, lab-a]}\n")
    folder = home / "Autumn 2026"
    folder.mkdir()

    def loaded(text: str) -> CohortFile:
        (folder / "cohort.yaml").write_text(text)
        return load(folder, [home / "labs"])

    return loaded


def test_every_field_is_read(file: Callable[[str], CohortFile], home: Path) -> None:
    cohort = file(FULL)
    spec = cohort.spec
    assert cohort.roster.resolve() == home / "people.csv"
    assert (spec.window.opens, spec.window.closes) == (
        datetime(2026, 9, 1, 9, tzinfo=ZoneInfo("Europe/Berlin")),
        datetime(2026, 10, 1, tzinfo=ZoneInfo("Europe/Berlin")),
    )
    assert (spec.ttl, spec.idle) == (4 * 3600.0, 1800.0)
    assert (spec.limits.memory, spec.limits.disk, spec.limits.sessions) == (8192, 1024, 2)
    assert [spec.stagger.delay_s(position) for position in (0, 9, 10, 25)] == [0, 0, 60, 120]
    assert (spec.late.days, spec.attempts, spec.cost and spec.cost.gpu_hour) == (2, "last", 2.5)
    assert (
        Cohort.model_validate(
            yaml.safe_load(FULL.replace("2026-09-01 09:00", "'2026-09-01 09:00'").replace("2026-09-30", "'2026-09-30'"))
        )
        == spec
    )


def test_labs_and_a_roster_are_enough(file: Callable[[str], CohortFile]) -> None:
    spec = file(LEAST).spec
    assert spec.name == "autumn-2026"
    assert (spec.runtime, spec.profile, spec.window.opens, spec.window.closes) == (None, None, None, None)
    assert (spec.ttl, spec.idle, spec.stagger, spec.attempts) == (8 * 3600.0, 3600.0, Stagger(every=0.0), "best")
    assert file(LEAST + "idle: never\nstagger: 5s\n").spec.idle is None
    assert file(LEAST + "stagger: 5s\n").spec.stagger == Stagger(every=5.0, size=1)


def test_pairs_are_everybodys_first_lab_then_everybodys_second(file: Callable[[str], CohortFile]) -> None:
    spec = file("course: short\nroster: r.csv\n").spec
    assert spec.labs == ["lab-b", "lab-a"]
    assert list(spec.pairs(["ada", "bob"])) == [("ada", "lab-b"), ("bob", "lab-b"), ("ada", "lab-a"), ("bob", "lab-a")]


def test_a_session_of_the_longest_name_is_a_dns_label(
    file: Callable[[str], CohortFile], write_lab: Callable[..., Path]
) -> None:
    lab, name = "l" * 23, "n" * 16
    write_lab(lab)
    spec = file(f"name: {name}\nlabs: [{lab}]\nroster: r.csv\n").spec
    assert len(session_id(lab, "a" * 20, spec.name)) == 63
    write_lab(f"{lab}l")
    with pytest.raises(LabFileError, match=r"cohort\.yaml:1:1: name: the cohort's name 'n+' is 1 characters too long"):
        file(f"name: {name}\nlabs: [{lab}l]\nroster: r.csv\n")


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-09-01T09:00+02:00", "2026-09-01T07:00:00+00:00"),
        ("2026-09-01 09:00", "2026-09-01T07:00:00+00:00"),
        ("2026-09-01", "2026-08-31T22:00:00+00:00"),
        ("2026-12-01 09:00:30", "2026-12-01T08:00:30+00:00"),
        ("2026-10-25 02:30", "2026-10-25T00:30:00+00:00"),  # twice on that day: the first
    ],
)
def test_times_are_those_of_the_zone(file: Callable[[str], CohortFile], text: str, moment: str) -> None:
    opens = file(LEAST + f"window: {{timezone: Europe/Berlin, opens: {text}}}\n").spec.window.opens
    assert opens is not None
    assert opens.astimezone(UTC).isoformat() == moment


@pytest.mark.parametrize(
    ("text", "where", "why"),
    [
        ("labs: [lab-x]\nroster: r\n", "1:8", "no lab named 'lab-x'; did you mean 'lab-"),
        ("course: shrt\nroster: r\n", "1:1", "course: no course named 'shrt'; courses: "),
        ("roster: r\n", "1:1", "give `labs: [id, …]` or `course: name`, and not both"),
        ("labs: [lab-a]\ncourse: short\nroster: r\n", "1:1", "and not both"),
        ("labs: [lab-a, lab-a]\nroster: r\n", "1:1", "the lab 'lab-a' is in it twice"),
        ("labs: [lab-a]\n", "1:1", "roster: is missing"),
        (LEAST + "sesions: {}\n", "3:1", "unknown key; did you mean 'sessions'?"),
        (LEAST + "sessions: {maxmum: 3}\n", "3:12", "unknown key; did you mean 'maximum'?"),
        (LEAST + "name: Autumn 2026\n", "3:1", "name: String should match pattern"),
        (
            LEAST + "window: {timezone: Europe/Berln}\n",
            "3:10",
            "'Europe/Berln' is no time zone; did you mean 'Europe/Berlin'?",
        ),
        (LEAST + "window: {timezone: ../../etc/passwd}\n", "3:10", "is no time zone"),
        (LEAST + "window: {timezone: Europe}\n", "3:10", "is no time zone"),
        (LEAST + "window: {opens: soon}\n", "3:10", "'soon' is no time; write it like 2026-09-01 09:00"),
        (LEAST + "window: {opens: 2026-13-01}\n", "3:10", "'2026-13-01' is no time"),
        (
            LEAST + "window: {timezone: Europe/Berlin, opens: 2026-03-29 02:30}\n",
            "3:35",
            "does not exist in Europe/Berlin",
        ),
        (LEAST + "window: {opens: 2026-09-03, closes: 2026-09-01}\n", "3:1", "before it opens"),
        (LEAST + "sessions: {reserved: 3, maximum: 3}\n", "3:1", "none is left for a learner"),
        (LEAST + "sessions: {initial: 3, reserved: 1, maximum: 3}\n", "3:1", "more than the maximum of 3"),
        (LEAST + "ttl: 5s\n", "3:1", "ttl: Input should be greater than or equal to 60"),
        (LEAST + "idle: 5s\n", "3:1", "5s is less than 1m"),
        (LEAST + "stagger: soon\n", "3:1", "'soon' is not a duration"),
        (LEAST + "overcommit: 0.5\n", "3:1", "greater than or equal to 1"),
        (LEAST + "late: {penalty_percent_per_day: 101}\n", "3:8", "less than or equal to 100"),
        (LEAST + "gpu: {sharing: slices}\n", "3:7", "gpu.sharing"),
        (LEAST + "cost: {gpu_hour: -1}\n", "3:8", "greater than or equal to 0"),
        ("[]\n", "1:1", "the file: Input should be a valid dictionary"),
        ("a: [\n", "2:1", "not YAML"),
    ],
)
def test_a_mistake_is_told_with_its_place(file: Callable[[str], CohortFile], text: str, where: str, why: str) -> None:
    with pytest.raises(LabFileError) as caught:
        file(text)
    lines = [line for line in caught.value.what.splitlines() if why in line]
    assert len(lines) == 1, caught.value.what
    assert f"cohort.yaml:{where}: " in lines[0]
    assert "docs/cohort-file.md" in caught.value.hint


def test_all_mistakes_are_told_at_once(file: Callable[[str], CohortFile]) -> None:
    with pytest.raises(LabFileError) as caught:
        file("labs: [lab-a]\nroter: r\nttl: soon\nattempts: first\n")
    assert [line.split(": ")[1] for line in caught.value.what.splitlines()] == ["roster", "roter", "ttl", "attempts"]


@pytest.mark.parametrize(
    ("wanted", "asked", "gets"),
    [
        (None, Need(memory_mib=8), "exclusive"),
        ("timeslice", Need(memory_mib=8), "timeslice"),
        ("timeslice", Need(memory_mib=8, isolation="hard"), "exclusive"),
        ("timeslice", Need(), "exclusive"),  # no memory is asked for: of what would it be a share?
        ("mig", Need(memory_mib=8, isolation="hard"), "mig"),
        ("mig", Need(memory_mib=8, count=2), "exclusive"),
        ("any", Need(memory_mib=8, isolation="soft"), "any"),
        ("exclusive", Need(memory_mib=8, sharing="any"), "exclusive"),
    ],
)
def test_sharing_takes_the_place_of_the_labs_where_it_can(wanted: Sharing | None, asked: Need, gets: Sharing) -> None:
    assert Gpu(sharing=wanted).need(asked).sharing == gets


def test_the_schema_accepts_what_the_models_do_and_refuses_what_they_do_not() -> None:
    schema = cohort_schema()
    validator = jsonschema.Draft202012Validator(schema)
    validator.check_schema(schema)
    texts = FULL.replace("2026-09-01 09:00", "'2026-09-01 09:00'").replace("2026-09-30", "'2026-09-30'")
    for good in (texts, LEAST, LEAST + "stagger: 5s\nidle: never\n", "course: path\nroster: r\n"):
        assert list(validator.iter_errors(yaml.safe_load(good))) == []
    for bad in (LEAST + "stager: 5s\n", "labs: [lab-a]\n", LEAST + "attempts: first\n", LEAST + "gpu: {sharing: x}\n"):
        assert list(validator.iter_errors(yaml.safe_load(bad)))
    assert json.dumps(schema).count("$ref") > 5


def test_what_the_scaffold_writes_works_and_is_never_written_over(home: Path) -> None:
    made = scaffold("spring", home)
    cohort = load(made)
    assert (cohort.spec.name, cohort.spec.title) == ("spring", "Spring")
    assert cohort.roster.is_file()
    before = cohort.path.read_text()
    with pytest.raises(UsageError, match="is there already"):
        scaffold("spring", home)
    assert cohort.path.read_text() == before
    uncommented = re.sub(r"^# (?=[a-z]+: )", "", before, flags=re.MULTILINE)
    (home / "other").mkdir()
    (home / "other" / "roster.csv").write_text("mine")
    with pytest.raises(UsageError, match=r"roster\.csv is there already"):
        scaffold("other", home)
    assert [entry.name for entry in (home / "other").iterdir()] == ["roster.csv"]
    (made / "cohort.yaml").write_text(uncommented)
    assert load(made).spec.late.days == 2  # what stands there as an example is right too


@pytest.mark.parametrize("name", ["Spring", "a b", "../x", "x" * 17, "", "-a", "a--b"])
def test_a_name_that_cannot_stand_in_sessions_is_refused(home: Path, name: str) -> None:
    with pytest.raises(UsageError, match="is no name of a cohort"):
        scaffold(name, home)
