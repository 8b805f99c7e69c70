"""The lab file as models. Field names are Compose's where Compose has the thing."""

from __future__ import annotations

import re
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import PurePosixPath
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema, model_validator

from labctl.checks.base import END, Duration, EnvironmentName, Model, NonEmpty
from labctl.checks.kinds import Check
from labctl.gpus.need import GIVES, MEANS, Isolation, Sharing, modes
from labctl.units import parse_size_mib

ID_PATTERN = r"^[a-z][a-z0-9]*(-[a-z0-9]+)*" + END


def _stays_inside(text: str) -> str:
    path = PurePosixPath(text)
    if path.is_absolute() or ".." in path.parts or "\\" in text or "\0" in text:
        raise ValueError(f"{text!r} leads out of its folder; give a relative path without '..'")
    return text


def _id_or_template(text: str) -> str:
    if "{{" not in text and not is_id(text):
        raise ValueError(f"{text!r} is no name of an environment; use lower-case words joined by single dashes")
    return text


Id = Annotated[str, Field(pattern=ID_PATTERN, max_length=40)]
EnvName = Annotated[str, AfterValidator(_id_or_template)]
Environment = dict[EnvironmentName, str]
RelativePath = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_stays_inside)]
SizeMib = Annotated[
    int,
    BeforeValidator(parse_size_mib),
    WithJsonSchema({"anyOf": [{"type": "string", "examples": ["512MiB", "4GiB"]}, {"type": "integer", "minimum": 0}]}),
]


def _absolute(text: str) -> str:
    path = PurePosixPath(text)
    if not path.is_absolute() or ".." in path.parts or ":" in text or str(path) == "/":
        raise ValueError(f"{text!r} is no folder in a container; give an absolute path such as /var/lib/grafana")
    return str(path)


ContainerPath = Annotated[str, Field(max_length=200), AfterValidator(_absolute)]
RESERVED_SERVICES = ("workspace", "ingress")
"""What the container runtimes name parts of their own."""


class GpuNeed(Model):
    """What the gpu profile asks of each GPU."""

    count: int = Field(default=1, ge=1, le=16)
    memory: SizeMib = 0
    """Free memory each GPU must have."""
    compute_capability: str | None = Field(default=None, pattern=r"^(>=|==)?\d+\.\d+" + END)
    """For example ">=8.0"."""
    sharing: Sharing = "exclusive"
    """`any` takes whatever gives the isolation that is insisted on."""
    isolation: Isolation = "none"
    """What must be kept apart from others on the GPU: `hard` memory and faults, `soft` memory, `none` nothing."""

    @model_validator(mode="after")
    def _can_be_met(self) -> GpuNeed:
        if not modes(self.sharing, self.isolation):
            gives = "; ".join(f"{mode} gives {GIVES[mode]} ({MEANS[mode]})" for mode in GIVES)
            raise ValueError(f"sharing {self.sharing!r} cannot give isolation {self.isolation!r}: {gives}")
        if self.sharing == "mig" and self.count > 1:
            raise ValueError("a CUDA program can use one MIG slice only; ask for `count: 1`, or for another sharing")
        if self.sharing in ("mps", "timeslice") and not self.memory:
            raise ValueError(f"sharing {self.sharing!r} gives a share of a GPU's memory; say how much: `memory: 12GiB`")
        return self


ModelName = Annotated[str, Field(max_length=200, pattern=r"^[A-Za-z0-9][A-Za-z0-9._/-]*" + END)]
Name = Annotated[str, Field(max_length=40, pattern=r"^[a-z_][a-z0-9_]*" + END)]
"""What a template may call something."""


class Profile(Model):
    """One size of the lab."""

    model: ModelName | None = None
    """A model of labs/models/, or a model hub's id."""
    models: dict[Name, ModelName] = {}
    """More of them, each under the name that templates use: `models.reranker`."""
    memory: SizeMib = 1024
    """Main memory for everything that runs; in containers also the most that each one may take."""
    cpus: float = Field(default=2.0, gt=0, le=1024)
    """CPU cores that each container may use."""
    disk: SizeMib = 1024
    """Free disk the first `up` needs: environments, models, outputs."""
    gpu: GpuNeed | None = None
    vars: dict[Name, str | int | float | bool] = {}
    """Values for templates, as `vars.name`."""

    @property
    def model_names(self) -> tuple[str, ...]:
        """Every model of this profile once, the main one first."""
        return tuple(dict.fromkeys([*([self.model] if self.model else []), *self.models.values()]))


