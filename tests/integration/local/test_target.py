"""A session as checks see it, against learners' files, commands and servers of every kind."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator

import psutil
import pytest

from labctl.checks.file import FileCheck
from labctl.errors import NotFoundError
from labctl.outcomes import Outcome
from labctl.target import CannotLook, RefusedPath, Request, Target, Unreachable

from .sessions import WEB, LocalLab, alive, until

Labs = Callable[..., LocalLab]
Answer = Callable[[socket.socket], None]


@pytest.fixture
def lab(lab_of: Labs) -> LocalLab:
    """A session without services."""
    lab = lab_of("idle: {command: [sleep, '600']}")
    lab.up()
    return lab


@pytest.fixture
def target(lab: LocalLab) -> Target:
    return lab.target()


@pytest.fixture
def answering(lab_of: Labs) -> Iterator[Callable[[Answer], Target]]:
    """A target whose learner's service `app` answers its first connection as told, instead of a real program."""
    listening: list[socket.socket] = []

    def make(answer: Answer) -> Target:
        lab = lab_of("app: {command: [sleep, '600'], ports: {http: 8000}, owner: learner}")
        lab.up()
        server = socket.create_server(("127.0.0.1", lab.state("app").ports["http"]))
        listening.append(server)

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(65536)
                try:
                    answer(connection)
                except OSError:
                    return

        threading.Thread(target=serve, daemon=True).start()
        return lab.target()

    yield make
    for server in listening:
        server.close()


def test_a_command_that_hangs_is_killed_with_all_its_children(lab: LocalLab, target: Target) -> None:
    program = (
        "import signal, subprocess, sys, time; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "children = [subprocess.Popen(['sleep', '600'], start_new_session=leaves) for leaves in (False, True)]\n"
        "print(*[child.pid for child in children], flush=True); time.sleep(600)"
    )
    said = target.run([sys.executable, "-c", program], timeout_s=1.5)
    assert said.timed_out
    assert said.duration_s < 6
    for pid in map(int, said.stdout.split()):
        until(lambda pid=pid: not alive(pid))  # type: ignore[misc]


def test_a_child_that_forks_twice_into_a_session_of_its_own_and_lets_go_of_everything_is_ended(target: Target) -> None:
    program = (
        "import os, time\n"
        "read, write = os.pipe()\n"
        "if not os.fork():\n"
        "    os.setsid()\n"
        "    if os.fork(): os._exit(0)\n"
        "    os.write(write, str(os.getpid()).encode())\n"
        "    os.closerange(0, 100)\n"
        "    time.sleep(600)\n"
        "print(os.read(read, 20).decode())"
    )
    said = target.run([sys.executable, "-c", program], timeout_s=20)
    assert said.exit_code == 0
    until(lambda: not alive(int(said.stdout)))


def test_a_hundred_megabytes_of_output_are_cut_and_never_held(target: Target) -> None:
    before = psutil.Process().memory_info().rss
    said = target.run(["head", "-c", "100000000", "/dev/zero"], timeout_s=60, max_output_bytes=1000)
    assert len(said.stdout) == 1000
    assert said.truncated
    assert said.exit_code == 0
    assert psutil.Process().memory_info().rss - before < 30 * 1024 * 1024


def test_input_that_nobody_reads_does_not_block(target: Target) -> None:
    assert target.run(["true"], timeout_s=10, stdin=b"x" * 5_000_000).exit_code == 0


def test_large_input_arrives_whole(target: Target) -> None:
    assert target.run(["wc", "-c"], timeout_s=10, stdin=b"x" * 5_000_000).stdout.strip() == "5000000"


def test_files_are_read_relative_to_the_workspace_or_below_the_lab(lab: LocalLab, target: Target) -> None:
    (lab.workspace / "out").mkdir()
    (lab.workspace / "out" / "a.txt").write_text("hello")
    assert target.read("out/a.txt") == b"hello"
    assert target.read("out/a.txt", max_bytes=2) == b"he"
    assert target.read(str(lab.folder / "lab.yaml")).startswith(b"title")
    with pytest.raises(FileNotFoundError):
        target.read("out/b.txt")
    with pytest.raises(IsADirectoryError):
        target.read("out")


@pytest.mark.parametrize(
    "path", ["/etc/passwd", "../secret", "out/../../secret", "link", "folder/passwd", "a\0b", "loop"]
)
def test_paths_that_lead_out_are_refused(lab: LocalLab, target: Target, path: str) -> None:
    (lab.workspace.parent / "secret").write_text("x")
    (lab.workspace / "link").symlink_to(lab.workspace.parent / "secret")
    (lab.workspace / "folder").symlink_to("/etc")
    (lab.workspace / "loop").symlink_to("loop")
    with pytest.raises(RefusedPath):
        target.read(path)


