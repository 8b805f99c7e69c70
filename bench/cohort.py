"""A class of 40 on one Docker host, from plan to down, against the engine's bare API and against the checks alone."""

from __future__ import annotations

import csv
import json
import os
import statistics
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from bench.bare import AT_ONCE, Bare
from bench.docker import IMAGE
from bench.measure import LABCTL, environment, once, peak_mib
from labctl import settings as settings_of
from labctl.cohorts import classroom, roster, spec
from labctl.cohorts.roster import Person
from labctl.cohorts.seat import seats as seats_of
from labctl.runtimes import table
from labctl.sessions.context import Context
from labctl.sessions.verify import current_plan
from labctl.store.records import Session
from labctl.store.store import Store

LEARNERS = 40
CHECKS = 10
DILIGENT = 3
"""So many learners do the lab."""
RESERVED = 10
CHECKS_AT_ONCE = 8
"""Of one session, as in labctl.grading."""
_ANSWER_AFTER_S = 0.2
_SERVER = (
    "import http.server as h, time\n"
    "class Page(h.SimpleHTTPRequestHandler):\n"
    "    def log_message(self, *_): pass\n"
    "    def do_GET(self):\n"
    f"        time.sleep({_ANSWER_AFTER_S} * (self.path != '/'))\n"
    "        self.send_response(200); self.end_headers(); self.wfile.write(b'hello')\n"
    "h.ThreadingHTTPServer(('0.0.0.0', 8000), Page).serve_forever()\n"
)


def cohort(folder: Path) -> dict[str, Any]:
    """Aims: up within 1.3 times the bare API, verify within 1.3 times the checks alone, at most 250 MiB for `cohort up`."""
    env = _home(folder)
    place = _class(folder, reserved=0)
    figures: dict[str, Any] = {"learners": LEARNERS, "at_once": AT_ONCE, "plan_s": _seconds("plan", place, env)}
    once([LABCTL, "up", "bench", "--learner", "pattern"], env)
    bare = Bare("bench--pattern")
    once([LABCTL, "down", "--all"], env)
    begun = time.perf_counter()
    figures["up_peak_mib"] = peak_mib([LABCTL, "cohort", "up", str(place)], env)
    figures["up_s"] = round(time.perf_counter() - begun, 2)
    figures["up_again_s"] = _seconds("up", place, env)
    try:
        figures |= _lessons(folder, place, env)
    finally:
        figures["down_s"] = _seconds("down", place, env)
    figures["bare_up_s"], figures["bare_down_s"] = round(bare.up(LEARNERS), 2), round(bare.down(), 2)
    figures["up_ratio"] = round(figures["up_s"] / figures["bare_up_s"], 2)
    return figures


def claim(folder: Path) -> dict[str, Any]:
    """Aim: a reserved session is somebody's within 100 ms."""
    env = _home(folder)
    place = _class(folder, reserved=RESERVED)
    once([LABCTL, "cohort", "up", str(place)], env)
    try:
        ctx = _context(env)
        found = spec.load(place, ctx.settings.labs).spec
        people = [Person(id=f"late-{number}", name=f"Late {number}") for number in range(RESERVED)]
        taken = [_milliseconds(partial(classroom.claim, ctx, found, seat)) for seat in seats_of(found, people)]
    finally:
        once([LABCTL, "cohort", "down", str(place)], env)
    return {"claims": RESERVED, "median_ms": round(statistics.median(taken), 1), "most_ms": round(max(taken), 1)}


