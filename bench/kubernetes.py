"""Declaring a class on a cluster: labctl's way against `kubectl apply --server-side` of the same manifests, and against bare requests.

Each of the three is a process of its own (`python -m bench.kubernetes WAY LEARNERS`) and has namespaces of its own, which are
deleted again. Nothing runs: Deployments have no replicas.
"""

from __future__ import annotations

import json
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from bench.measure import PYTHON, environment
from labctl import settings as settings_of
from labctl.labs.lab import load
from labctl.plan import Plan
from labctl.planning import plan
from labctl.runtimes.docker.labels import HOME, home_id
from labctl.runtimes.docker.parts import JUPYTER_TOKEN
from labctl.runtimes.folder import SessionFolder
from labctl.runtimes.kubernetes import kinds, manifests, standing
from labctl.runtimes.kubernetes.api import Api
from labctl.runtimes.kubernetes.kinds import Manifest
from labctl.runtimes.kubernetes.namespace import Cluster, Namespace
from labctl.runtimes.kubernetes.refusals import MANAGER
from labctl.runtimes.kubernetes.runtime import KubernetesRuntime
from labctl.runtimes.kubernetes.up import Wanted, changes, hidden
from labctl.runtimes.kubernetes.wanted import wanted
from labctl.settings import Settings

AT_ONCE = 8
"""Sessions, and requests of each."""
_GONE_S = 1800
_LAB = {
    "title": "Bench",
    "stage": 1,
    "minutes": 5,
    "profiles": {"cpu": {"memory": "64MiB", "disk": "16MiB"}},
    "workspace": {"image": "docker/workspace"},
    "services": {"page": {"image": "docker/workspace", "command": ["sleep", "1"], "ports": {"http": 8000}}},
    "criteria": [{"id": "a", "text": "A", "points": 1, "hint": "A", "checks": [{"file": {"path": "a"}}]}],
}


def kubernetes(folder: Path, count: int = 100) -> dict[str, Any]:
    """Aims: at least 3 times as fast as kubectl, at most 1.3 times the bare requests; `again_s` is a look at all that changes nothing."""
    figures: dict[str, Any] = {"learners": count}
    for way in WAYS:
        place = folder / way
        try:
            figures[way] = _measured(way, place, count)
        finally:
            _clear(place)
    ours = figures["labctl"]
    figures["kubectl_ratio"] = round(figures["kubectl"]["apply_s"] / ours["apply_s"], 2)
    figures["loop_ratio"] = round(ours["apply_s"] / figures["loop"]["apply_s"], 2)
    return figures


def thousand(folder: Path) -> dict[str, Any]:
    """The same ten times over, best against an API without nodes: time and memory grow with the learners, and no faster."""
    return kubernetes(folder, 1000)


def _measured(way: str, place: Path, count: int) -> dict[str, Any]:
    (place / "labs" / "bench" / "workspace").mkdir(parents=True)
    (place / "labs" / "bench" / "workspace" / "readme.txt").write_text("hello\n")
    (place / "labs" / "bench" / "lab.yaml").write_text(json.dumps(_LAB))
    command = [PYTHON, "-m", "bench.kubernetes", way, str(count)]
    run = subprocess.run(command, env=_environment(place), check=True, stdout=subprocess.PIPE, text=True)
    measured: dict[str, Any] = json.loads(run.stdout.splitlines()[-1])
    return measured


def of_labctl(settings: Settings, plans: Sequence[Plan]) -> dict[str, Any]:
    """What `up` does until it waits for pods, from a plan on; then what a second `up` asks when nothing has changed."""
    cluster = Cluster(settings.home, settings.kubeconfig)
    begun = time.perf_counter()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        made = list(pool.map(partial(_declare, cluster, settings), plans))
    applied, sent, peak = time.perf_counter() - begun, cluster.api.sent, _peak_mib(resource.RUSAGE_SELF)
    begun = time.perf_counter()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        left = list(pool.map(_again, made))
    again = time.perf_counter() - begun
    assert not any(left), left[0]
    return {
        "apply_s": round(applied, 2),
        "requests_each": round(sent / len(plans), 1),
        "apply_peak_mib": peak,
        "again_s": round(again, 2),
        "requests_again_each": round((cluster.api.sent - sent) / len(plans), 1),
        "peak_mib": _peak_mib(resource.RUSAGE_SELF),
    }


def of_kubectl(settings: Settings, plans: Sequence[Plan]) -> dict[str, Any]:
    """The same in one file; what it sends is not counted."""
    file = settings.home / "all.json"
    items = [each for one in plans for each in _manifests(settings, one)]
    file.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": items}))
    begun = time.perf_counter()
    _kubectl("apply", "--server-side", "-f", str(file))
    seconds = time.perf_counter() - begun
    return {"apply_s": round(seconds, 2), "objects": len(items), "peak_mib": _peak_mib(resource.RUSAGE_CHILDREN)}


