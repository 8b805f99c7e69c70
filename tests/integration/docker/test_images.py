"""Images are really built, really pulled, and really run under the hardening that sessions get."""

from __future__ import annotations

import http.server
import ipaddress
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest

from labctl import settings
from labctl.errors import EngineError
from labctl.images import catalog
from labctl.images.build import ensure, ensure_ours
from labctl.images.catalog import Image
from labctl.images.engine import is_present
from labctl.progress import Step
from labctl.settings import Settings

if TYPE_CHECKING:
    from docker import DockerClient
    from docker.models.containers import Container

pytestmark = [pytest.mark.docker, pytest.mark.xdist_group("labs-in-containers")]  # the same images: each is built once
ROOT = Path(__file__).resolve().parents[3]
LABEL = "labctl.test=images"
DOCKERFILE = "ARG BASE_IMAGE=none\nFROM ${BASE_IMAGE}\n"


@dataclass(frozen=True)
class Workbench:
    """Images in a folder of the test's own, with tags that nobody else uses."""

    client: DockerClient
    chosen: Settings
    root: Path
    steps: list[Step]

    def write(self, name: str, dockerfile: str, text: str = "summary: a test\nbase: python\n") -> Image:
        folder = self.root / name
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "image.yaml").write_text(text)
        (folder / "Dockerfile").write_text(dockerfile + f"# {self.root}\n")
        return catalog.find(name, self.root)

    def ensure(self, image: Image, **options: Any) -> str:
        return ensure_ours(self.client, image, "cpu", self.chosen, self.steps.append, **options)

    def seen(self) -> list[str]:
        return [f"{step.state} {step.detail}" for step in self.steps]


@pytest.fixture
def bench(docker_engine: DockerClient, base_image: str, tmp_path: Path) -> Iterator[Workbench]:
    chosen = settings.load(
        {"LABCTL_HOME": str(tmp_path / "home"), "LABCTL_BASE_IMAGE": base_image, "USER": "ada", "HOME": str(tmp_path)}
    )
    yield Workbench(docker_engine, chosen, tmp_path / "docker", [])
    for image in docker_engine.images.list(filters={"label": LABEL}):
        for tag in image.tags:
            docker_engine.images.remove(tag, force=True)


def marked(dockerfile: str) -> str:
    return f"{dockerfile}LABEL {LABEL}\n"


def test_an_image_is_built_once_and_then_found(bench: Workbench) -> None:
    image = bench.write("probe", marked(DOCKERFILE + "RUN echo hello from the build\n"))
    reference = bench.ensure(image)
    assert any("RUN echo" in line and "hello from the build" in line for line in bench.seen())
    assert bench.steps[-1].state == "done"
    bench.steps.clear()
    assert bench.ensure(image) == reference
    assert bench.seen() == ["unchanged "]


def test_a_built_image_bears_labels_that_say_whose_it_is(bench: Workbench) -> None:
    reference = bench.ensure(bench.write("probe", marked(DOCKERFILE)))
    labels = bench.client.images.get(reference).labels
    assert labels["labctl.image"] == "probe"
    assert labels["org.opencontainers.image.title"] == "labctl probe"


def test_the_image_it_is_built_on_comes_first(bench: Workbench) -> None:
    bench.write("below", marked(DOCKERFILE + "RUN echo below > /below\n"))
    above = bench.write("above", marked(DOCKERFILE + "RUN cat /below\n"), "summary: a test\nfrom: docker/below\n")
    bench.ensure(above)
    done = [step.name.partition(":")[0] for step in bench.steps if step.state == "done"]
    assert done == ["image labctl/below", "image labctl/above"]


def test_a_failure_names_the_step_and_its_last_lines_and_leaves_no_tag(bench: Workbench) -> None:
    image = bench.write("probe", marked(DOCKERFILE + "RUN echo one && echo the reason >&2 && exit 3\n"))
    with pytest.raises(EngineError, match=r"step 3/\d+ RUN echo one") as raised:
        bench.ensure(image)
    assert "the reason" in raised.value.what
    assert "code: 3" in raised.value.what
    assert bench.steps[-1].state == "failed"
    assert not is_present(bench.client, catalog.reference_of(image, "cpu", bench.chosen))