class Workspace(Model):
    """Where the learner works."""

    image: str | None = None
    """The image containers use, for example docker/trainer. One that listens on 8888 (JupyterLab) is opened in the browser."""
    env: EnvName | None = None
    """The Python environment of labs/envs/ that commands in the workspace use."""
    environment: Environment = {}


class Healthcheck(Model):
    """When a service is ready: exactly one of `http`, `tcp` or `command`."""

    http: Annotated[str, Field(pattern=r"^/")] | None = None
    """A path that must answer with a status below 400."""
    tcp: bool = False
    """The port accepts connections."""
    command: list[NonEmpty] | None = None
    """A command, run in the service's environment, that must exit with 0."""
    port: str | None = None
    """Which port `http` and `tcp` mean; the first one when left out."""
    timeout: Duration = 60.0
    """How long the service may take to become healthy."""
    interval: Duration = 0.25
    """Time between two looks."""

    @model_validator(mode="after")
    def _one_kind(self) -> Healthcheck:
        if sum([self.http is not None, self.tcp, self.command is not None]) != 1:
            raise ValueError("give exactly one of http, tcp or command")
        return self


class Dependency(Model):
    """What must be true of another service before this one starts."""

    condition: Literal["service_started", "service_healthy", "service_completed_successfully"] = "service_healthy"


def _conditions(value: Any) -> Any:
    return {name: {} for name in value} if isinstance(value, list) else value


class Service(Model):
    """Something that runs as long as the session does."""

    image: str | None = None
    env: EnvName | None = None
    """The Python environment of labs/envs/ whose commands come first on PATH."""
    command: list[NonEmpty] = []
    """What runs. Left out, a container runs its image's own command; a plain process cannot do without."""
    environment: Environment = {}
    ports: dict[Id, Annotated[int, Field(ge=1, le=65535)]] = {}
    """Name to the port inside a container; as a plain process a free port stands in for it."""
    healthcheck: Healthcheck | None = None
    depends_on: Annotated[dict[Id, Dependency], BeforeValidator(_conditions)] = {}
    owner: Literal["lab", "learner"] = "lab"
    """learner: this runs the learner's own code, so when it does not answer that is a failure, not an error of the lab."""
    restart: Literal["no", "on-failure", "always"] = "on-failure"
    stop_grace_period: Duration = 10.0
    working_dir: ContainerPath | None = None
    """Where its command runs in a container. Left out, that is the workspace, and for the image's own command the image's choice."""
    mem_limit: SizeMib | None = None
    """The most memory its container may take; the profile's memory when left out."""
    gpu: bool = True
    """Whether it gets the session's GPUs in the gpu profile; false for what only watches, as Prometheus does."""
    tmpfs: list[ContainerPath] = []
    """Folders that its container may write besides the workspace, /tmp and its home; empty at each start."""
    replicas: int = Field(default=1, ge=1, le=16)
    """How many of it run at a time on Kubernetes, behind one name, changed one after the other; elsewhere one runs."""
    profiles: list[Literal["cpu", "gpu"]] = []
    """Only in these profiles; in all when left out."""

    @model_validator(mode="after")
    def _replicas_answer(self) -> Service:
        if self.replicas > 1 and self.restart == "no":
            raise ValueError("replicas: what is meant to end (restart: no) runs once; leave replicas out")
        if self.replicas > 1 and (not self.ports or self.healthcheck is None):
            raise ValueError("replicas: give ports and a healthcheck, which tells who of them may be asked")
        return self

    @model_validator(mode="after")
    def _something_runs(self) -> Service:
        if not self.command and not self.image:
            raise ValueError("give a command, an image, or both")
        return self

    @model_validator(mode="after")
    def _probe_has_a_port(self) -> Service:
        probe = self.healthcheck
        if probe is None or probe.command is not None:
            return self
        if not self.ports or (probe.port or next(iter(self.ports))) not in self.ports:
            raise ValueError(f"the healthcheck's port must be one of ports: {sorted(self.ports) or 'none are given'}")
        return self


class Criterion(Model):
    """One line of acceptance."""

    id: Id
    source: str | None = Field(default=None, max_length=20)
    """The row of the curriculum it proves, for example 2.2a."""
    text: NonEmpty
    points: int = Field(ge=1, le=1000)
    hint: NonEmpty
    """What to look at when it does not pass; it does not give the answer away."""
    needs: list[Id] = []
    """Criteria that must pass first; otherwise this one is skipped."""
    checks: Annotated[list[Check], Field(min_length=1)]


