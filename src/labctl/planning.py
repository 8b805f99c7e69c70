"""(Lab, learner, profile, layout, allocation) → Plan: everything a runtime needs, and nothing it has to look up. Pure."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from pydantic import TypeAdapter, ValidationError

from labctl.checks.base import RENDERED
from labctl.checks.kinds import Check
from labctl.errors import LabFileError, UsageError
from labctl.gpus.inventory import Allocation
from labctl.labs.lab import Lab
from labctl.labs.source import Loc
from labctl.labs.spec import Profile, Service
from labctl.labs.templates import BadTemplate, render
from labctl.names import secret, session_id
from labctl.plan import (
    MODELS_IN_CONTAINERS,
    CriterionPlan,
    EnvStep,
    Layout,
    ModelStep,
    Plan,
    ProfileName,
    ServicePlan,
    WorkspacePlan,
)

_CHECK: TypeAdapter[Check] = TypeAdapter(Check)


def plan(
    lab: Lab,
    *,
    learner: str,
    profile: ProfileName,
    layout: Layout,
    allocation: Allocation | None = None,
    cohort: str | None = None,
) -> Plan:
    """The plan. Raises UsageError when the lab has no such profile, LabFileError (file:line:column) for a bad template."""
    size = lab.spec.profiles.get(profile)
    if size is None:
        raise UsageError(f"{lab.id} has no profile {profile!r}", f"it has: {', '.join(lab.spec.profiles)}")
    session = session_id(lab.id, learner, cohort)
    models = {name: _model(lab, name, layout) for name in size.model_names}
    paths = {name: step.path if step else layout.local_models.get(name, name) for name, step in models.items()}
    model_path = paths[size.model] if size.model else None
    named = {name: paths[model] for name, model in size.models.items()}
    known = {"profile": profile, "model_path": model_path, "models": named, "learner": learner, "session": session}
    context = {**known, **_places(lab, layout), **_sizes(size, allocation)}
    try:
        services = _services(lab, profile, context, layout)
        workspace = _workspace(lab, context, layout)
        criteria = [_criterion(lab, index, context) for index in range(len(lab.spec.criteria))]
    except BadTemplate as error:
        raise _at_its_place(lab, error) from error
    built = [step for step in models.values() if step]
    envs = dict.fromkeys([workspace.env, *(service.env for service in services), *(model.env for model in built)])
    return Plan(
        session=session,
        lab=lab.id,
        title=lab.spec.title,
        lab_path=str(lab.path),
        lab_digest=lab.digest,
        learner=learner,
        cohort=cohort,
        profile=profile,
        memory_mib=size.memory,
        cpus=size.cpus,
        disk_mib=size.disk,
        egress=lab.spec.egress,
        model=size.model,
        model_path=model_path,
        named_models=named,
        hub_models={name: path for name, path in paths.items() if models[name] is None},
        gpu=size.gpu,
        allocation=allocation,
        workspace=workspace,
        envs=[EnvStep(name=env, lock=str(lab.env(env).lock), digest=lab.env(env).digest) for env in envs if env],
        models=built,
        services=services,
        criteria=criteria,
    )


def declared_layout(lab: Lab) -> Layout:
    """The layout inside containers: the ports the lab file declares, services under their own names."""
    ports = {
        (name, port): number for name, service in lab.spec.services.items() for port, number in service.ports.items()
    }
    return Layout(
        workspace="/workspace",
        lab="/lab",
        models=MODELS_IN_CONTAINERS,
        ports=ports,
        hosts={name: name for name in lab.spec.services},
        local_models={},
        listen="0.0.0.0",  # noqa: S104 - a container's own network
    )


def _sizes(size: Profile, allocation: Allocation | None) -> dict[str, Any]:
    """What templates may know of the profile. `gpu_fraction` is rounded down: shares must not add up to more than a GPU."""
    held = allocation.gpus if allocation else ()
    fraction = allocation.fraction if allocation else 1.0
    return {
        "model": size.model,
        "vars": dict(size.vars),
        "gpus": len(held),
        "gpu_fraction": math.floor(fraction * 10_000) / 10_000,
        "gpu_memory_mib": min((gpu.memory_mib or 0 for gpu in held), default=0),
    }


def _places(lab: Lab, layout: Layout) -> dict[str, Any]:
    """What templates may know of where things are."""
    return {
        "listen": layout.listen,
        "workspace": layout.workspace,
        "lab_path": layout.lab,
        "lab_folder": layout.folder or str(lab.path),
        "url": lambda service, port=None: _url(lab, layout, service, port),
    }


def _at_its_place(lab: Lab, error: BadTemplate) -> LabFileError:
    where = ".".join(map(str, error.loc))
    return LabFileError(f"{lab.source.at(error.loc)}: {where}: {error.why}", "mend it, then `labctl lab validate`")


def _model(lab: Lab, name: str, layout: Layout) -> ModelStep | None:
    """How to build the model; None for one of a model hub."""
    build = lab.model(name)
    if build is None:
        return None
    path = f"{layout.models}/{name}-{build.digest[:12]}"
    recipe = build.recipe
    return ModelStep(
        name=name,
        env=recipe.env,
        folder=str(build.folder),
        modules=[str(folder) for folder in build.modules],
        command=recipe.command,
        digest=build.digest,
        path=path,
    )


def _url(lab: Lab, layout: Layout, service: str, port: str | None) -> str:
    ports = lab.spec.services[service].ports if service in lab.spec.services else {}
    name = port or next(iter(ports), None)
    if name not in ports:
        raise ValueError(f"there is no port {port or ''} of a service {service!r}")
    return f"http://{layout.hosts[service]}:{layout.ports[service, name]}"


def _services(lab: Lab, profile: ProfileName, context: Mapping[str, Any], layout: Layout) -> list[ServicePlan]:
    return [
        _service(name, service, context, layout)
        for name, service in lab.spec.services.items()
        if not service.profiles or profile in service.profiles
    ]


def _service(name: str, service: Service, context: Mapping[str, Any], layout: Layout) -> ServicePlan:
    loc: Loc = ("services", name)
    ports = {port: layout.ports[name, port] for port in service.ports}

    def own_port(port: str) -> int:
        if port not in ports:
            raise ValueError(f"service {name!r} has no port {port!r}; it has {sorted(ports) or 'none'}")
        return ports[port]

    values = service.model_dump(exclude={"profiles", "depends_on", "ports"})
    values = render(values, {**context, "port": own_port, "secret": secret}, loc)
    values |= {
        "name": name,
        "env": values["env"] or None,
        "ports": ports,
        "depends_on": {key: d.model_dump() for key, d in service.depends_on.items()},
    }
    with _checked_again(loc):
        return ServicePlan.model_validate(
            {**values, "digest": _digest({key: each for key, each in values.items() if key != "replicas"})}
        )


def _workspace(lab: Lab, context: Mapping[str, Any], layout: Layout) -> WorkspacePlan:
    loc: Loc = ("workspace",)
    values = render(lab.spec.workspace.model_dump(), {**context, "secret": secret}, loc)
    with _checked_again(loc):
        return WorkspacePlan.model_validate(
            {**values, "path": layout.workspace, "source": layout.source, "env": values["env"] or None}
        )


@contextmanager
def _checked_again(loc: Loc) -> Iterator[None]:
    """What was a template is a value now, and may be wrong as one."""
    try:
        yield
    except ValidationError as error:
        first = error.errors()[0]
        raise BadTemplate(
            (*loc, *first["loc"]), f"filled in, it is wrong: {first['msg']}; seen {first['input']!r}"
        ) from error


def _criterion(lab: Lab, index: int, context: Mapping[str, Any]) -> CriterionPlan:
    criterion = lab.spec.criteria[index]
    loc: Loc = ("criteria", index)
    checks = []
    for number, check in enumerate(criterion.checks):
        values = check.model_dump(by_alias=True, exclude_unset=True, exclude={"kind"})
        values = render(values, context, (*loc, "checks", number, check.kind))
        with _checked_again((*loc, "checks", number)):
            checks.append(_CHECK.validate_python({"kind": check.kind, **values}, context=RENDERED))
    return CriterionPlan(
        id=criterion.id,
        source=criterion.source or "",
        text=str(render(criterion.text, context, (*loc, "text"))),
        points=criterion.points,
        hint=str(render(criterion.hint, context, (*loc, "hint"))),
        needs=criterion.needs,
        checks=checks,
    )


def _digest(values: Any) -> str:
    return hashlib.sha256(json.dumps(values, sort_keys=True, default=str).encode()).hexdigest()
