"""What happens inside a session: logs, commands, and the session as checks see it."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator

import pytest

from labctl.errors import LabctlError, NotFoundError
from labctl.target import CannotLook, RefusedPath, Request, Unreachable
from tests.conformance.engines import Engine, on_engines_that_map_users, on_real_engines
from tests.conformance.homes import Home, is_free, until
from tests.conformance.labs import IMAGE, server, worker


def start(host: Home) -> Home:
    """Start a service of the lab, `web`, and one of the learner, `app`; the workspace has a variable of its own."""
    services = {"web": server(), "app": server(owner="learner", environment={"COLOUR": "red"})}
    host.write(services, image=IMAGE, environment={"FLAVOUR": "{{ profile }}"})
    host.up()
    return host


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory, engine: Engine) -> Iterator[Home]:
    """A session for all the tests that only look."""
    host = Home(tmp_path_factory.mktemp("shared"), engine)
    yield start(host)
    host.end_everything()


@pytest.fixture
def running(shared: Home) -> Home:
    """The shared session, with nothing in its workspace but the starter."""
    for path in shared.workspace().iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        elif path.name not in (".labctl", "readme.txt"):
            path.unlink()
    return shared


def test_logs_are_shown_and_an_unknown_service_is_refused(running: Home) -> None:
    until(lambda: running.logs("web") != [])
    before = running.logs("web")
    seen = running.target().logs("web").splitlines()
    after = running.logs("web")  # each probe adds a line: what checks see lies between the two
    assert before == seen[: len(before)]
    assert seen == after[: len(seen)]
    with pytest.raises(NotFoundError, match="nope"):
        running.logs("nope")
    with pytest.raises(CannotLook, match="nope"):
        running.target().logs("nope")


@on_real_engines
def test_logs_hold_every_line_and_the_end_of_them_is_cut_to_the_limit(host: Home) -> None:
    host.write({"talker": worker("say:one", "say:zwölf", "say:the end", "sleep")})
    host.up()
    until(lambda: "the end" in host.target().logs("talker"))
    assert host.logs("talker") == ["one", "zwölf", "the end"]
    assert host.target().logs("talker", max_bytes=8).strip() == "the end"


@on_real_engines
def test_old_lines_are_left_out_by_since(host: Home) -> None:
    host.write({"talker": worker("say:long ago", "sleep")})
    host.up()
    until(lambda: host.logs("talker", since_s=3600.0) == ["long ago"])
    until(lambda: host.logs("talker", since_s=0.5) == [])
    assert host.logs("talker") == ["long ago"]


@on_real_engines
def test_following_a_log_ends_with_the_service(host: Home) -> None:
    host.write({"talker": worker("say:one", "wait:go", "say:the end")})
    host.up()
    lines = host.runtime.logs(host.session().handle, "talker", follow=True)
    assert next(lines) == "one"
    (host.workspace() / "go").touch()
    assert list(lines) == ["the end"]


def test_exec_runs_in_the_workspace_with_the_labs_environment(running: Home) -> None:
    assert running.exec("sh", "-c", 'echo "$LABCTL_LAB $FLAVOUR" > seen') == 0
    assert (running.workspace() / "seen").read_text() == "conformance cpu\n"
    assert running.exec("sh", "-c", 'test "$COLOUR" = red', service="app") == 0
    with pytest.raises(NotFoundError, match="nope"):
        running.exec("true", service="nope")


@pytest.mark.parametrize("code", [0, 1, 7, 126, 127, 255])
def test_exec_passes_the_exit_code(running: Home, code: int) -> None:
    assert running.exec("sh", "-c", f"exit {code}") == code


def test_exec_tells_a_program_that_is_not_there_from_success(running: Home) -> None:
    assert _exit_code(running, "no-such-program") in (126, 127, NotFoundError.exit_code)  # older engines say 126


def _exit_code(host: Home, program: str) -> int:
    """What `labctl exec` ends with."""
    try:
        return host.exec(program)
    except LabctlError as error:
        return error.exit_code


def test_a_command_of_a_check_has_its_input_environment_and_exit_code(running: Home) -> None:
    said = running.target().run(
        ["sh", "-c", 'cat; echo "$EXTRA $LABCTL_LAB $FLAVOUR"; echo bad >&2; touch here; exit 3'],
        timeout_s=30,
        env={"EXTRA": "x"},
        stdin=b"in\n",
    )
    assert (said.exit_code, said.stdout, said.stderr) == (3, "in\nx conformance cpu\n", "bad\n")
    assert not said.timed_out
    assert not said.truncated
    assert (running.workspace() / "here").exists()


@on_real_engines
def test_commands_of_checks_find_services_by_their_urls(running: Home) -> None:
    fetch = "import os, urllib.request as u; print(u.urlopen(os.environ['LABCTL_URL_WEB'] + '/file/readme.txt').read())"
    assert running.target().run(["python3", "-c", fetch], timeout_s=30).stdout == "b'start here\\n'\n"


@pytest.mark.parametrize(("program", "code"), [("no-such-program", 127), ("./readme.txt", 126)])
def test_a_command_that_cannot_run_ends_as_shells_say(running: Home, program: str, code: int) -> None:
    assert running.target().run([program], timeout_s=30).exit_code == code


@on_real_engines
def test_a_command_that_hangs_is_killed_with_all_it_started(running: Home) -> None:
    program = 'python3 -c \'import fcntl, time; f = open("held", "w"); fcntl.flock(f, 2); print(1, flush=True); time.sleep(600)\''
    said = running.target().run(["sh", "-c", f"setsid {program} & {program}"], timeout_s=2)
    assert said.timed_out
    assert said.stdout.startswith("1\n")
    until(lambda: is_free(running.workspace() / "held"))


@on_real_engines
def test_a_child_that_a_command_left_behind_is_ended_with_it(running: Home) -> None:
    hold = "import fcntl, time; f = open('held', 'w'); fcntl.flock(f, 2); open('held.held', 'w'); time.sleep(600)"
    leave = f"import subprocess, os, time; subprocess.Popen(['python3', '-c', {hold!r}], start_new_session=True)\n"
    wait = "while not os.path.exists('held.held'): time.sleep(0.02)"
    said = running.target().run(["python3", "-c", leave + wait], timeout_s=30)
    assert (said.exit_code, said.timed_out) == (0, False)
    until(lambda: is_free(running.workspace() / "held"))


def test_output_beyond_the_limit_is_cut_and_does_not_block(running: Home) -> None:
    said = running.target().run(["head", "-c", "3000000", "/dev/zero"], timeout_s=60, max_output_bytes=1000)
    assert (len(said.stdout), said.truncated, said.exit_code) == (1000, True, 0)


def test_large_input_arrives_whole_and_input_that_nobody_reads_does_not_block(running: Home) -> None:
    target = running.target()
    assert target.run(["wc", "-c"], timeout_s=30, stdin=b"x" * 1_000_000).stdout.strip() == "1000000"
    assert target.run(["true"], timeout_s=30, stdin=b"x" * 1_000_000).exit_code == 0


def test_files_are_read_and_what_is_none_is_told(running: Home) -> None:
    target = running.target()
    (running.workspace() / "out").mkdir()
    (running.workspace() / "out" / "a.txt").write_text("hello")
    assert target.read("out/a.txt") == b"hello"
    assert target.read("out/a.txt", max_bytes=2) == b"he"
    with pytest.raises(FileNotFoundError):
        target.read("out/b.txt")
    with pytest.raises(IsADirectoryError):
        target.read("out")


@pytest.mark.parametrize("path", ["/etc/passwd", "../secret", "link", "folder/passwd"])
def test_no_path_leads_out_of_the_workspace(running: Home, path: str) -> None:
    (running.workspace().parent / "secret").write_text("x")
    (running.workspace() / "link").symlink_to(running.workspace().parent / "secret")
    (running.workspace() / "folder").symlink_to("/etc")
    with pytest.raises(RefusedPath):
        running.target().read(path)


def test_find_lists_what_a_glob_matches(running: Home) -> None:
    for name in ("a.txt", "deep/b.txt", "deep/er/c.bin"):
        (running.workspace() / name).parent.mkdir(parents=True, exist_ok=True)
        (running.workspace() / name).write_text("123")
    (running.workspace() / "out").symlink_to("/etc")
    target = running.target()
    assert [found.path for found in target.find("**/*.txt")] == ["a.txt", "deep/b.txt", "readme.txt"]
    assert [(found.path, found.size_bytes, found.is_dir) for found in target.find("deep/*")] == [
        ("deep/b.txt", 3, False),
        ("deep/er", target.find("deep/er")[0].size_bytes, True),
    ]
    assert target.find("out/*") == target.find("nothing/*") == []
    assert [(found.path, found.readable) for found in target.find("out")] == [("out", False)]
    with pytest.raises(RefusedPath):
        target.find("../*")


def test_a_request_brings_the_answer_cut_to_its_limit(running: Home) -> None:
    answer = running.target().request(Request(service="app"))
    assert answer.status == 200
    assert json.loads(answer.body)["environment"]["COLOUR"] == "red"


@on_real_engines
def test_a_long_body_is_cut_and_a_wrong_status_is_an_answer(running: Home) -> None:
    (running.workspace() / "long.txt").write_text("x" * 5000)
    cut = running.target().request(Request(service="web", path="/file/long.txt", max_bytes=10))
    assert (cut.body, cut.truncated) == (b"x" * 10, True)
    assert running.target().request(Request(service="web", path="/none")).status == 404
    assert running.target().url("web") == running.service("web").url


def test_a_dead_service_is_the_learners_failure_only_when_it_is_the_learners(host: Home) -> None:
    start(host)
    host.kill("app")
    host.kill("web")
    with pytest.raises(Unreachable, match="app"):
        host.target().request(Request(service="app", timeout_s=5))
    with pytest.raises(CannotLook, match="web"):
        host.target().request(Request(service="web", timeout_s=5))
    with pytest.raises(CannotLook, match="nope"):
        host.target().request(Request(service="nope", timeout_s=5))


def test_another_process_sees_the_same_session(running: Home) -> None:
    program = """