def test_a_link_that_stays_inside_is_followed(lab: LocalLab, target: Target) -> None:
    (lab.workspace / "real").write_text("x")
    (lab.workspace / "link").symlink_to("real")
    assert target.read("link") == b"x"


def test_a_fifo_and_a_device_are_refused_and_do_not_block(lab: LocalLab, target: Target) -> None:
    os.mkfifo(lab.workspace / "fifo")
    with pytest.raises(RefusedPath, match="no regular file"):
        target.read("fifo")
    server = socket.socket(socket.AF_UNIX)
    with server:
        here = os.open(lab.workspace, os.O_RDONLY)
        server.bind(f"/proc/self/fd/{here}/sock")
        os.close(here)
        with pytest.raises(RefusedPath, match="no regular file"):
            target.read("sock")


def test_a_folder_swapped_for_a_link_while_reading_gives_nothing_away(lab: LocalLab, target: Target) -> None:
    outside = lab.workspace.parent / "outside"
    outside.mkdir()
    (outside / "f").write_text("secret")
    (lab.workspace / "d").mkdir()
    (lab.workspace / "d" / "f").write_text("mine")
    done = threading.Event()

    def swap() -> None:
        while not done.is_set():
            (lab.workspace / "d").rename(lab.workspace / "kept")
            (lab.workspace / "d").symlink_to(outside)
            (lab.workspace / "d").unlink()
            (lab.workspace / "kept").rename(lab.workspace / "d")

    thread = threading.Thread(target=swap)
    thread.start()
    try:
        seen = {_read(target, "d/f") for _ in range(2000)}
        deadline = time.monotonic() + 60  # on a busy core the two may take turns so that it is always away
        while b"mine" not in seen and time.monotonic() < deadline:
            seen.add(_read(target, "d/f"))
    finally:
        done.set()
        thread.join()
    assert b"secret" not in seen
    assert b"mine" in seen


def _read(target: Target, path: str) -> bytes:
    try:
        return target.read(path)
    except (FileNotFoundError, RefusedPath):
        return b""


def test_what_is_there_and_cannot_be_read_is_still_there(lab: LocalLab, target: Target) -> None:
    (lab.workspace / "out").symlink_to("/etc/passwd")
    (lab.workspace / "dangling").symlink_to("nowhere")
    (lab.workspace / "loop").symlink_to("loop")
    os.mkfifo(lab.workspace / "fifo")
    for path in ("out", "dangling", "loop", "fifo"):
        assert [(found.path, found.readable, found.size_bytes) for found in target.find(path)] == [(path, False, 0)]
        assert FileCheck(path=path, exists=False).run(target).outcome is Outcome.FAIL
        wanted = FileCheck(path=path).run(target)
        assert (wanted.outcome, wanted.message) == (Outcome.FAIL, f"{path} is no file of the workspace")
    assert FileCheck(path="none", exists=False).run(target).outcome is Outcome.PASS


@pytest.mark.slow
def test_a_workspace_with_too_much_to_search_fails_the_check(lab: LocalLab, target: Target) -> None:
    for number in range(200_001):
        (lab.workspace / f"l{number}").symlink_to("x")
    result = FileCheck(path="**/x").run(target)
    assert (result.outcome, "more than 200000 files" in result.message) == (Outcome.FAIL, True)


def test_find_stops_at_ten_thousand(lab: LocalLab, target: Target) -> None:
    for number in range(10_050):
        (lab.workspace / f"f{number}").touch()
    assert len(target.find("*")) == 10_000


def test_a_learners_service_that_does_not_answer_is_the_learners_failure(lab_of: Labs) -> None:
    lab = lab_of(
        WEB + "app: {command: [sh, -c, 'echo SyntaxError in app.py; exec sleep 600'], ports: {http: 1}, owner: learner}"
    )
    lab.up()
    until(lambda: "SyntaxError" in lab.log("app"))
    with pytest.raises(Unreachable, match="nothing listens") as caught:
        lab.target().request(Request(service="app"))
    assert f"its process {lab.pid('app')} has been running" in str(caught.value)
    assert "SyntaxError in app.py" in str(caught.value)
    os.kill(lab.supervisor_pid(), signal.SIGKILL)
    os.kill(lab.pid("web"), signal.SIGKILL)
    with pytest.raises(CannotLook, match="the supervisor is not running"):
        lab.target().request(Request(service="web"))


