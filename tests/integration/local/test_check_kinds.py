"""The kinds of check that need real libraries in the session, on real models, notebooks, data versions and runs."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import TypeAdapter

from labctl.checks.base import RENDERED, BaseCheck
from labctl.checks.kinds import Check
from labctl.grading.attempts import observe_all
from labctl.labs import catalog
from labctl.labs.lab import load_folder
from labctl.outcomes import CheckResult, Outcome
from labctl.plan import EnvStep
from labctl.runtimes.cache import Children
from labctl.runtimes.local import envs
from labctl.target import Request, Response
from labctl.testing.target import FakeTarget

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800), pytest.mark.xdist_group("labs")]

HOME = Path(__file__).resolve().parents[3] / ".cache" / "labs"
"""The home of tests/labs, whose environments are made once."""
PROMPTS = ["the cat", "the dog", "the mat", "on the"]
Look = Callable[..., CheckResult]
_CHECKS: TypeAdapter[BaseCheck] = TypeAdapter(Check)


@pytest.fixture(scope="module")
def python() -> Path:
    """The Python of the environment `llm`."""
    lab = load_folder(catalog.builtin_folder() / "stage2-finetune")
    env = lab.env("llm")
    step = EnvStep(name="llm", lock=str(env.lock), digest=env.digest)
    (HOME / "envs").mkdir(parents=True, exist_ok=True)
    envs.make(HOME, step, cpu_only=True, progress=lambda _: None, children=Children())
    return envs.folder(HOME, step) / "bin" / "python"


def variables(python: Path) -> dict[str, str]:
    return {"PATH": f"{python.parent}:/usr/bin:/bin", "OMP_NUM_THREADS": "1", "DVC_NO_ANALYTICS": "1"}


def run(python: Path, folder: Path, *command: str) -> None:
    values = {"HOME": str(folder), "HF_HUB_OFFLINE": "1", **variables(python)}
    done = subprocess.run(command, cwd=folder, env=values, capture_output=True, text=True, check=False, timeout=900)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]


def looking(target: FakeTarget, kind: str) -> Look:
    return lambda **settings: _CHECKS.validate_python({kind: {"timeout": 600, **settings}}, context=RENDERED).run(
        target
    )


@pytest.fixture(scope="module")
def models(python: Path, tmp_path_factory: pytest.TempPathFactory) -> FakeTarget:
    folder = tmp_path_factory.mktemp("models")
    run(python, folder, "python", str(Path(__file__).with_name("kinds_models.py")))
    (folder / "heldout.txt").write_text("the dog sat on the mat. the cat ate the dog. " * 4)
    return FakeTarget(folder=folder, environment=variables(python))


@pytest.mark.parametrize(
    ("adapter", "outcome", "why"),
    [
        ("trained", Outcome.PASS, "and without it 4 of 4 are the base's own"),
        ("untouched", Outcome.FAIL, "changes 0 of 4 replies, and without it 4 of 4 are the base's own"),
        ("other-base", Outcome.FAIL, "cannot be used with its base"),
    ],
)
def test_an_adapter_is_judged_by_what_it_does(models: FakeTarget, adapter: str, outcome: Outcome, why: str) -> None:
    look = looking(models, "adapter_output")
    result = look(base=f"{models.folder}/base", adapter=f"adapters/{adapter}", prompts=PROMPTS)
    assert (result.outcome, why in result.message) == (outcome, True), result.message


@pytest.mark.parametrize(
    ("path", "bits", "why"),
    [
        ("bnb8", 8, ""),
        ("bnb4", 4, ""),
        ("torchao8", 8, ""),
        ("Q8_0.gguf", 8, ""),
        ("Q4_0.gguf", 4, ""),
        ("base", 8, "100% in 32 bits (F32)"),
        ("half", 8, "100% in 16 bits (F16)"),
        ("F16.gguf", 8, "100% in 16 bits (F16)"),
        ("bnb8", 4, "100% in 8 bits (I8)"),
        ("other8", 8, "wanted at most 1.1 times the original's perplexity"),
    ],
)
def test_a_model_is_quantised_or_is_not(models: FakeTarget, path: str, bits: int, why: str) -> None:
    settings = {"original": f"{models.folder}/base", "text": "heldout.txt", "lab": str(models.folder)}
    result = looking(models, "quantized")(path=path, bits=bits, max_size_ratio=0.6, **settings)
    assert (result.outcome is Outcome.PASS, why in result.message) == (not why, True), result.message


def test_quantised_models_are_looked_at_in_one_process(models: FakeTarget) -> None:
    (models.folder / "torn").mkdir(exist_ok=True)
    (models.folder / "torn/model.safetensors").write_bytes((64).to_bytes(8, "little") + b"{")
    settings = {"original": f"{models.folder}/base", "text": "heldout.txt", "lab": str(models.folder), "timeout": 600}
    paths = {"bnb8": 8, "torn": 8, "lost": 8, "bnb4": 4, "Q8_0.gguf": 8}
    checks = [
        _CHECKS.validate_python({"quantized": {"path": path, "bits": bits, **settings}}, context=RENDERED)
        for path, bits in paths.items()
    ]
    told = {path: result.message for path, result in zip(paths, observe_all(checks, models), strict=True)}
    assert "torn/model.safetensors is not a whole safetensors file" in told.pop("torn")
    assert "there is no safetensors file in lost" in told.pop("lost")
    assert all("perplexity" in message and "wanted" not in message for message in told.values()), told


NOTEBOOKS = """
import nbformat as n
from nbclient import NotebookClient
code = n.v4.new_code_cell
made = n.v4.new_notebook(cells=[n.v4.new_markdown_cell("# hi"), code("import mod; print('x', mod.X)"), code(""), code("mod.X * 2")])
NotebookClient(made, kernel_name="python3").execute()
def save(name, **last):
    for key, value in last.items():
        made.cells[3][key] = value
    n.write(made, name)