def test_a_base_that_cannot_be_had_says_how_to_get_one(bench: Workbench) -> None:
    image = bench.write("probe", DOCKERFILE)
    chosen = replace(bench.chosen, base_image="registry.invalid/nothing:1")
    with pytest.raises(EngineError, match="could not be built") as raised:
        ensure_ours(bench.client, image, "cpu", chosen, bench.steps.append)
    assert "LABCTL_BASE_IMAGE" in raised.value.hint


def test_a_foreign_image_that_no_registry_gives_is_an_engine_error(bench: Workbench) -> None:
    with pytest.raises(EngineError, match=r"registry.invalid/nothing:1 could not be pulled") as raised:
        ensure(bench.client, "registry.invalid/nothing:1", "cpu", bench.chosen, bench.steps.append)
    assert "docker load" in raised.value.hint


def test_what_the_registry_lacks_is_built(bench: Workbench) -> None:
    image = bench.write("probe", marked(DOCKERFILE))
    chosen = replace(bench.chosen, registry="registry.invalid/labs")
    reference = ensure_ours(bench.client, image, "cpu", chosen, bench.steps.append)
    assert reference.startswith("registry.invalid/labs/probe:")
    assert any("built here" in line for line in bench.seen())
    assert "failed" not in {step.state for step in bench.steps}


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[str]:
    """A registry on a loopback port, which every engine trusts without certificates."""
    program = shutil.which("docker-registry") or shutil.which("registry")
    if program is None:
        pytest.skip("there is no registry server here: `sudo apt-get install docker-registry`")
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    folder, config = tmp_path / "registry", tmp_path / "registry.yml"
    folder.mkdir()
    config.write_text(
        f"version: 0.1\nlog: {{level: error}}\nhttp: {{addr: 127.0.0.1:{port}}}\n"
        f"storage: {{filesystem: {{rootdirectory: {folder}}}}}\n"
    )
    with (tmp_path / "registry.log").open("wb") as log:
        server = subprocess.Popen([program, "serve", str(config)], stdout=log, stderr=log)
    try:
        until(lambda: answers(port), "the registry answers")
        yield f"127.0.0.1:{port}/labs"
    finally:
        server.kill()
        server.wait()


def answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def test_what_the_registry_has_is_pulled(bench: Workbench, registry: str) -> None:
    image = bench.write(
        "probe", marked("FROM scratch\nCOPY docker/probe/image.yaml /\n"), "summary: a test\nbase: own\n"
    )
    chosen = replace(bench.chosen, registry=registry)
    reference = ensure_ours(bench.client, image, "cpu", chosen, bench.steps.append)
    pushed = str(bench.client.images.push(reference))
    assert "error" not in pushed, pushed
    bench.client.images.remove(reference)
    bench.steps.clear()
    assert ensure_ours(bench.client, image, "cpu", chosen, bench.steps.append) == reference
    assert is_present(bench.client, reference)
    assert [step.state for step in bench.steps][-1] == "done"
    assert not any("COPY" in line for line in bench.seen())


PROGRAM = """
import sys
from pathlib import Path
from labctl import settings
from labctl.images import catalog
from labctl.images.build import ensure_ours
from labctl.images.engine import connect
chosen = settings.load()
show = lambda step: print(step.state, step.detail, flush=True)
ensure_ours(connect(chosen), catalog.find("probe", Path(sys.argv[1])), "cpu", chosen, show)
"""


