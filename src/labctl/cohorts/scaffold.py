"""`cohort new`: a cohort file that works, and a list of people, to start from."""

from __future__ import annotations

import contextlib
import re
from pathlib import Path

from labctl.cohorts.spec import COHORT_FILE, MAX_NAME_CHARS
from labctl.errors import UsageError
from labctl.labs.spec import ID_PATTERN

ROSTER_FILE = "roster.csv"
_COHORT = """\
# A class: who gets which labs, where, when, and how much of the machine. docs/cohort-file.md describes every field;
# `labctl cohort plan {name}` reports mistakes with line and column, and says how many fit at once.
name: {name}
title: {title}

# Labs in the order in which they are done; or `course: path` for all labs of a course (`labctl list --course path`).
labs: [stage1-inference-api]

# One person a line. Lists exported from Moodle, Canvas or Blackboard are understood as they are.
roster: roster.csv

# runtime: docker             # local, docker or kubernetes; LABCTL_RUNTIME when left out
# profile: cpu                # cpu or gpu, the same for everybody
# window: {{timezone: Europe/Berlin, opens: 2026-09-01 09:00, closes: 2026-09-30}}
# sessions: {{reserved: 2, maximum: 40}}
# ttl: 8h                     # how long a session lives
# idle: 1h                    # after so long without use its GPUs go back; never keeps them
# limits: {{sessions: 1, memory: 8GiB, cpus: 2, disk: 1GiB}}   # of one learner
# gpu: {{sharing: timeslice}}   # exclusive, mig, mps, timeslice or any; as the labs say when left out
# overcommit: 4               # so often is each CPU core promised
# stagger: 5s                 # between one start and the next; or {{size: 10, every: 1m}}
# late: {{days: 2, penalty_percent_per_day: 10}}
# attempts: best              # or last
# instructors: [teacher@example.org]
# cost: {{gpu_hour: 2.5, currency: EUR}}
"""
_ROSTER = """\
Name,Email,ID
Ada Lovelace,ada@example.org,1001
Grace Hopper,grace@example.org,1002
"""


def scaffold(name: str, folder: Path) -> Path:
    """Write `name`/cohort.yaml and roster.csv below `folder`; the new folder.

    Raises UsageError for a bad name, and when either file is there already: then nothing is written.
    """
    if not re.fullmatch(ID_PATTERN, name) or len(name) > MAX_NAME_CHARS:
        raise UsageError(
            f"{name!r} is no name of a cohort",
            f"use lower-case words joined by single dashes, at most {MAX_NAME_CHARS} characters, for example autumn-2026",
        )
    place = folder.absolute() / name
    texts = {COHORT_FILE: _COHORT.format(name=name, title=name.replace("-", " ").capitalize()), ROSTER_FILE: _ROSTER}
    for file in texts:
        if (place / file).exists():
            raise UsageError(f"{place / file} is there already", "choose another name, or remove it first")
    place.mkdir(parents=True, exist_ok=True)
    written: list[Path] = []
    try:
        for file, text in texts.items():
            with (place / file).open("x", encoding="utf-8") as stream:
                written.append(place / file)
                stream.write(text)
    except FileExistsError as error:  # somebody else was quicker
        _remove(written)
        raise UsageError(f"{error.filename} is there already", "choose another name, or remove it first") from error
    except OSError:
        _remove(written)
        raise
    return place


def _remove(files: list[Path]) -> None:
    for file in files:
        with contextlib.suppress(OSError):
            file.unlink()