import json, sys
from labctl.target import Request, TargetSpec, connect
target = connect(TargetSpec(**json.load(sys.stdin)))
print(target.run(["sh", "-c", "echo $LABCTL_LAB; cat readme.txt"], timeout_s=30).stdout, end="")
print(target.read("readme.txt").decode(), end="")
print(target.find("readme.txt")[0].size_bytes, target.request(Request(service="app")).status, target.url("app"))
"""
    spec = json.dumps(dataclasses.asdict(running.target().spec()))
    said = subprocess.run([sys.executable, "-c", program], input=spec, capture_output=True, text=True, check=True)
    url = running.target().url("app")
    assert said.stdout == f"conformance\nstart here\nstart here\n11 200 {url}\n"


def test_files_that_the_session_writes_belong_to_the_workspaces_owner(host: Home) -> None:
    start(host)
    host.target().run(
        ["sh", "-c", "mkdir -p made/deep && touch made/deep/file && chmod 600 made/deep/file"], timeout_s=30
    )
    host.exec("sh", "-c", "mkdir -p typed && touch typed/file")
    if host.engine.real:
        host.send("web", "PUT", "/file/served/file", b"x")
    place = host.workspace()
    made = [path for path in place.rglob("*") if path.name in ("made", "deep", "typed", "served", "file")]
    assert len(made) >= 5
    assert {path.stat().st_uid for path in made} == {place.stat().st_uid}
    host.down(purge=True)
    assert not place.exists()


@on_engines_that_map_users
@pytest.mark.skipif(os.geteuid() != 0, reason="giving a folder to another user needs root: run the tests as root")
def test_files_belong_to_the_workspaces_owner_whoever_calls_labctl(host: Home) -> None:
    place = host.folder / "of-another-user"
    place.mkdir(parents=True)
    os.chown(place, 4321, 4321)
    host.write({"web": server()})
    host.up(workspace=place)
    host.send("web", "PUT", "/file/served", b"x")
    host.target().run(["touch", "made"], timeout_s=30)
    assert {(place / name).stat().st_uid for name in ("served", "made")} == {4321}
