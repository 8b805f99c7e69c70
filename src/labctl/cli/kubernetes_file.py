"""`render --format kubernetes`: the manifests of a session as one file, with what to type at its head."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from labctl.labs.lab import Lab
    from labctl.plan import Plan, ProfileName
    from labctl.runtimes.docker.parts import Host
    from labctl.settings import Settings

_FILE = "lab.yaml"


def document(lab: Lab, learner: str, profile: ProfileName, settings: Settings, to_yaml: Callable[[Any], str]) -> str:
    """The file. Raises PreflightError for a service without an image, LabFileError for files that do not fit."""
    from labctl.planning import declared_layout, plan
    from labctl.runtimes.docker.compose import any_gpus
    from labctl.runtimes.kubernetes.manifests import cluster_host, declared

    size = lab.spec.profiles.get(profile)
    gpus = any_gpus(size.gpu if size else None)
    made = plan(lab, learner=learner, profile=profile, layout=declared_layout(lab), allocation=gpus)
    host = cluster_host(made, settings)
    head = "\n".join(f"# {_one_line(line)}".rstrip() for line in _head(made, host))
    return (
        "\n---\n".join(
            [head, *(to_yaml(each).rstrip("\n") for each in declared(made, host, scheduling=settings.scheduling).all)]
        )
        + "\n"
    )


def _head(plan: Plan, host: Host) -> Iterator[str]:
    """What the file is, and what to type."""
    from labctl.runtimes.docker.parts import ports
    from labctl.runtimes.kubernetes.labels import namespace
    from labctl.runtimes.kubernetes.manifests import secret_names
    from labctl.runtimes.kubernetes.pods import SECRETS

    name = namespace(plan.session)
    yield plan.title
    yield f"The lab {plan.lab}, profile {plan.profile}, as a namespace that runs without labctl. Made by `labctl render`."
    yield ""
    yield from _images(plan, host)
    yield "Then, with the file as " + _FILE + ":"
    yield f"  kubectl apply --server-side -f {_FILE}"
    values = " ".join(f"--from-literal={each}=$(openssl rand -hex 24)" for each in secret_names(plan, host))
    if values:
        yield f"  kubectl -n {name} create secret generic {SECRETS} {values}  # pods wait for it"
    yield f"  kubectl -n {name} wait --for=condition=Available deployment --all --timeout=15m"
    for service, numbers in ports(plan, listens=host.listens).items():
        pairs = " ".join(f"{number if number > 1023 else 8000 + number}:{number}" for number in numbers.values())
        yield f"  kubectl -n {name} port-forward service/{service} {pairs}"
    yield f"  kubectl delete namespace {name}  # and the workspace with it"
    yield from _warnings(plan)


def _images(plan: Plan, host: Host) -> Iterator[str]:
    from labctl.images.names import INGRESS, PREFIX, is_ours

    ours = [image.removeprefix(PREFIX) for image in host.images if is_ours(image) and image != INGRESS]
    if ours:
        yield "Once, for a cluster that pulls from REGISTRY (render with LABCTL_REGISTRY=REGISTRY, too):"
        yield f"  LABCTL_REGISTRY=REGISTRY labctl image build {' '.join(ours)} --profile {plan.profile}"
        yield "  docker push each of the images named below"


def _warnings(plan: Plan) -> Iterator[str]:
    for name in [] if plan.egress else plan.absent_models:
        yield f"The model {name} is taken from a hub, which the lab's network does not reach: allow it, or put it into the image."
    for service in plan.services:
        for other, need in service.depends_on.items():
            if need.condition == "service_completed_successfully":
                yield f"{service.name} needs {other} to have ended well: until then it fails and is started again."


def _one_line(text: str) -> str:
    """A comment ends with its line, and a title may be anything."""
    return "".join(char if char.isprintable() else " " for char in text)
