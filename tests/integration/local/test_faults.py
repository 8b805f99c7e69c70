"""What goes wrong around a session, and that it is survived."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from labctl import settings
from labctl.errors import PreflightError, UnhealthyError
from labctl.runtimes.base import State
from labctl.runtimes.folder import SessionFolder
from labctl.runtimes.local.runtime import LocalRuntime

from .sessions import WEB, LocalLab, alive, until

Labs = Callable[..., LocalLab]

SERVER = "import http.server as h; h.HTTPServer(('127.0.0.1', {{ port('http') }}), h.SimpleHTTPRequestHandler).serve_forever()"


def server(prelude: str, *, grace: str = "10s", timeout: str = "20s") -> str:
    return f"""
web:
  command: [python3, -c, "{prelude}; {SERVER}"]
  ports: {{http: 8000}}
  healthcheck: {{http: /, timeout: {timeout}, interval: 50ms}}
  stop_grace_period: {grace}
"""


def test_a_service_that_exits_at_once_is_reported_with_its_last_words(lab_of: Labs) -> None:
    lab = lab_of(server("print('no such model: tiny'); raise SystemExit(3)"))
    with pytest.raises(UnhealthyError) as caught:
        lab.up()
    assert "web does not stay up" in caught.value.what
    assert "no such model: tiny" in caught.value.what
    assert "labctl logs demo web" in caught.value.hint
    assert lab.state().state is State.FAILED
    assert "no such model: tiny" in lab.state().reason


def test_a_program_that_does_not_exist_is_named(lab_of: Labs) -> None:
    lab = lab_of("web: {command: [no-such-program], restart: 'no'}")
    with pytest.raises(UnhealthyError, match="no-such-program"):
        lab.up()


def test_a_service_that_hangs_is_reported_with_what_its_health_check_saw(lab_of: Labs) -> None:
    lab = lab_of(server("import time; time.sleep(600)", timeout="2s"))
    with pytest.raises(UnhealthyError, match=r"within 2\.0s: GET /: nothing listens on port"):
        lab.up()


def test_a_service_that_accepts_and_never_answers_does_not_hang_up(lab_of: Labs) -> None:
    deaf = "import socket, time; s = socket.create_server(('127.0.0.1', {{ port('http') }})); time.sleep(600)"
    lab = lab_of(server(deaf, timeout="2s"))
    started = time.monotonic()
    with pytest.raises(UnhealthyError, match="no complete answer within"):
        lab.up()
    assert time.monotonic() - started < 15


def test_one_failing_service_does_not_keep_independent_ones_from_starting(lab_of: Labs) -> None:
    lab = lab_of(
        WEB
        + """
bad: {command: ["false"], restart: "no"}
after: {command: [sleep, "600"], depends_on: [bad]}
"""
    )
    with pytest.raises(UnhealthyError) as caught:
        lab.up()
    assert "service bad ended with exit code 1" in caught.value.what
    assert "service after was not started, because bad is not ready" in caught.value.what
    assert lab.state("web").state is State.RUNNING
    assert lab.state("after").state is State.STOPPED


def test_a_service_that_floods_its_log_fills_no_disk(lab_of: Labs) -> None:
    flood = "import threading; threading.Thread(target=lambda: [print('x' * 1000) for _ in range(60000)]).start()"
    lab = lab_of(server(flood))
    lab.up()
    logs = lab.home / "sessions" / lab.session / "logs"
    until(lambda: (logs / "web.log.2").exists())
    until(lambda: len(list(logs.glob("web.log*"))) == 3)
    assert sum(file.stat().st_size for file in logs.glob("web.log*")) < 40 * 1024 * 1024
    assert lab.state().state is State.RUNNING


def test_a_stopped_and_deaf_service_is_restarted_by_up(lab_of: Labs) -> None:
    lab = lab_of(server("pass", grace="1s"))
    lab.up()
    pid = lab.pid()
    os.kill(pid, signal.SIGSTOP)
    assert lab.state().state is State.UNHEALTHY
    assert lab.runtime.changes(lab.plan())[0].startswith("start service web again")
    assert lab.up().changed == ("web",)
    assert lab.pid() != pid


def test_after_the_supervisor_is_killed_state_says_so_and_up_brings_it_back(lab_of: Labs) -> None:
    lab = lab_of()
    lab.up()
    orphan = lab.pid()
    os.kill(lab.supervisor_pid(), signal.SIGKILL)
    until(lambda: lab.state().state is State.FAILED)
    assert "the supervisor is not running; `labctl up demo` brings it back" in lab.state().reason
    assert str(orphan) in lab.state().reason
    port = lab.state().ports["http"]
    assert lab.up().changed == ("web",)
    assert lab.state().ports["http"] == port
    assert not alive(orphan)


def test_up_after_the_supervisor_is_killed_leaves_what_the_learner_runs(lab_of: Labs) -> None:
    lab = lab_of()
    lab.up()
    environment = {**os.environ, **SessionFolder(lab.home, lab.session).marks}
    with subprocess.Popen(["sleep", "600"], env=environment) as mine:  # as `labctl exec` starts it
        os.kill(lab.supervisor_pid(), signal.SIGKILL)
        until(lambda: lab.state().state is State.FAILED)
        assert lab.up().changed == ("web",)
        assert mine.poll() is None
        lab.down()
        assert not alive(mine.pid)


def test_a_supervisor_whose_socket_is_gone_is_replaced_and_not_doubled(lab_of: Labs) -> None:
    lab = lab_of()
    lab.up()
    before = lab.supervisor_pid()
    (lab.home / "sessions" / lab.session / "supervisor.sock").unlink()
    assert lab.up().changed == ("web",)
    assert not alive(before)
    assert len(lab.pids(LABCTL_SERVICE="web")) == 1


def test_after_the_supervisor_is_killed_down_ends_its_orphans(lab_of: Labs) -> None:
    lab = lab_of()
    lab.up()
    os.kill(lab.supervisor_pid(), signal.SIGKILL)
    lab.down()
    assert lab.pids() == []


def test_a_supervisor_that_hangs_is_killed_by_down(lab_of: Labs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("labctl.runtimes.local.supervisor._ANSWER_S", 0.5)
    lab = lab_of(server("pass", grace="1s"))
    lab.up()
    os.kill(lab.supervisor_pid(), signal.SIGSTOP)
    lab.down()
    assert lab.pids() == []


def test_a_service_that_ignores_sigterm_is_killed_after_its_grace(lab_of: Labs) -> None:
    lab = lab_of(server("import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)", grace="1s"))
    lab.up()
    started = time.monotonic()
    lab.down()
    assert lab.pids() == []
    assert time.monotonic() - started < 8


def test_a_grandchild_that_left_the_process_group_does_not_survive_down(lab_of: Labs) -> None:
    leave = "import subprocess; subprocess.Popen(['sleep', '600'], start_new_session=True)"
    lab = lab_of(server(leave))
    lab.up()
    assert len(lab.pids(LABCTL_SERVICE="web")) == 2
    lab.down()
    assert lab.pids() == []


def test_processes_without_a_folder_are_remains_and_go_down(lab_of: Labs) -> None:
    lab = lab_of()
    lab.up()
    shutil.rmtree(lab.home / "sessions")
    assert [remain.session for remain in lab.runtime.remains()] == [lab.session]
    lab.down()
    assert lab.pids() == []


def test_a_port_taken_while_the_service_runs_up_is_mended_by_the_next_up(lab_of: Labs) -> None:
    lab = lab_of(server("pass", timeout="5s"))
    plan = lab.plan()
    with socket.create_server(("127.0.0.1", plan.services[0].ports["http"])):
        with pytest.raises(UnhealthyError, match="Address already in use"):
            lab.runtime.up(plan, lab.steps.append)
        lab.up()
        assert lab.state().state is State.RUNNING


@pytest.mark.parametrize("after_s", [0.05, 0.5, 1.2])
def test_up_killed_at_any_moment_is_finished_by_the_next_up(lab_of: Labs, tmp_path: Path, after_s: float) -> None:
    lab = lab_of()
    (tmp_path / "plan.json").write_text(lab.plan().model_dump_json())
    program = """