class Read(Model):
    """Something worth reading."""

    title: NonEmpty
    url: Annotated[str, Field(pattern=r"^https?://")]


class Proving(Model):
    """How `labctl lab test` proves the lab."""

    keep_services: bool = False
    """Whether starter, solution and mutants share one session: only its workspace is laid out anew between them.
    True where that brings the lab back to its start, so where no service keeps what a learner sent it. The solution is
    always judged once more in a session of its own."""


class LabSpec(Model):
    """What a lab.yaml holds."""

    title: NonEmpty
    stage: int = Field(ge=0, le=4)
    minutes: int = Field(ge=1, le=10_000)
    summary: str = ""
    objectives: list[NonEmpty] = []
    reads: list[Read] = []
    egress: bool = False
    """Whether services may reach the internet where the runtime can forbid it."""
    profiles: Annotated[dict[Literal["cpu", "gpu"], Profile], Field(min_length=1)]
    workspace: Workspace = Workspace()
    services: dict[Id, Service] = {}
    criteria: Annotated[list[Criterion], Field(min_length=1)]
    test: Proving = Proving()

    @model_validator(mode="after")
    def _references_exist(self) -> LabSpec:
        problems = [
            *_reserved(self),
            *_unknown_dependencies(self),
            *_replicated_jobs(self),
            *_unknown_needs(self),
            *_unknown_services(self),
            *_cycles(self),
        ]
        if problems:
            raise ValueError("; ".join(problems))
        return self


def _reserved(lab: LabSpec) -> list[str]:
    return [
        f"services.{name}: this name is taken by labctl; choose another"
        for name in RESERVED_SERVICES
        if name in lab.services
    ]


def _unknown_dependencies(lab: LabSpec) -> list[str]:
    return [
        f"services.{name}.depends_on names {other!r}, which is no service"
        for name, service in lab.services.items()
        for other in service.depends_on
        if other not in lab.services
    ]


def _replicated_jobs(lab: LabSpec) -> list[str]:
    return [
        f"services.{other}.replicas is {lab.services[other].replicas}, but {name} waits for it to end: leave replicas out"
        for name, service in lab.services.items()
        for other, need in service.depends_on.items()
        if need.condition == "service_completed_successfully"
        and other in lab.services
        and lab.services[other].replicas > 1
    ]


def _unknown_needs(lab: LabSpec) -> list[str]:
    ids = [criterion.id for criterion in lab.criteria]
    twice = [f"the criterion id {id!r} is given twice" for id in sorted({id for id in ids if ids.count(id) > 1})]
    return twice + [
        f"criterion {criterion.id!r} needs {other!r}, which is no criterion"
        for criterion in lab.criteria
        for other in criterion.needs
        if other not in ids
    ]


def _unknown_services(lab: LabSpec) -> list[str]:
    return [
        f"a check of criterion {criterion.id!r} names service {service!r}; the lab has {sorted(lab.services) or 'none'}"
        for criterion in lab.criteria
        for service in _services_named(criterion.checks)
        if "{{" not in service and service not in lab.services
    ]


def _services_named(value: Any) -> Iterator[str]:
    """What checks name as `service`: they themselves, what is in them, and the checks within a check."""
    if isinstance(value, Model):
        service = getattr(value, "service", None)
        if isinstance(service, str):
            yield service
        for _, field in value:
            yield from _services_named(field)
    elif isinstance(value, list):
        for item in value:
            yield from _services_named(item)


def _cycles(lab: LabSpec) -> list[str]:
    graphs = {
        "services.depends_on": {name: set(service.depends_on) for name, service in lab.services.items()},
        "criteria.needs": {criterion.id: set(criterion.needs) for criterion in lab.criteria},
    }
    found = ((where, _cycle(graph)) for where, graph in graphs.items())
    return [f"{where} goes round in a circle: {' → '.join(circle)}" for where, circle in found if circle]


def _cycle(graph: dict[str, set[str]]) -> list[str]:
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return [str(name) for name in error.args[1]]
    return []


def is_id(text: str) -> bool:
    """Whether `text` may name a lab."""
    return re.fullmatch(ID_PATTERN, text) is not None and len(text) <= 40