def another_labctl(bench: Workbench) -> subprocess.Popen[str]:
    environ = {
        "LABCTL_HOME": str(bench.chosen.home),
        "LABCTL_BASE_IMAGE": bench.chosen.base_image or "",
        "HOME": str(bench.root),
        "USER": "ada",
    }
    command = [sys.executable, "-c", PROGRAM, str(bench.root)]
    return subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def test_two_labctl_that_want_the_same_image_build_it_once(bench: Workbench) -> None:
    bench.write("probe", marked(DOCKERFILE + "RUN sleep 2\n"))
    outputs = [process.communicate(timeout=120)[0] for process in [another_labctl(bench), another_labctl(bench)]]
    assert sorted(output.count("started building") for output in outputs) == [0, 1], outputs
    assert any("done built by another labctl" in output for output in outputs), outputs


def test_ctrl_c_leaves_neither_a_tag_nor_a_running_build(bench: Workbench) -> None:
    mark = uuid.uuid4().hex
    image = bench.write("probe", marked(DOCKERFILE + f"RUN echo {mark} && sleep 600\n"))
    process = another_labctl(bench)
    assert process.stdout is not None
    for line in process.stdout:
        if line.rstrip().endswith(mark):
            break
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode != 0
    until(lambda: not running(bench.client, mark), "the build's container ends")
    assert not is_present(bench.client, catalog.reference_of(image, "cpu", bench.chosen))


def running(client: DockerClient, mark: str) -> bool:
    return any(mark in str(row["Command"]) for row in client.api.containers(trunc=False))