import sys
from pathlib import Path
from labctl import settings
from labctl.plan import Plan
from labctl.runtimes.local.runtime import LocalRuntime
plan = Plan.model_validate_json(Path(sys.argv[1]).read_text())
runtime = LocalRuntime(settings.load({"LABCTL_HOME": sys.argv[2], "USER": "ada"}))
print("go", flush=True)
runtime.up(plan, lambda step: None)
"""
    command = [sys.executable, "-c", program, str(tmp_path / "plan.json"), str(lab.home)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "go\n"
        time.sleep(after_s)
        child.kill()
    lab.up()
    assert lab.state().state is State.RUNNING
    assert len(lab.pids(LABCTL_SERVICE="web")) == 1
    lab.down()
    assert lab.pids() == []


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1 MiB."""
    place = tmp_path / "tiny"
    place.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", place], capture_output=True, check=False)
    if mounted.returncode != 0:
        pytest.skip("mounting a tmpfs needs root: run the tests as root, or in a container with CAP_SYS_ADMIN")
    yield place
    subprocess.run(["umount", "-l", place], check=True)


def test_a_full_disk_is_named_and_up_works_once_there_is_room(lab_of: Labs, tiny_disk: Path) -> None:
    lab = lab_of()
    lab.home = tiny_disk / "home"
    lab.runtime = LocalRuntime(settings.load({"LABCTL_HOME": str(lab.home), "USER": "ada"}))
    plan = lab.plan()
    subprocess.run(
        ["dd", "if=/dev/zero", f"of={tiny_disk}/filler"], capture_output=True, check=False
    )  # until it is full
    with pytest.raises(PreflightError, match="the disk is full"):
        lab.runtime.up(plan, lab.steps.append)
    (tiny_disk / "filler").unlink()
    lab.runtime.up(plan, lab.steps.append)
    lab.down()


@pytest.fixture
def sealed(tmp_path: Path) -> Iterator[Path]:
    """A folder that this user cannot write, whoever that is."""
    place = tmp_path / "sealed"
    place.mkdir(mode=0o500)
    is_root = os.geteuid() == 0
    mount = ["mount", "-t", "tmpfs", "-o", "ro,size=1m", "none", str(place)]
    if is_root and subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("root can write anywhere and may not mount here: run the tests as another user")
    yield place
    if is_root:
        subprocess.run(["umount", "-l", place], check=True)


def test_a_home_that_cannot_be_written_is_named(lab_of: Labs, sealed: Path) -> None:
    lab = lab_of()
    lab.runtime = LocalRuntime(settings.load({"LABCTL_HOME": str(sealed / "home"), "USER": "ada"}))
    with pytest.raises(PreflightError, match="cannot be written") as caught:
        lab.plan()
    assert "LABCTL_HOME" in caught.value.hint
    lab.runtime = LocalRuntime(settings.load({"LABCTL_HOME": str(lab.home), "USER": "ada"}))


def test_preflight_names_a_workspace_that_cannot_be_written(lab_of: Labs, sealed: Path) -> None:
    lab = lab_of()
    lab.workspace = sealed / "work"
    problems = lab.runtime.preflight(lab.plan())
    assert [problem.what.split(" (")[0] for problem in problems] == [f"{sealed}/work cannot be written"]