def test_an_unknown_service_or_port_cannot_be_looked_at(target: Target) -> None:
    with pytest.raises(CannotLook, match="no service 'nope'; it has idle"):
        target.request(Request(service="nope"))
    with pytest.raises(CannotLook, match="has no port"):
        target.url("idle")


def _drip_body(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n")
    for _ in range(1000):
        connection.sendall(b"x")
        time.sleep(0.1)


def _drip_headers(connection: socket.socket) -> None:
    for byte in b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 90:
        connection.sendall(bytes([byte]))
        time.sleep(0.1)


@pytest.mark.parametrize("drip", [_drip_body, _drip_headers])
def test_a_slow_drip_ends_at_the_deadline(answering: Callable[[Answer], Target], drip: Answer) -> None:
    target = answering(drip)
    started = time.monotonic()
    with pytest.raises(Unreachable, match="no complete answer within 1s"):
        target.request(Request(service="app", timeout_s=1.0))
    assert time.monotonic() - started < 3


def test_an_answer_that_is_no_http_is_said_to_be_none(answering: Callable[[Answer], Target]) -> None:
    target = answering(lambda connection: connection.sendall(b"SSH-2.0-OpenSSH\r\n"))
    with pytest.raises(Unreachable, match="not HTTP"):
        target.request(Request(service="app", timeout_s=5))


def test_an_endless_body_is_cut(answering: Callable[[Answer], Target]) -> None:
    def endless(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            connection.sendall(b"x" * 65536)

    answer = answering(endless).request(Request(service="app", timeout_s=10, max_bytes=1_000_000))
    assert (len(answer.body), answer.truncated) == (1_000_000, True)


def test_an_answer_that_breaks_off_is_no_answer(answering: Callable[[Answer], Target]) -> None:
    half = b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf of it"
    with pytest.raises(Unreachable, match="broke off 90 bytes before its end"):
        answering(lambda connection: connection.sendall(half)).request(Request(service="app"))


def test_a_redirect_is_an_answer_and_not_followed(answering: Callable[[Answer], Target]) -> None:
    away = b"HTTP/1.1 302 Found\r\nlocation: http://169.254.169.254/\r\ncontent-length: 0\r\n\r\n"
    assert answering(lambda connection: connection.sendall(away)).request(Request(service="app")).status == 302


def test_a_session_that_was_never_started_has_no_target(lab_of: Labs) -> None:
    with pytest.raises(NotFoundError, match="never started"):
        lab_of().target()


def test_following_a_log_survives_rotation_and_ends_with_the_service(lab_of: Labs) -> None:
    program = "import time; [print(f'line {n} ' + 'x' * 1000) for n in range(25000)]; print('the end', flush=True); time.sleep(1.2)"
    lab = lab_of(
        f'talker: {{command: [python3, -c, "{program}"], restart: "no", healthcheck: {{tcp: false, command: ["true"]}}}}'
    )
    lab.up()
    lines = list(lab.runtime.logs(lab.handle, "talker", follow=True))
    assert lines[-1] == "the end"
    numbers = [int(line.split()[1]) for line in lines[:-1]]
    assert numbers[-1] == 24999
    assert numbers == list(range(numbers[0], 25000))


def test_old_lines_are_left_out_by_since(lab_of: Labs) -> None:
    program = "import time; print('2020-01-01 00:00:00 old'); print('  more of it'); print('2999-01-01T00:00:00 new', flush=True); time.sleep(600)"
    lab = lab_of(f'talker: {{command: [python3, -c, "{program}"]}}')
    lab.up()
    until(lambda: "new" in lab.log("talker"))
    assert list(lab.runtime.logs(lab.handle, "talker", since_s=3600)) == ["2999-01-01T00:00:00 new"]


def test_ctrl_c_during_exec_goes_to_the_command(lab: LocalLab) -> None:
    program = f"""
import sys
from labctl import settings
from labctl.runtimes.local.runtime import LocalRuntime
runtime = LocalRuntime(settings.load({{"LABCTL_HOME": {str(lab.home)!r}, "USER": "ada"}}))
command = ["sh", "-c", "trap 'exit 9' INT; echo ready; while :; do sleep 0.05; done"]
code = runtime.exec({{"session": {lab.session!r}}}, command)
print("code", code)
"""
    child = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, start_new_session=True)
    with child:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
        os.killpg(child.pid, signal.SIGINT)
        assert child.stdout.read() == "code 9\n"