save("good.ipynb")
made.cells[3].outputs[0]["data"]["text/plain"] = "99"
save("typed.ipynb")
save("breaks.ipynb", source="1 / 0")
save("dies.ipynb", source="import os; os._exit(1)")
save("claims.ipynb", source="import json, os; os.write(1, json.dumps(dict(seen=dict(cells=[]))).encode()); 1 / 0")
"""


@pytest.fixture(scope="module")
def notebooks(python: Path, tmp_path_factory: pytest.TempPathFactory) -> FakeTarget:
    folder = tmp_path_factory.mktemp("notebooks")
    (folder / "mod.py").write_text("X = 21\n")
    run(python, folder, "python", "-c", NOTEBOOKS)
    return FakeTarget(folder=folder, environment=variables(python))


@pytest.mark.parametrize(
    ("name", "output", "why"),
    [
        ("good", "42", ""),
        ("typed", "99", "when it is executed again are 'x 21\\n42\\n'; wanted containing '99'"),
        ("breaks", "99", "executed again: ZeroDivisionError: division by zero"),
        ("dies", "99", "executed again: its kernel died"),
        ("claims", "99", "executed again: ZeroDivisionError"),
    ],
)
def test_a_notebook_is_executed_again(notebooks: FakeTarget, name: str, output: str, why: str) -> None:
    before = (notebooks.folder / f"{name}.ipynb").read_bytes()
    look = looking(notebooks, "notebook")
    result = look(path=f"{name}.ipynb", rerun=True, outputs=[{"contains": output}])
    assert (result.outcome is Outcome.PASS, why in result.message) == (not why, True), result.message
    assert (notebooks.folder / f"{name}.ipynb").read_bytes() == before


DVC = """
set -e
git init -q; git config user.email a@b; git config user.name a
dvc init -q; dvc remote add -q -d local store
mkdir -p data/images/sub
echo a > data/train.csv; echo 1 > data/images/.hidden; echo 2 > data/images/sub/z; echo 3 > data/images/sub-a
dvc add -q data/train.csv data/images; git add -A; git commit -qm one; dvc push -q
echo b > data/train.csv; dvc add -q data/train.csv; git commit -qam two; dvc push -q
dvc stage add -q -n copy -d data/train.csv -o out.csv cp data/train.csv out.csv
dvc repro -q; git add -A; git commit -qm three
"""


def test_the_state_of_real_dvc_repositories_is_read(python: Path, tmp_path: Path) -> None:
    run(python, tmp_path, "sh", "-c", DVC)
    look = looking(FakeTarget(folder=tmp_path, environment=variables(python)), "dvc_state")
    assert look(path="data/train.csv", pushed_to="store", versions=2).outcome is Outcome.PASS
    assert look(path="data/images", pushed_to="store", versions=1).outcome is Outcome.PASS
    assert look(path="out.csv", versions=1).outcome is Outcome.PASS
    assert "wanted 3" in look(path="data/train.csv", versions=3).message
    (tmp_path / "data/images/new").touch()
    assert "has the md5" in look(path="data/images").message


RUNS = """
import mlflow, sys
mlflow.set_tracking_uri(sys.argv[1]); mlflow.set_experiment("lora grid/1")
class Echo(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input: list[str]) -> list[str]: return model_input
for rank in (4, 16):
    with mlflow.start_run(run_name=f"r{rank}"):
        mlflow.log_params({"rank": rank})
        for step in range(3): mlflow.log_metric("loss", 1 / (rank * (step + 1)), step=step)
        mlflow.log_text("hi", "plots/loss.txt")
        if rank == 16: mlflow.pyfunc.log_model(name="model", python_model=Echo(), pip_requirements=["mlflow"])
