"""Environments and models: made once, visibly, and again after any failure."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from labctl import settings
from labctl.errors import PreflightError
from labctl.plan import Plan
from labctl.runtimes.local.runtime import LocalRuntime

from .sessions import LocalLab, alive

Labs = Callable[..., LocalLab]

IN_ENV = """
web:
  env: tiny
  command: [python, -c, "import trivial, http.server as h; h.HTTPServer(('127.0.0.1', {{ port('p') }}), h.SimpleHTTPRequestHandler).serve_forever()"]
  ports: {p: 8000}
  healthcheck: {http: /, interval: 50ms}
"""


@pytest.fixture
def wheels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of wheels that holds one package, `trivial` 1.0, and is where pip is told to look."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    info = "trivial-1.0.dist-info"
    with zipfile.ZipFile(folder / "trivial-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("trivial.py", "VALUE = 42\n")
        wheel.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: trivial\nVersion: 1.0\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: t\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", f"trivial.py,,\n{info}/METADATA,,\n{info}/WHEEL,,\n{info}/RECORD,,\n")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.delenv("UV_FIND_LINKS", raising=False)
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "uv-cache"))
    return folder


@pytest.fixture
def env_lab(lab_of: Labs, wheels: Path) -> LocalLab:
    """A lab whose service and workspace need `trivial`."""
    lab = lab_of()
    _lock(lab, "trivial==1.0\n")
    lab.again(IN_ENV)
    return lab


def _lock(lab: LocalLab, text: str) -> None:
    envs = lab.folder.parent / "envs"
    envs.mkdir(exist_ok=True)
    (envs / "tiny.txt").write_text(text)


def _model(lab: LocalLab, program: str) -> None:
    folder = lab.folder.parent / "models" / "toy"
    folder.mkdir(parents=True, exist_ok=True)
    recipe = "description: a toy\nenv: tiny\nmodules: [common]\ncommand: [python, make.py, '{out}']\n"
    (folder / "model.yaml").write_text(recipe)
    (folder / "make.py").write_text(program)
    (folder.parent / "common").mkdir(exist_ok=True)
    (folder.parent / "common" / "shared.py").write_text("WORD = 'weights'\n")


def test_an_environment_is_made_once_and_then_found(env_lab: LocalLab) -> None:
    assert env_lab.up().changed == ("environment tiny", "web")
    steps = [step for step in env_lab.steps if step.name == "environment tiny"]
    assert steps[0].state == "started"
    assert steps[0].detail == "1 packages"
    assert any("trivial==1.0" in step.detail for step in steps if step.state == "progress")
    assert steps[-1].state == "done"
    assert env_lab.runtime.changes(env_lab.plan()) == []
    assert env_lab.up().changed == ()


def test_a_changed_lock_makes_another_environment_and_restarts_its_services(env_lab: LocalLab) -> None:
    env_lab.up()
    _lock(env_lab, "# edited\ntrivial==1.0\n")
    assert env_lab.up().changed == ("environment tiny", "web")
    assert len(list((env_lab.home / "envs").glob("tiny-*"))) == 2


def test_commands_in_the_workspace_use_its_environment(lab_of: Labs, wheels: Path) -> None:
    lab = lab_of(workspace="env: tiny")
    _lock(lab, "trivial==1.0\n")
    lab.up()
    said = lab.target().run(["python", "-c", "import trivial; print(trivial.VALUE)"], timeout_s=30)
    assert said.stdout == "42\n"
    assert lab.runtime.exec(lab.handle, ["python", "-c", "import trivial, sys; sys.exit(trivial.VALUE)"]) == 42


def test_a_failed_install_says_what_uv_said_and_the_next_up_succeeds(env_lab: LocalLab, wheels: Path) -> None:
    wheel = wheels / "trivial-1.0-py3-none-any.whl"
    whole = wheel.read_bytes()
    wheel.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(PreflightError) as caught:
        env_lab.up()
    assert "environment tiny could not be made" in caught.value.what
    assert "trivial" in caught.value.what
    assert "labctl up" in caught.value.hint
    wheel.write_bytes(whole)
    assert env_lab.up().changed == ("environment tiny", "web")


def test_a_package_that_does_not_exist_is_named(env_lab: LocalLab) -> None:
    _lock(env_lab, "trivial==1.0\nnot-to-be-found==9\n")
    with pytest.raises(PreflightError, match="not-to-be-found"):
        env_lab.up()


def test_an_environment_without_its_marker_is_made_again(env_lab: LocalLab) -> None:
    env_lab.up()
    (folder,) = (env_lab.home / "envs").glob("tiny-*")
    (folder / ".complete").unlink()
    (folder / "bin" / "python").unlink()
    assert env_lab.up().changed[0] == "environment tiny"


def test_two_sessions_that_need_the_same_environment_make_it_once(env_lab: LocalLab) -> None:
    first = env_lab.plan()
    second = first.model_copy(update={"session": "demo--bob", "services": []})
    threads = [
        threading.Thread(target=env_lab.runtime.up, args=(plan, env_lab.steps.append)) for plan in (first, second)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [step.name for step in env_lab.steps if step.state == "done"].count("environment tiny") == 1
    assert (env_lab.home / "envs" / first.envs[0].folder / ".complete").exists()


def test_up_killed_while_an_environment_is_made_is_finished_by_the_next(env_lab: LocalLab, tmp_path: Path) -> None:
    (tmp_path / "plan.json").write_text(env_lab.plan().model_dump_json())
    program = """