def _lessons(folder: Path, place: Path, env: Mapping[str, str]) -> dict[str, Any]:
    """Three do the lab, all are judged, the grades are exported; and what the checks alone take."""
    ctx = _context(env)
    sessions = [session for session in ctx.store.sessions(live=True) if session.cohort]
    assert len(sessions) == LEARNERS, sessions
    for session in sessions[:DILIGENT]:
        (Path(session.workspace) / "done.txt").write_text("done\n")
    begun = time.perf_counter()
    once([LABCTL, "cohort", "verify", str(place), "--json"], env)
    seconds = round(time.perf_counter() - begun, 2)
    alone = round(_checks_alone(ctx, sessions), 2)
    grades = folder / "grades.csv"
    export = _seconds("export", place, env, "-o", str(grades))
    with grades.open(encoding="utf-8-sig") as file:
        rows = list(csv.DictReader(file))
    return {
        "verify_s": seconds,
        "checks_alone_s": alone,
        "verify_ratio": round(seconds / alone, 2),
        "export_s": export,
        "rows": len(rows),
        "passed": sum(row["mean %"] == "100" for row in rows),
    }


def _checks_alone(ctx: Context, sessions: Sequence[Session]) -> float:
    """Seconds for every check of every session, as many at once as `cohort verify` has, without anything around them."""
    runtime = ctx.runtime("docker")
    work = [(current_plan(session, runtime), runtime.target(session.handle)) for session in sessions]
    begun = time.perf_counter()
    with ThreadPoolExecutor(max(2, os.cpu_count() or 1)) as pool:
        list(pool.map(_checks_of, work))
    return time.perf_counter() - begun


def _checks_of(work: tuple[Any, Any]) -> None:
    plan, target = work
    checks = [check for criterion in plan.criteria for check in criterion.checks]
    with ThreadPoolExecutor(CHECKS_AT_ONCE) as pool:
        list(pool.map(lambda check: check.run(target), checks))


def _milliseconds(work: Any) -> float:
    begun = time.perf_counter()
    assert work(), "nothing was reserved"
    return (time.perf_counter() - begun) * 1000


def _seconds(verb: str, place: Path, env: Mapping[str, str], *more: str) -> float:
    return round(once([LABCTL, "cohort", verb, str(place), *more], env), 2)


def _context(env: Mapping[str, str]) -> Context:
    chosen = settings_of.load(env)
    runtime = table.get("docker", chosen)
    return Context(settings=chosen, store=Store(chosen), runtime=lambda _name: runtime, now=lambda: datetime.now(UTC))


def _home(folder: Path) -> dict[str, str]:
    """The environment of a labctl on Docker below `folder`, with a lab of ten checks that wait for an answer."""
    place = folder / "labs" / "bench"
    (place / "workspace").mkdir(parents=True)
    (place / "workspace" / "readme.txt").write_text("hello\n")
    criteria = [
        {
            "id": f"c{number}",
            "text": "The page answers",
            "points": 1,
            "hint": "It does",
            "checks": [{"http": {"service": "page", "path": f"/{number}"}}],
        }
        for number in range(CHECKS)
    ]
    done = {
        "id": "done",
        "text": "It is done",
        "points": 1,
        "hint": "Do it",
        "checks": [{"file": {"path": "done.txt"}}],
    }
    service = {
        "image": IMAGE,
        "command": ["python3", "-S", "-c", _SERVER],
        "ports": {"http": 8000},
        "healthcheck": {"http": "/"},
    }
    lab = {
        "title": "Bench",
        "stage": 1,
        "minutes": 5,
        "profiles": {"cpu": {"memory": "64MiB", "disk": "1MiB"}},
        "services": {"page": service},
        "criteria": [*criteria, done],
    }
    (place / "lab.yaml").write_text(json.dumps(lab))
    more = {"LABCTL_LABS": str(folder / "labs"), "LABCTL_RUNTIME": "docker", "LABCTL_BASE_IMAGE": IMAGE}
    return environment(folder, **more)


def _class(folder: Path, *, reserved: int) -> Path:
    place = folder / "bench-class"
    place.mkdir()
    people = 1 if reserved else LEARNERS
    file = {"labs": ["bench"], "roster": "roster.csv", "runtime": "docker", "sessions": {"reserved": reserved}}
    (place / "cohort.yaml").write_text(json.dumps(file | {"overcommit": 100}))
    (place / "roster.csv").write_text("Name,ID\n" + "".join(f"Learner {one},l{one}\n" for one in range(people)))
    assert roster.read(place / "roster.csv").people
    return place