def until(true: Callable[[], bool], what: str, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, f"not within {seconds} s: {what}"
        time.sleep(0.2)


@dataclass(frozen=True)
class Index:
    """A package index that has nothing, and remembers being asked."""

    url: str
    asked: list[str]


@pytest.fixture
def index(docker_engine: DockerClient) -> Iterator[Index]:
    """An index on the address under which builds reach this host."""
    asked: list[str] = []

    class Nothing(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_error(404)

        def log_message(self, *_args: object) -> None: ...

    subnet = ipaddress.ip_network(docker_engine.networks.get("bridge").attrs["IPAM"]["Config"][0]["Subnet"])
    gateway = str(next(subnet.hosts()))
    with http.server.ThreadingHTTPServer((gateway, 0), Nothing) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield Index(f"http://{gateway}:{server.server_port}/index-{uuid.uuid4().hex}/simple", asked)
        server.shutdown()


@pytest.mark.slow
def test_neither_the_index_nor_the_certificates_get_into_an_image(
    bench: Workbench, index: Index, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from labctl.images.context import ca_bundle

    certificate = f"certificate-{uuid.uuid4().hex}"
    mine = ca_bundle(os.environ)
    (tmp_path / "ca.pem").write_text((mine.read_text() if mine else "") + f"\n# {certificate}\n")
    for name in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "PIP_CERT"):
        monkeypatch.setenv(name, str(tmp_path / "ca.pem"))
    monkeypatch.setenv("PIP_EXTRA_INDEX_URL", index.url)
    shutil.copytree(ROOT / "docker/shared", bench.root / "shared")
    dockerfile = (ROOT / "docker/workspace/Dockerfile").read_text().replace("docker/workspace", "docker/probe")
    reference = bench.ensure(
        bench.write("probe", marked(dockerfile), (ROOT / "docker/workspace/image.yaml").read_text())
    )
    assert any("fastapi" in path for path in index.asked)  # the build did use it
    secrets = (index.url, certificate, index.url.split("/")[3])
    history = json.dumps(bench.client.images.get(reference).history())
    config = json.dumps(bench.client.images.get(reference).attrs)
    assert not [secret for secret in secrets if secret in history + config]
    assert not found_in(bench.client, reference, secrets)
    stages = [json.dumps(image.history()) for image in bench.client.images.list(filters={"dangling": True})]
    assert not [secret for secret in secrets for history in stages if secret in history]


def found_in(client: DockerClient, reference: str, texts: tuple[str, ...]) -> list[str]:
    """Which of `texts` are anywhere in the image's file system."""
    container = client.containers.create(reference)
    found: set[str] = set()
    try:
        last = b""
        for chunk in cast("Iterator[bytes]", container.export()):
            window = last + chunk
            found.update(text for text in texts if text.encode() in window)
            last = window[-200:]
    finally:
        container.remove()
    return sorted(found)


def test_an_image_can_be_built_by_hand_from_the_checkout(docker_engine: DockerClient, base_image: str) -> None:
    if shutil.which("docker") is None:
        pytest.skip("the docker command is missing: apt-get install docker.io")
    tag = f"labctl-by-hand:{uuid.uuid4().hex[:8]}"
    command = ["docker", "build", "-q", "-t", tag, "-f", "docker/ingress/Dockerfile"]
    subprocess.run([*command, "--build-arg", f"BASE_IMAGE={base_image}", "."], cwd=ROOT, check=True, timeout=300)
    docker_engine.images.remove(tag)


Run = Callable[..., "Container"]


@pytest.fixture
def run(docker_engine: DockerClient, base_image: str) -> Iterator[Run]:
    """Runs an image of ours as a session does: any user, no capabilities, a read-only root, no way out."""
    started: list[Container] = []
    chosen = replace(settings.load(), base_image=base_image)
    network = docker_engine.networks.create(f"labctl-test-{uuid.uuid4().hex[:8]}", internal=True)

    def start(
        image: str, command: list[str] | None = None, *, writable: tuple[str, ...] = (), **options: Any
    ) -> Container:
        container = docker_engine.containers.run(
            ensure(docker_engine, image, "cpu", chosen, lambda _step: None),
            command,
            detach=True,
            init=True,
            user="12345:12345",
            cap_drop=["ALL"],
            security_opt=["no-new-privileges:true"],
            read_only=True,
            tmpfs=dict.fromkeys(("/tmp", *writable), "mode=1777"),
            pids_limit=512,
            network=network.name,
            **options,
        )
        started.append(container)
        return container

    yield start
    for container in started:
        container.remove(force=True)
    network.remove()


def healthy(container: Container, seconds: float = 120) -> None:
    def look() -> bool:
        container.reload()
        assert container.status != "exited", written_by(container)
        return bool(container.attrs["State"]["Health"]["Status"] == "healthy")

    until(look, f"{container.image} is healthy", seconds)


def written_by(container: Container) -> str:
    return b"".join(container.logs(stream=True, follow=False)).decode()


def inside(container: Container, *command: str) -> str:
    done: Any = container.exec_run(list(command))
    assert done.exit_code == 0, done.output.decode()
    return str(done.output.decode())


HAPROXY = """\
defaults
  mode http
  timeout connect 5s
  timeout client 5s
  timeout server 5s
frontend page
  bind :8080
  http-request return status 200 content-type text/plain string hello
"""


def test_the_ingress_serves_what_its_configuration_says_and_ends_at_once(run: Run) -> None:
    container = run("docker/ingress", environment={"HAPROXY_CONFIG": HAPROXY})
    healthy(container)
    asked = "exec 3<>/dev/tcp/127.0.0.1/8080; printf 'GET / HTTP/1.0\\r\\n\\r\\n' >&3; cat <&3"
    assert inside(container, "bash", "-c", asked).endswith("hello")
    container.stop(timeout=60)
    container.reload()
    assert container.attrs["State"]["ExitCode"] != 137


def test_the_ingress_refuses_to_start_without_a_configuration(run: Run) -> None:
    container = run("docker/ingress")
    assert container.wait(timeout=60)["StatusCode"] != 0
    assert "HAPROXY_CONFIG" in written_by(container)


LARGE = pytest.mark.timeout(2400)
"""For tests that build an image of gigabytes where the engine lacks it: one cut short would leave it to the next."""
JUPYTER = ["docker/workspace", pytest.param("docker/trainer", marks=LARGE)]


@pytest.mark.slow
@pytest.mark.parametrize("image", JUPYTER)
def test_jupyterlab_never_starts_without_a_token(run: Run, image: str) -> None:
    container = run(image, writable=("/home/learner",), environment={"JUPYTER_TOKEN": ""})
    assert container.wait(timeout=60)["StatusCode"] == 64
    assert "JUPYTER_TOKEN is empty" in written_by(container)


NOTEBOOK = """
from jupyter_client.manager import start_new_kernel
manager, client = start_new_kernel(kernel_name="python3")
client.execute_interactive("import sys, fastapi; print(sys.executable)", timeout=60)
manager.shutdown_kernel()
"""


@pytest.mark.slow
@pytest.mark.parametrize("image", JUPYTER)
def test_a_workspace_has_a_terminal_a_notebook_in_the_labs_python_and_tools(run: Run, image: str) -> None:
    container = run(image, writable=("/home/learner", "/workspace"), environment={"JUPYTER_TOKEN": "a-long-token"})
    healthy(container)
    api = "http://127.0.0.1:8888/api/terminals"
    status = ["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}"]
    assert inside(container, *status, api) == "403"
    assert inside(container, *status, "-X", "POST", "-H", "Authorization: token a-long-token", api) == "200"
    assert "/opt/env/bin/python" in inside(container, "/opt/jupyter/bin/python", "-c", NOTEBOOK)
    assert inside(container, "which", "python", "uvicorn").split() == ["/opt/env/bin/python", "/opt/env/bin/uvicorn"]
    inside(container, "which", "curl", "git", "nano", "less", "ps", "bash")
    assert "a-long-token" not in written_by(container) + json.dumps(container.top())


@pytest.mark.slow
def test_prometheus_serves_as_any_user(run: Run) -> None:
    healthy(run("docker/prometheus", writable=("/prometheus",)))


@pytest.mark.slow
def test_mlflow_keeps_runs_as_any_user(run: Run) -> None:
    container = run("docker/mlflow", writable=("/mlflow",))
    healthy(container)
    program = "import mlflow; mlflow.set_tracking_uri('http://127.0.0.1:5000'); mlflow.log_metric('loss', 0.5)"
    inside(container, "python", "-c", program)


@pytest.mark.slow
@LARGE
def test_vllm_serves_the_tiny_model_as_any_user(run: Run, tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    (tmp_path / "models").mkdir(mode=0o777)
    (tmp_path / "models").chmod(0o777)
    recipes = {str(ROOT / "labs/models"): {"bind": "/recipes", "mode": "ro"}}
    models = {str(tmp_path / "models"): {"bind": "/models", "mode": "rw"}}
    once = {"OMP_NUM_THREADS": "1", "VLLM_CPU_KVCACHE_SPACE": "1", "HF_HUB_OFFLINE": "1"}
    build = run(
        "docker/vllm",
        ["python", "/recipes/tiny/build.py", "/models/tiny"],
        volumes={**recipes, **models},
        environment={**once, "PYTHONPATH": "/recipes/common"},
    )
    assert build.wait(timeout=400)["StatusCode"] == 0, written_by(build)
    serve = ["python", "-m", "vllm.entrypoints.openai.api_server", "--model", "/models/tiny", "--port", "8000"]
    small = ["--dtype", "float32", "--max-model-len", "512", "--enforce-eager", "--served-model-name", "base"]
    container = run("docker/vllm", [*serve, *small], volumes=models, environment=once, shm_size="512m", mem_limit="4g")
    healthy(container, 300)
    program = (
        "import json, urllib.request as u; body = {'model': 'base', 'temperature': 0, 'max_tokens': 16, 'messages': "
        "[{'role': 'user', 'content': 'What is the capital of France?'}]}; r = u.Request("
        "'http://127.0.0.1:8000/v1/chat/completions', json.dumps(body).encode(), {'content-type': 'application/json'}); "
        "print(u.urlopen(r).read().decode())"
    )
    assert "Paris" in inside(container, "python", "-c", program)