import os, signal, sys
from pathlib import Path
from labctl import settings
from labctl.plan import Plan
from labctl.runtimes.local.runtime import LocalRuntime
plan = Plan.model_validate_json(Path(sys.argv[1]).read_text())
die = lambda step: os.kill(os.getpid(), signal.SIGKILL) if step.state == "progress" else None
LocalRuntime(settings.load({"LABCTL_HOME": sys.argv[2], "USER": "ada"})).up(plan, die)
"""
    killed = subprocess.run([sys.executable, "-c", program, tmp_path / "plan.json", env_lab.home], check=False)
    assert killed.returncode == -9
    assert env_lab.up().changed == ("environment tiny", "web")


def test_a_model_is_built_in_its_environment_and_found_by_services(lab_of: Labs, wheels: Path) -> None:
    lab = lab_of(profile="memory: 1MiB, disk: 1MiB, model: toy")
    _lock(lab, "trivial==1.0\n")
    _model(
        lab,
        "import os, shared, sys, trivial\nprint('epoch 1')\nos.makedirs(sys.argv[1])\nopen(sys.argv[1] + '/w', 'w').write('42')\n",
    )
    assert lab.up().changed == ("environment tiny", "model toy", "web")
    path = lab.plan().model_path
    assert path is not None
    assert lab.target().read(f"{path}/w") == b"42"
    assert lab.target().run(["sh", "-c", "echo $MODEL_PATH $HF_HUB_OFFLINE"], timeout_s=10).stdout == f"{path} 1\n"
    assert any(step.name == "model toy" and step.detail == "epoch 1" for step in lab.steps)
    assert lab.up().changed == ()


def test_a_model_is_built_anew_when_what_it_imports_changes(lab_of: Labs, wheels: Path) -> None:
    lab = lab_of(profile="memory: 1MiB, disk: 1MiB, model: toy")
    _lock(lab, "trivial==1.0\n")
    _model(lab, "import os, shared, sys\nos.makedirs(sys.argv[1])\nopen(sys.argv[1] + '/w', 'w').write(shared.WORD)\n")
    lab.up()
    (lab.folder.parent / "models/common/shared.py").write_text("WORD = 'others'\n")
    assert "model toy" in lab.up().changed
    assert lab.target().read(f"{lab.plan().model_path}/w") == b"others"
    assert not list((lab.folder.parent / "models").rglob("__pycache__"))


def test_a_model_that_cannot_be_built_leaves_nothing_and_names_its_log(lab_of: Labs, wheels: Path) -> None:
    lab = lab_of(profile="memory: 1MiB, disk: 1MiB, model: toy")
    _lock(lab, "trivial==1.0\n")
    _model(lab, "import os, sys\nos.makedirs(sys.argv[1])\nsys.exit('loss is NaN')\n")
    with pytest.raises(PreflightError, match="loss is NaN") as caught:
        lab.up()
    log = caught.value.hint.rpartition(" ")[2]
    assert "loss is NaN" in Path(log).read_text()
    assert not Path(lab.plan().models[0].path).exists()


def test_ctrl_c_while_a_model_is_built_ends_its_command(lab_of: Labs, wheels: Path, tmp_path: Path) -> None:
    lab = lab_of(profile="memory: 1MiB, disk: 1MiB, model: toy")
    _lock(lab, "trivial==1.0\n")
    _model(lab, "import os, time\nprint('pid', os.getpid(), flush=True)\ntime.sleep(600)\n")
    (tmp_path / "plan.json").write_text(lab.plan().model_dump_json())
    program = """
