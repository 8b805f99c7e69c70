"""The board's matrix: server time for a class of 50 and of 500 with a lab of 30 criteria, on SQLite, without a network.

The application is asked in this process, as uvicorn asks it. `first_paint` is the whole page, `update` what somebody gets
after one learner's report, `update_all` after one of every tenth learner's; `idle` a look at which nothing has changed; `cold`
the first look of a board that has just started. Reports have a message for each criterion, as real ones have.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
from fastapi import APIRouter, Request

from labctl import settings
from labctl.hub.board.actions import Actions
from labctl.hub.board.app import create_app
from labctl.hub.board.base import Board
from labctl.hub.board.guard import Pace
from labctl.hub.board.room import Room, open_room
from labctl.hub.board.viewer import Viewer
from labctl.hub.board.watch import Watch
from labctl.outcomes import CheckResult, CriterionResult, Outcome, Report
from labctl.sessions.context import Context
from labctl.store.records import Session, SessionState, iso
from labctl.store.store import Store

CRITERIA = 30
SIZES = (50, 500)
TURNS = 40
COLD_TURNS = 5
REPORTS_EACH = 2
NOW = datetime(2026, 9, 1, 12, 0, tzinfo=UTC)


class Teacher:
    """Everybody who comes is the instructor."""

    async def of_page(self, _request: Request) -> Viewer:
        return Viewer(name="teacher", instructor=True)

    async def of_token(self, _token: str) -> Viewer:
        return Viewer(name="teacher", instructor=True)

    def start(self, back: str) -> str:
        return back

    def routes(self) -> APIRouter:
        return APIRouter()


def board(folder: Path) -> dict[str, Any]:
    """Milliseconds, medians and 95th percentiles, of each size, and how they grow."""
    sizes = {str(size): asyncio.run(_measured(folder / str(size), size)) for size in SIZES}
    small, large = (sizes[str(size)] for size in SIZES)
    measured = ("cold", "first_paint", "update_all")
    growth = {name: round(large[name]["median_ms"] / small[name]["median_ms"], 2) for name in measured}
    return {"criteria": CRITERIA, "learners": sizes, "growth_50_to_500": growth}


async def _measured(folder: Path, learners: int) -> dict[str, Any]:
    room = _room(folder, learners)
    found = Board(
        room=room,
        watch=Watch(room=room),
        actions=Actions(room),
        login=Teacher(),
        secret=b"bench",
        pages=Pace(10**9, 1.0),
    )
    transport = httpx.ASGITransport(create_app(found))
    async with httpx.AsyncClient(transport=transport, base_url="http://bench") as client:
        colds: list[float] = []
        for _ in range(COLD_TURNS):
            began = time.perf_counter()
            Watch(room=room).look()
            colds.append((time.perf_counter() - began) * 1000)
        page = await client.get("/class")
        assert page.text.count("<tr id=") == learners, page.text[:500]
        assert page.text.count('<td class="m ') == learners * CRITERIA
        version = f"{found.run}.{found.watch.look().version}"

        async def paint() -> None:
            await client.get("/class")

        async def idle() -> None:
            answer = await client.get(f"/rows?since={version}")
            assert not answer.json()["rows"]

        async def update(changed: int, score: int) -> None:
            since = f"{found.run}.{found.watch.look().version}"
            for number in range(changed):
                room.ctx.store.add_report(_report(f"s{number * 10}", score))
            began = time.perf_counter()
            answer = await client.get(f"/rows?since={since}")
            times.append((time.perf_counter() - began) * 1000)
            assert answer.json()["rows"].count("<tr id=") == changed

        answer: dict[str, Any] = {"page_kib": len(page.content) // 1024, "cold": _figures(colds)}
        answer["idle"] = await _times(idle)
        answer["first_paint"] = await _times(paint)
        for name, changed in (("update", 1), ("update_all", learners // 10)):
            times: list[float] = []
            for turn in range(TURNS // 2):
                await update(changed, turn % CRITERIA)
            answer[name] = _figures(times)
    return answer


async def _times(ask: Callable[[], Awaitable[None]]) -> dict[str, float]:
    times = []
    for _ in range(TURNS):
        began = time.perf_counter()
        await ask()
        times.append((time.perf_counter() - began) * 1000)
    return _figures(times)


def _figures(times: list[float]) -> dict[str, float]:
    p95 = statistics.quantiles(times, n=20, method="inclusive")[-1] if len(times) > 1 else times[0]
    return {"median_ms": round(statistics.median(times), 2), "p95_ms": round(p95, 2)}


def _room(folder: Path, learners: int) -> Room:
    lab = folder / "labs" / "bench-lab"
    (lab / "workspace").mkdir(parents=True)
    (lab / "workspace" / "a.txt").write_text("a")
    criteria = "".join(
        f"  - {{id: step-{n}, text: step {n} is done as it should be, points: 5, hint: look, "
        f"checks: [{{file: {{path: a.txt}}}}]}}\n"
        for n in range(CRITERIA)
    )
    head = "title: A lab\nstage: 1\nminutes: 60\nprofiles:\n  cpu: {memory: 64MiB}\ncriteria:\n"
    (lab / "lab.yaml").write_text(head + criteria)
    (folder / "roster.csv").write_text("Name,ID\n" + "".join(f"Learner {n},s{n}\n" for n in range(learners)))
    (folder / "cohort.yaml").write_text("name: bench\nlabs: [bench-lab]\nroster: roster.csv\nruntime: local\n")
    chosen = settings.load(
        {"LABCTL_HOME": str(folder / "home"), "LABCTL_LABS": str(folder / "labs"), "HOME": str(folder)}
    )
    store = Store(chosen)
    for number in range(learners):
        store.put(_session(lab, f"s{number}"))
        for turn in range(REPORTS_EACH):
            store.add_report(_report(f"s{number}", (number + turn) % CRITERIA))
    return open_room(Context(settings=chosen, store=store, runtime=_no_runtime, now=lambda: NOW), folder)


def _no_runtime(name: str) -> Any:
    raise NotImplementedError(name)


def _session(lab: Path, learner: str) -> Session:
    return Session(
        id=f"bench-lab--bench--{learner}",
        lab="bench-lab",
        lab_path=str(lab),
        learner=learner,
        runtime="local",
        profile="cpu",
        state=SessionState.RUNNING,
        workspace=f"/home/{learner}/lab",
        created_at=NOW - timedelta(minutes=10),
        cohort="bench",
        expires_at=NOW + timedelta(hours=8),
    )


def _report(learner: str, passed: int) -> Report:
    def criterion(number: int) -> CriterionResult:
        good = number < passed
        outcome = Outcome.PASS if good else Outcome.FAIL
        check = CheckResult(kind="file", outcome=outcome, message=f"step {number}: what was found " * 4, expected="yes")
        return CriterionResult(
            id=f"step-{number}",
            source="",
            text=f"step {number} is done as it should be",
            points=5,
            earned=5 * good,
            outcome=outcome,
            hint="look",
            checks=(check,),
        )

    return Report(
        lab="bench-lab",
        session=f"bench-lab--bench--{learner}",
        learner=learner,
        runtime="local",
        profile="cpu",
        trust="self",
        started_at=iso(NOW),
        duration_s=1.0,
        criteria=tuple(map(criterion, range(CRITERIA))),
    )
