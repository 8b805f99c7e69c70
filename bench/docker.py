"""The benchmarks of the docker runtime. They need a Docker engine with the image of LABCTL_BASE_IMAGE on it."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import docker

from bench.bare import AT_ONCE, Bare
from bench.compose import Compose
from bench.labs import write_containers_lab
from bench.measure import LABCTL, PYTHON, environment, medians, once
from labctl import settings as settings_of
from labctl.runtimes import table
from labctl.sessions.context import Context
from labctl.sessions.up import UpRequest, up
from labctl.store.store import Store

IMAGE = os.environ.get("LABCTL_BASE_IMAGE", "labctl-base:bookworm")
SESSIONS = 20
ROUNDS = 3
CHAIN = ("db", "api", "web")
CHAIN_ROUNDS = 5


def sessions(folder: Path) -> dict[str, Any]:  # noqa: ARG001 - measured together with the ends
    """Aim: at most 1.3 times the engine's bare API that makes the same networks and containers."""
    return {"sessions": SESSIONS, "at_once": AT_ONCE, **_rounds()["up"]}


def down(folder: Path) -> dict[str, Any]:  # noqa: ARG001 - measured together with the beginnings
    """Aim: at most as long as `docker-compose down`, and 1.3 times the bare API."""
    many = {f"sessions_{name}": value for name, value in _rounds()["down"].items()}
    return {"sessions": SESSIONS, **many, **_chain()["down"]}


def services(folder: Path) -> dict[str, Any]:  # noqa: ARG001 - measured together with the ends
    """Aim: not longer than docker-compose with what `labctl render --format compose` writes."""
    return _chain()["up"]


def up_again(folder: Path) -> dict[str, Any]:
    """Aim: under 1 s."""
    env, lab = _home(folder, "page")
    floor = [PYTHON, "-c", "import docker"]
    once([LABCTL, "up", lab], env)
    try:
        seconds = medians({"floor": floor, "up_again": [LABCTL, "up", lab]}, env)
    finally:
        once([LABCTL, "down", lab], env)
    return {
        "floor_s": seconds["floor"],
        "up_again_s": seconds["up_again"],
        "ratio": round(seconds["up_again"] / seconds["floor"], 2),
    }


def engine() -> dict[str, Any]:
    """What there is to know of the engine that the figures are of; empty when none answers."""
    try:
        info = docker.from_env().info()
    except docker.errors.DockerException:
        return {}
    return {"version": info["ServerVersion"], "cores": info["NCPU"], "storage": info["Driver"]}


@cache
def _rounds() -> dict[str, dict[str, Any]]:
    """`up` and `down` of 20 sessions by labctl and by the bare API, in turns."""
    with TemporaryDirectory(prefix="labctl-bench-docker-") as name:
        env, lab = _home(Path(name), "page")
        once([LABCTL, "up", lab], env)
        bare = Bare(f"{lab}--bench")
        once([LABCTL, "down", lab], env)
        taken: dict[str, list[float]] = {key: [] for key in ("up", "bare_up", "processes", "down", "bare_down")}
        try:
            for _ in range(ROUNDS):
                _round(env, lab, bare, taken)
            taken["processes"].append(_in_processes(env, lab))
        finally:
            once([LABCTL, "down", "--all"], env)
            bare.down()
    seconds = {key: _median(values) for key, values in taken.items()}
    return {
        "up": _against("bare", seconds["up"], seconds["bare_up"]) | {"processes_s": seconds["processes"]},
        "down": _against("bare", seconds["down"], seconds["bare_down"]),
    }


def _round(env: Mapping[str, str], lab: str, bare: Bare, taken: dict[str, list[float]]) -> None:
    taken["up"].append(_in_one_process(env, lab))
    taken["down"].append(once([LABCTL, "down", "--all"], env))
    taken["bare_up"].append(bare.up(SESSIONS))
    taken["bare_down"].append(bare.down())


def _in_one_process(env: Mapping[str, str], lab: str) -> float:
    """Seconds for all sessions through `labctl.sessions`, by as many threads as the bare API has."""
    chosen = settings_of.load(env)
    runtime = table.get("docker", chosen)
    ctx = Context(settings=chosen, store=Store(chosen), runtime=lambda _name: runtime, now=lambda: datetime.now(UTC))

    def one(number: int) -> None:
        up(ctx, UpRequest(lab=lab, learner=f"learner{number}"), lambda _step: None)

    begun = time.perf_counter()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(one, range(SESSIONS)))
    return time.perf_counter() - begun


def _in_processes(env: Mapping[str, str], lab: str) -> float:
    begun = time.perf_counter()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        commands = [[LABCTL, "up", lab, "--learner", f"learner{number}"] for number in range(SESSIONS)]
        list(pool.map(lambda command: once(command, env), commands))
    return time.perf_counter() - begun


@cache
def _chain() -> dict[str, dict[str, Any]]:
    """`up` and `down` of three services in a row by labctl and by docker-compose, in turns; whole processes.

    The rendered file asks for health once a second at most. `quick` is the same file asking as often as labctl does.
    """
    taken: dict[str, list[float]] = {
        f"{who}{what}": [] for what in ("up", "down") for who in ("", "compose_", "quick_")
    }
    with TemporaryDirectory(prefix="labctl-bench-docker-") as name:
        env, lab = _home(Path(name), *CHAIN)
        peers = {
            "compose_": Compose(Path(name) / "compose", lab, CHAIN[-1], env, interval=None),
            "quick_": Compose(Path(name) / "quick", lab, CHAIN[-1], env, interval="250ms"),
        }
        try:
            for turn in range(CHAIN_ROUNDS + 1):
                seconds = {"up": once([LABCTL, "up", lab], env), "down": once([LABCTL, "down", lab], env)}
                for who, peer in peers.items():
                    seconds |= {f"{who}up": peer.up(), f"{who}down": peer.down()}
                for key, value in seconds.items() if turn else ():
                    taken[key].append(value)
        finally:
            once([LABCTL, "down", "--all"], env)
            for peer in peers.values():
                peer.down()
    return {what: _chain_figures(taken, what) for what in ("up", "down")}


def _chain_figures(taken: Mapping[str, list[float]], what: str) -> dict[str, Any]:
    mine, compose, quick = (_median(taken[f"{who}{what}"]) for who in ("", "compose_", "quick_"))
    figures = {"services": len(CHAIN), **_against("compose", mine, compose)}
    return figures | {"quick_compose_s": quick, "quick_ratio": round(mine / quick, 2)} if what == "up" else figures


def _home(folder: Path, *services: str) -> tuple[dict[str, str], str]:
    """The environment of a labctl on Docker below `folder`, and its lab of these services."""
    lab = write_containers_lab(folder / "labs", "bench", IMAGE, services)
    more = {"LABCTL_LABS": str(folder / "labs"), "LABCTL_RUNTIME": "docker", "LABCTL_BASE_IMAGE": IMAGE}
    return environment(folder, **more), lab


def _against(peer: str, mine: float, other: float) -> dict[str, Any]:
    return {"labctl_s": mine, f"{peer}_s": other, "ratio": round(mine / other, 2)}


def _median(values: Sequence[float]) -> float:
    return round(statistics.median(values), 3)