def of_loop(settings: Settings, plans: Sequence[Plan]) -> dict[str, Any]:
    """The same as bare requests: as many at once, in the order that a namespace needs, the answers read and nothing else."""
    api = Api(settings.kubeconfig)
    api.get("/version")  # loading the client counts as labctl's, not as the loop's
    texts = [[(kinds.path_of(each), json.dumps(each)) for each in _manifests(settings, one)] for one in plans]
    begun = time.perf_counter()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(partial(_send_all, api), texts))
    seconds = time.perf_counter() - begun
    return {
        "apply_s": round(seconds, 2),
        "requests_each": round(sum(map(len, texts)) / len(texts), 1),
        "peak_mib": _peak_mib(resource.RUSAGE_SELF),
    }


WAYS: dict[str, Callable[[Settings, Sequence[Plan]], dict[str, Any]]] = {
    "labctl": of_labctl,
    "kubectl": of_kubectl,
    "loop": of_loop,
}


def _declare(cluster: Cluster, settings: Settings, one: Plan) -> tuple[Wanted, Namespace]:
    folder = SessionFolder(settings.home, one.session)
    folder.create_root()
    found = _idle(wanted(one, settings, folder, None))
    namespace = Namespace(cluster, folder, found.handle)
    standing.stand_in(namespace, found.declared.namespace, lambda _step: None)
    standing.stand(namespace, [*found.declared.stands, *hidden(found, namespace)])
    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(cluster.api.apply, found.declared.runs.values()))
    return found, namespace


def _again(made: tuple[Wanted, Namespace]) -> list[str]:
    return changes(*made)


def _idle(found: Wanted) -> Wanted:
    """The same, and nothing of it runs."""
    runs = {
        name: {**each, "spec": {**each["spec"], "replicas": 0}} if each["kind"] == "Deployment" else each
        for name, each in found.declared.runs.items()
    }
    return replace(found, declared=replace(found.declared, runs=runs))


def _manifests(settings: Settings, one: Plan) -> list[Manifest]:
    """All of a session, its Secret too."""
    folder = SessionFolder(settings.home, one.session)
    declared = _idle(wanted(one, settings, folder, None)).declared
    secret = manifests.secret(one, {JUPYTER_TOKEN: "0" * 32}, home_id(settings.home))
    return [declared.namespace, *declared.stands, secret, *declared.runs.values()]


def _send_all(api: Api, texts: Sequence[tuple[str, str]]) -> None:
    """First the namespace, then the rest."""
    first, *rest = texts
    _send(api, first)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(partial(_send, api), rest))


def _send(api: Api, what: tuple[str, str]) -> None:
    path, text = what
    url = f"{api.configuration.host}{path}?fieldManager={MANAGER}&force=false"
    headers = {"content-type": "application/apply-patch+yaml", "accept": "application/json", **api.authorization()}
    answer = api._pool.request(
        "PATCH", url, body=text, headers=headers, retries=False
    )  # the pool: TLS as labctl has it
    assert answer.status < 300, answer.data


def _plans(settings: Settings, count: int) -> Iterator[Plan]:
    runtime, lab = KubernetesRuntime(settings), load("bench", settings.labs)
    for number in range(count):
        learner = f"learner-{number}"
        layout = runtime.layout(lab, f"bench--{learner}", settings.workspaces)
        yield plan(lab, learner=learner, profile="cpu", layout=layout)


def _environment(place: Path) -> dict[str, str]:
    return environment(place, LABCTL_LABS=str(place / "labs"), LABCTL_RUNTIME="kubernetes")


def _clear(place: Path) -> None:
    """Delete the namespaces of this home, and wait until they are gone, so that nothing of one way slows down the next."""
    chosen = settings_of.load(_environment(place))
    selector = f"{HOME}={home_id(chosen.home)}"
    api = Api(chosen.kubeconfig)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        names = [each["metadata"]["name"] for each in api.items("Namespace", labelSelector=selector)]
        list(pool.map(lambda name: api.delete(kinds.path("Namespace", None, name)), names))
    deadline = time.monotonic() + _GONE_S
    while left := api.items("Namespace", labelSelector=selector):
        if time.monotonic() > deadline or _is_api_only(api):
            print(f"{len(left)} namespaces of {selector} are left: nothing in the cluster ends them", file=sys.stderr)
            return
        time.sleep(1.0)


def _is_api_only(api: Api) -> bool:
    """Whether there is an API without controllers: no node has ever been there."""
    return not api.items("Node")


def _kubectl(*words: str) -> None:
    command = shutil.which("kubectl")
    if command is None:
        raise SystemExit("the benchmark needs `kubectl` on PATH")
    subprocess.run([command, *words], check=True, stdout=subprocess.DEVNULL)


def _peak_mib(who: int) -> float:
    return round(resource.getrusage(who).ru_maxrss / 1024, 1)


def main(way: str, count: int) -> None:
    """One way, in this process."""
    sys.modules["kubernetes_validate"] = None  # type: ignore[assignment] - the client loads this tool of our tests where it is: 0.8 s
    chosen = settings_of.load()
    chosen.home.mkdir(parents=True, exist_ok=True)
    print(json.dumps(WAYS[way](chosen, list(_plans(chosen, count)))), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