import sys
from pathlib import Path
from labctl import settings
from labctl.plan import Plan
from labctl.runtimes.local.runtime import LocalRuntime
plan = Plan.model_validate_json(Path(sys.argv[1]).read_text())
say = lambda step: print(step.detail, flush=True)
LocalRuntime(settings.load({"LABCTL_HOME": sys.argv[2], "USER": "ada"})).up(plan, say)
"""
    command = [sys.executable, "-c", program, str(tmp_path / "plan.json"), str(lab.home)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as child:
        assert child.stdout is not None
        pid = next(int(line.split()[1]) for line in child.stdout if line.startswith("pid "))
        child.send_signal(signal.SIGINT)
        child.wait(20)
    assert not alive(pid)


def test_a_model_that_is_on_disk_is_taken_from_there_and_the_hub_is_left_alone(lab_of: Labs, tmp_path: Path) -> None:
    (tmp_path / "models" / "org" / "small").mkdir(parents=True)
    lab = lab_of(profile="memory: 1MiB, disk: 1MiB, model: org/small")
    environ = {"LABCTL_HOME": str(lab.home), "LABCTL_MODELS": str(tmp_path / "models"), "USER": "ada"}
    lab.runtime = LocalRuntime(settings.load(environ))
    lab.up()
    said = lab.target().run(["sh", "-c", "echo $MODEL_PATH $HF_HUB_OFFLINE"], timeout_s=10)
    assert said.stdout == f"{tmp_path}/models/org/small 1\n"


def test_the_hosts_gpus_are_listed_or_their_absence_is_explained(runtime: LocalRuntime) -> None:
    found = runtime.gpus()
    assert bool(found.gpus) != bool(found.problem)


def test_preflight_names_all_that_is_missing_at_once(lab_of: Labs, wheels: Path) -> None:
    lab = lab_of(IN_ENV, profile="disk: 900TiB, memory: 900TiB, gpu: {count: 1}")
    _lock(lab, "trivial==1.0\n")
    disk, memory, gpu = lab.runtime.preflight(lab.plan())
    assert "demo needs 921600 GiB of disk" in disk.what
    assert "demo needs 921600 GiB of memory" in memory.what
    assert "none is allocated" in gpu.what


def test_a_full_disk_while_an_environment_is_made_is_named(env_lab: LocalLab, tmp_path: Path) -> None:
    place = tmp_path / "tiny"
    place.mkdir()
    if (
        os.geteuid() != 0
        or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", place], check=False).returncode
    ):
        pytest.skip("mounting a tmpfs needs root: run the tests as root, or in a container with CAP_SYS_ADMIN")
    try:
        env_lab.home = place
        env_lab.runtime = LocalRuntime(settings.load({"LABCTL_HOME": str(place), "USER": "ada"}))
        plan: Plan = env_lab.plan()
        with (place / "filler").open("wb") as filler:
            filler.write(b"\0" * (1024 * 1024 - 40 * 1024))
        with pytest.raises(PreflightError, match="the disk is full"):
            env_lab.runtime.up(plan, env_lab.steps.append)
    finally:
        subprocess.run(["umount", "-l", place], check=True)


def test_each_of_several_models_is_named_in_the_environment(lab_of: Labs, wheels: Path) -> None:
    lab = lab_of(profile="memory: 1MiB, disk: 1MiB, model: toy, models: {same: toy, far: some/hub-model}")
    _lock(lab, "trivial==1.0\n")
    _model(lab, "import os, sys\nos.makedirs(sys.argv[1])\n")
    assert lab.up().changed == ("environment tiny", "model toy", "web")
    path = lab.plan().model_path
    told = lab.target().run(["sh", "-c", "env | grep -e MODEL -e HF_HUB_OFFLINE | sort"], timeout_s=10).stdout
    assert told == f"MODEL_PATH={path}\nMODEL_PATH_FAR=some/hub-model\nMODEL_PATH_SAME={path}\n"
