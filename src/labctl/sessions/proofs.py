"""What `lab test` has proved on this machine: a small file a lab, runtime and profile, with the hash of all that the proof hangs on."""

from __future__ import annotations

import hashlib
import json
import platform
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import cast

from labctl import __version__
from labctl.disk import read_json, write_atomically
from labctl.images.names import builtin_folder as images_folder
from labctl.labs.digest import folder_digest
from labctl.labs.lab import Lab
from labctl.plan import ProfileName
from labctl.planning import declared_layout, plan
from labctl.sessions.context import Context
from labctl.store.records import iso, moment


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A lab with the runtime and the profile that it is proved on; `profile` None leaves the choice to `up`."""

    lab: Lab
    runtime: str
    profile: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """A lab whose every round went as it must: what it hung on, when that was, in which profile, and how long it took."""

    digest: str
    at: datetime
    profile: str
    rounds: int
    wall_s: float


def subject(ctx: Context, lab: Lab, runtime: str | None, profile: str | None) -> Subject:
    """What `up` would take for what was left open."""
    return Subject(lab=lab, runtime=runtime or ctx.settings.runtime, profile=profile or ctx.settings.profile)


def last(ctx: Context, lab: str, runtime: str, profile: str | None) -> Proof | None:
    """The last proof of the lab with this id, whether it still holds or not; None when there is none, or it cannot be read."""
    values = read_json(_file(ctx, lab, runtime, profile))
    try:
        return replace(Proof(**values), at=moment(values["at"]))
    except (KeyError, TypeError, ValueError):
        return None


def holds(ctx: Context, what: Subject) -> Proof | None:
    """The last proof, when nothing that it hangs on has changed since. Raises LabFileError.

    One in the cpu profile, to which the choice fell because the GPUs were in use, says nothing of the other.
    """
    proof = last(ctx, what.lab.id, what.runtime, what.profile)
    if proof is None or proof.digest != digest(ctx, what):
        return None
    fell_back = what.profile is None and proof.profile == "cpu" and "gpu" in what.lab.spec.profiles
    return None if fell_back and _gpus(ctx, what) else proof


def keep(ctx: Context, what: Subject, digest: str, *, profile: str, rounds: int, wall_s: float) -> None:
    """Remember that the lab was proved in `profile`, as it was when `digest` was taken."""
    proof = Proof(digest=digest, at=ctx.now(), profile=profile, rounds=rounds, wall_s=round(wall_s, 1))
    file = _file(ctx, what.lab.id, what.runtime, what.profile)
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    write_atomically(file, json.dumps({**asdict(proof), "at": iso(proof.at)}))


def digest(ctx: Context, what: Subject) -> str:
    """One hash of the lab, its environments and models, labctl itself, Python, runtime, profile and what these depend on.

    Raises LabFileError for a lab file that is wrong.
    """
    parts = [what.lab.digest, *_labctl(), platform.python_version(), platform.machine(), *_runtime(ctx, what)]
    profiles = [what.profile] if what.profile else sorted(what.lab.spec.profiles)
    for profile in profiles:
        parts += [profile, *_made(what.lab, profile)]
    if "gpu" in profiles:
        parts += _gpus(ctx, what)
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def _made(lab: Lab, profile: str) -> Iterator[str]:
    """What is made for the lab before it runs."""
    made = plan(lab, learner="learner", profile=cast("ProfileName", profile), layout=declared_layout(lab))
    yield from (f"env {env.name} {env.digest}" for env in made.envs)
    yield from (f"model {model.name} {model.digest}" for model in made.models)


def _gpus(ctx: Context, what: Subject) -> list[str]:
    return sorted(gpu.uuid for gpu in ctx.runtime(what.runtime).gpus().gpus)


def _labctl() -> Iterator[str]:
    """labctl's own sources, without the labs and images that travel inside a wheel."""
    package = Path(sys.modules["labctl"].__path__[0])
    yield __version__
    for place in sorted(package.iterdir()):
        if place.is_dir() and place.name not in ("_data", "__pycache__"):
            yield f"{place.name} {folder_digest(place)}"
        elif place.suffix == ".py":
            yield f"{place.name} {hashlib.sha256(place.read_bytes()).hexdigest()}"


def _runtime(ctx: Context, what: Subject) -> Iterator[str]:
    chosen = ctx.settings
    yield from (what.runtime, str(chosen.models))
    if what.runtime != "local":
        yield from map(str, (chosen.base_image, chosen.registry, folder_digest(images_folder())))


def _file(ctx: Context, lab: str, runtime: str, profile: str | None) -> Path:
    return ctx.settings.home / "proofs" / f"{lab}--{runtime}--{profile or 'any'}.json"
