"""`render`: what would run as a plain file, for tools that know nothing of labctl."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer
import yaml

from labctl.cli import screen
from labctl.cli.options import LabArgument, LearnerOption, ProfileOption
from labctl.disk import write_atomically
from labctl.errors import PreflightError, UsageError

if TYPE_CHECKING:
    from labctl.labs.lab import Lab
    from labctl.plan import Plan, ProfileName
    from labctl.runtimes.docker.parts import Host
    from labctl.settings import Settings

_SAFE_PLAIN = re.compile(r"(?:--?|\./)?[A-Za-z/][A-Za-z0-9 _./:,=-]*")
"""What is the same text to YAML 1.1 and 1.2; between them numbers, times and booleans are not."""
_WIDTH = 10_000


def render(
    lab: LabArgument,
    format: Annotated[
        str, typer.Option("--format", "-f", metavar="plan|compose|kubernetes", help="What is written.")
    ] = "plan",
    profile: ProfileOption = None,
    learner: LearnerOption = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write it to a file.")] = None,
) -> None:
    """Write what would run as a plain file; starts nothing."""
    from labctl.cli.context import context, learner_of
    from labctl.labs.lab import load

    if format not in FORMATS:
        raise UsageError(f"--format: {format!r} is no format", f"use one of: {', '.join(FORMATS)}")
    ctx = context()
    found = load(lab, ctx.settings.labs)
    size = profile or ctx.settings.profile or next(iter(found.spec.profiles))
    text = FORMATS[format](found, learner_of(ctx, learner), cast("ProfileName", size), ctx.settings)
    if output is None:
        screen.answer(text)
        return
    _write(output, text)
    screen.hint(f"written to {output}")


def plan_json(lab: Lab, learner: str, profile: ProfileName, settings: Settings) -> str:  # noqa: ARG001 - one of FORMATS
    """The plan as JSON."""
    from labctl.planning import declared_layout, plan

    made = plan(lab, learner=learner, profile=profile, layout=declared_layout(lab))
    return made.model_dump_json(by_alias=True, indent=2)


def compose_yaml(lab: Lab, learner: str, profile: ProfileName, settings: Settings) -> str:
    """A Compose file, with what to do first as comments at its head."""
    from labctl.names import session_id
    from labctl.planning import plan
    from labctl.runtimes.docker.compose import any_gpus, compose, planned_host
    from labctl.runtimes.table import get

    layout = get("docker", settings).layout(lab, session_id(lab.id, learner), Path("workspace"))
    size = lab.spec.profiles.get(profile)
    gpus = any_gpus(size.gpu if size else None)
    made = plan(lab, learner=learner, profile=profile, layout=layout, allocation=gpus)
    host = planned_host(made, settings, os.cpu_count() or 1)
    return "\n".join([*_head(made, host), "", to_yaml(compose(made, host))])


def kubernetes_yaml(lab: Lab, learner: str, profile: ProfileName, settings: Settings) -> str:
    """Manifests for `kubectl apply --server-side`, with what to do as comments at their head."""
    from labctl.cli.kubernetes_file import document

    return document(lab, learner, profile, settings, to_yaml)


def to_yaml(value: Any) -> str:
    """YAML that every version and reader of it takes for the same values."""
    return yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=_WIDTH)


FORMATS: dict[str, Callable[[Lab, str, ProfileName, Settings], str]] = {
    "plan": plan_json,
    "compose": compose_yaml,
    "kubernetes": kubernetes_yaml,
}


class _Dumper(yaml.SafeDumper):
    """Text of several lines as a block, lists indented, nothing by reference."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 - PyYAML's
        return True

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # noqa: ARG002 - PyYAML's
        super().increase_indent(flow, indentless=False)


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text else None if _SAFE_PLAIN.fullmatch(text) else "'"
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _text)


def _head(plan: Plan, host: Host) -> list[str]:
    """What the file is, and what to type, as comments."""
    has_jobs = bool(plan.models) or any(service.is_awaited(plan.services) for service in plan.services)
    lines = [
        plan.title,
        f"The lab {plan.lab}, profile {plan.profile}, as containers that run without labctl. Made by `labctl render`.",
        "",
        "Once, beside this file:",
        *(f"  {line}" for line in _preparation(plan, host)),
        "Then:",
        # --wait takes the end of a job for a failure
        f"  docker compose up -d{'' if has_jobs else ' --wait'}  # or docker-compose up -d, from 1.29 on",
        "  docker compose down -v  # the workspace stays",
        *_ports(plan, host),
        *_warnings(plan),
    ]
    return [f"# {_one_line(line)}".rstrip() for line in lines]


def _preparation(plan: Plan, host: Host) -> list[str]:
    from labctl.images.names import PREFIX, is_ours
    from labctl.runtimes.docker.compose import secrets

    ours = [image.removeprefix(PREFIX) for image in host.images if is_ours(image)]
    starter = Path(plan.lab_path, "workspace")
    return [
        *([f"labctl image build {' '.join(ours)} --profile {plan.profile}"] if ours else []),
        f"mkdir -p workspace{' models' if plan.models else ''}",
        *([f"cp -rn {shlex.quote(str(starter))}/. workspace/"] if starter.is_dir() else []),
        "echo LABCTL_UID=$(id -u) > .env; echo LABCTL_GID=$(id -g) >> .env  # whom the files in workspace belong to",
        *(f"echo {name}=$(openssl rand -hex 24) >> .env" for name in secrets(plan, host)),
    ]


def _ports(plan: Plan, host: Host) -> list[str]:
    from labctl.runtimes.docker.compose import variables

    rows = [
        f"  127.0.0.1:{number:<6} {route.service} {route.port}; {name}=… in .env takes another port"
        for route, name, number in variables(plan, host)
    ]
    return ["It answers on:", *rows] if rows else []


def _warnings(plan: Plan) -> list[str]:
    absent = [] if plan.egress else plan.absent_models
    return [
        line
        for name in absent
        for line in (
            f"The model {name} is not on the host where this was rendered, and the lab's network leads to no hub:",
            f"  render it again with LABCTL_MODELS=/a/folder that holds {name}",
        )
    ]


def _one_line(text: str) -> str:
    """A comment ends with its line, and a title may be anything."""
    return "".join(char if char.isprintable() else " " for char in text)


def _write(output: Path, text: str) -> None:
    """To a file that is whole at every moment; straight into what is no file, such as a pipe. Raises UsageError, PreflightError."""
    text = text if text.endswith("\n") else f"{text}\n"
    file = output.resolve()
    if file.is_dir():
        raise UsageError(f"--output: {output} is a folder", "give the name of a file in it")
    if not file.parent.is_dir():
        raise UsageError(f"--output: {file.parent} is no folder", "make it first, or choose another place")
    try:
        if file.exists() and not file.is_file():
            file.write_text(text, encoding="utf-8")
        else:
            write_atomically(file, text)
    except OSError as error:
        raise PreflightError(
            f"{output} cannot be written: {error.strerror}", "choose another place: -o FILE"
        ) from error
