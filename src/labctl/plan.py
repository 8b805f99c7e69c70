"""The plan: everything a runtime needs to know of one session, and nothing it has to look up. `planning` makes it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from labctl.checks.base import RENDERED, Model
from labctl.checks.kinds import Check
from labctl.gpus.inventory import Allocation
from labctl.labs.spec import Dependency, GpuNeed, Healthcheck, Id
from labctl.notebook import Notebook

ProfileName = Literal["cpu", "gpu"]
MODELS_IN_CONTAINERS = "/models"


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """Where things are, as the session's services see them. A runtime decides it before anything starts.

    `ports` maps (service, port name) to the port the service listens on; `hosts` maps a service to the host under which
    the others reach it; `models` is the folder of built models; `local_models` maps hub ids to folders that are there;
    `listen` is the address services bind: loopback for plain processes, every interface inside a container.
    """

    workspace: str
    lab: str
    models: str
    ports: Mapping[tuple[str, str], int]
    hosts: Mapping[str, str]
    local_models: Mapping[str, str]
    listen: str = "127.0.0.1"
    source: str | None = None
    """The workspace's folder on this host; None where the host has none."""
    folder: str | None = None
    """The lab's folder for who judges, where that is not the folder on this host."""


class EnvStep(Model):
    """A Python environment the session needs. `lock` is the requirements file, `digest` its sha256."""

    name: Id
    lock: str
    digest: str

    @property
    def folder(self) -> str:
        return f"{self.name}-{self.digest[:12]}"


class ModelStep(Model):
    """A model the project builds: `command` runs in `folder` with environment `env`; `{out}` is where it writes."""

    name: str
    env: str
    folder: str
    modules: list[str] = []
    """Folders that its programs import from."""
    command: list[str]
    digest: str
    path: str
    """Where services see the finished model."""


class ServicePlan(Model):
    """A service with every template rendered. `digest` changes when anything that it runs with changes."""

    name: str
    image: str | None
    env: Id | None
    command: list[str]
    environment: dict[str, str]
    ports: dict[str, int]
    healthcheck: Healthcheck | None
    depends_on: dict[str, Dependency]
    owner: Literal["lab", "learner"]
    restart: Literal["no", "on-failure", "always"]
    stop_grace_period: float
    working_dir: str | None = None
    mem_limit: int | None = None
    gpu: bool = True
    tmpfs: list[str] = []
    replicas: int = 1
    digest: str

    def is_awaited(self, others: Iterable[ServicePlan]) -> bool:
        """Whether it is meant to end: it is never restarted, or another service waits for its completion."""
        waited_for = (other.depends_on[self.name].condition for other in others if self.name in other.depends_on)
        return self.restart == "no" or "service_completed_successfully" in waited_for


class WorkspacePlan(Model):
    """Where the learner works; `path` as the session sees it, `source` on this host (None: the host does not have it)."""

    path: str
    source: str | None = None
    image: str | None
    env: Id | None
    environment: dict[str, str]


class CriterionPlan(Model):
    """A criterion with its checks rendered."""

    id: str
    source: str
    text: str
    points: int
    hint: str
    needs: list[str]
    checks: list[Check]

    def to_json(self) -> dict[str, Any]:
        """As JSON values, for a judge elsewhere."""
        checks = [
            {"kind": check.kind, **check.model_dump(mode="json", by_alias=True, exclude_unset=True, exclude={"kind"})}
            for check in self.checks
        ]
        return {**self.model_dump(mode="json", exclude={"checks"}), "checks": checks}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> CriterionPlan:
        """What `to_json` gave. Raises ValueError for anything else."""
        return cls.model_validate(values, context=RENDERED)


class Plan(Model):
    """One lab for one learner, ready to run."""

    session: str
    lab: str
    title: str
    lab_path: str
    lab_digest: str
    learner: str
    cohort: str | None = None
    profile: ProfileName
    memory_mib: int
    cpus: float = 2.0
    disk_mib: int
    egress: bool
    model: str | None
    model_path: str | None
    named_models: dict[str, str] = {}
    """The profile's `models`: a template's name for one → where services see it."""
    hub_models: dict[str, str] = {}
    """A model hub's id → where services see it: a folder on the host, or the id itself."""
    gpu: GpuNeed | None
    allocation: Allocation | None
    workspace: WorkspacePlan
    envs: list[EnvStep]
    models: list[ModelStep]
    services: list[ServicePlan]
    criteria: list[CriterionPlan]
    notebook: Notebook | None = None

    def service(self, name: str) -> ServicePlan | None:
        """The service with this name, or None."""
        return next((service for service in self.services if service.name == name), None)

    def env(self, name: str) -> EnvStep:
        """The environment with this name, which a service, the workspace or a model of this plan uses."""
        return next(env for env in self.envs if env.name == name)

    @property
    def model_environment(self) -> dict[str, str]:
        """What every process is told of the models; with each of them at hand, that no hub need be asked."""
        paths = {"": self.model_path, **{f"_{name.upper()}": path for name, path in self.named_models.items()}}
        values = {f"MODEL_PATH{name}": path for name, path in paths.items() if path}
        at_hand = values and not self.absent_models
        return {**values, "HF_HUB_OFFLINE": "1"} if at_hand else values

    @property
    def absent_models(self) -> list[str]:
        """The hub's models that are not on the host."""
        return [name for name, path in self.hub_models.items() if name == path]

    def without_gpus(self) -> Plan:
        """The same session without GPUs: none is asked for or held, and of the services those run that need none.

        A service that is awaited stays so, also when whoever waited for it is gone: it would start again otherwise.
        """
        kept = [service for service in self.services if not service.gpu]
        names = {service.name for service in kept}
        left = [
            service.model_copy(
                update={
                    "depends_on": {name: need for name, need in service.depends_on.items() if name in names},
                    "restart": "no" if service.is_awaited(self.services) else service.restart,
                }
            )
            for service in kept
        ]
        return self.model_copy(update={"gpu": None, "allocation": None, "services": left})