"""


@pytest.fixture
def tracking(python: Path, tmp_path: Path) -> Iterator[str]:
    """The address of an MLflow server with two runs."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    places = ["--backend-store-uri", f"sqlite:///{tmp_path}/m.db", "--artifacts-destination", str(tmp_path / "kept")]
    command = ["mlflow", "server", *places, "--host", "127.0.0.1", "--port", port, "--workers", "1"]
    values = {**variables(python), "HOME": str(tmp_path)}
    with (tmp_path / "log").open("wb") as log:
        server = subprocess.Popen(command, env=values, stdout=log, stderr=log, start_new_session=True)
    try:
        address, deadline = f"http://127.0.0.1:{port}", time.monotonic() + 900
        while not _answers(f"{address}/health"):
            assert server.poll() is None, (tmp_path / "log").read_text()[-2000:]
            assert time.monotonic() < deadline, "MLflow does not start"
            time.sleep(0.5)
        run(python, tmp_path, "python", "-c", RUNS, address)
        yield address
    finally:
        os.killpg(server.pid, 9)
        server.wait()


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=30).status_code == 200
    except httpx.HTTPError:
        return False


class Served(FakeTarget):
    """A session whose one service is at the address in its environment."""

    def request(self, request: Request) -> Response:
        url = f"{self.environment['ADDRESS']}{request.path}"
        found = httpx.request(
            request.method, url, headers=dict(request.headers), content=request.body, timeout=request.timeout_s
        )
        return Response(status=found.status_code, headers=dict(found.headers), body=found.content, duration_s=0.1)


def test_runs_on_a_real_mlflow_server_are_read(tracking: str, tmp_path: Path) -> None:
    target = Served(folder=tmp_path, environment={"ADDRESS": tracking})
    check = looking(target, "mlflow_run")

    def look(**settings: Any) -> CheckResult:
        return check(service="mlflow", experiment="lora grid/1", **settings)

    good = look(
        params={"rank": {"equals": 16}},
        metrics={"loss": {"approx": 1 / 48}},
        artifacts=["model", "plots", "plots/loss.txt"],
    )
    assert good.outcome is Outcome.PASS, good.message
    assert look(min_runs=2, artifacts=["plots/loss.txt"]).outcome is Outcome.PASS
    assert "it stored no model" in look(filter="params.rank = '4'", artifacts=["model"]).message
    assert "its metric loss is" in look(metrics={"loss": {"lt": 0.001}}).message
    assert "has no run that" in look(filter="params.rank = '99'").message
    assert json.dumps(good.actual)
