"""`labctl host check` and `prepare` on real machines: what goes well, what fails, what is cut off, and how it goes on."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from tests.integration.hosts.bare import COURSE, Machines, inventory, machines

__all__ = ["machines"]
pytestmark = [pytest.mark.docker, pytest.mark.xdist_group("hosts")]


@pytest.fixture
def fresh(machines: Machines) -> Iterator[Machines]:
    """The machines as they were, and running."""
    for name, container in machines.containers.items():
        container.start()
        machines.run(name, "rm -f /root/*.txt")
    yield machines
    for name in machines.containers:
        machines.run(name, "rm -f /root/wait.txt")


def wait_until(is_true: Callable[[], bool], within_s: float = 60) -> None:
    deadline = time.monotonic() + within_s
    while not is_true():
        assert time.monotonic() < deadline, "it did not come about in time"
        time.sleep(0.05)


def test_check_says_what_is_lacking_and_changes_nothing(fresh: Machines) -> None:
    result = fresh.labctl("check", "--diff")
    assert result.returncode == 4, result.stderr
    assert "Write down that the base is there" in result.stdout
    assert "+here" in result.stdout
    assert "labctl host prepare" in result.stderr
    assert not fresh.has("one", "base.txt")


def test_prepare_does_what_is_lacking_and_then_nothing(fresh: Machines) -> None:
    first = fresh.labctl("prepare")
    assert first.returncode == 0, first.stdout + first.stderr
    assert "This failure is nobody's business" not in first.stdout
    assert "This one is mended" not in first.stdout
    assert fresh.has("one", "done.txt")
    assert fresh.has("two", "done.txt")
    *lines, answer = fresh.lines("check")
    assert answer["exit_code"] == 0
    assert {name: host["state"] for name, host in answer["hosts"].items()} == {"one": "ok", "two": "ok"}
    assert {line["state"] for line in lines} >= {"ok", "ignored", "failed"}
    assert [each["message"] for each in answer["hosts"]["one"]["ignored"]] == [
        "This failure is nobody's business",
        "This one is mended",
    ]


def test_what_failed_is_told_with_its_place_and_resumed_from_there(fresh: Machines) -> None:
    fresh.run("two", "touch /root/fault.txt")
    result = fresh.labctl("prepare")
    assert result.returncode == 1, result.stderr
    assert "failing: Stumble over it roles/failing/tasks/main.yml:6" in result.stdout
    assert "There is a fault in /root/fault.txt" in result.stdout
    assert "labctl host prepare --resume" in result.stderr
    assert fresh.has("one", "done.txt")
    fresh.run("two", "rm /root/fault.txt")
    *_, answer = fresh.lines("prepare", "--resume")
    assert answer["exit_code"] == 0
    assert {name: list(host["roles"]) for name, host in answer["hosts"].items()} == {
        "two": ["failing", "waiting", "closing"]
    }
    assert fresh.has("two", "done.txt")


def test_limit_and_role_leave_the_rest_alone(fresh: Machines) -> None:
    assert fresh.labctl("prepare", "--limit", "two", "--role", "closing").returncode == 0
    assert not fresh.has("one", "done.txt")
    assert not fresh.has("two", "base.txt")
    assert fresh.has("two", "done.txt")


def test_a_host_that_is_not_there_is_told_apart_from_one_that_failed(fresh: Machines) -> None:
    names = {name: str(container.name) for name, container in fresh.containers.items()}
    fresh.inventory.write_text(inventory({**names, "three": "labctl-host-that-is-not-there"}))
    try:
        *_, answer = fresh.lines("prepare", "--role", "base")
    finally:
        fresh.inventory.write_text(inventory(names))
    assert answer["exit_code"] == 6
    assert {name: host["state"] for name, host in answer["hosts"].items()} == {
        "one": "changed",
        "two": "changed",
        "three": "unreachable",
    }


def begun(machines: Machines, *args: str) -> subprocess.Popen[str]:
    """A run that has reached the role that waits, on both machines."""
    for name in machines.containers:
        machines.run(name, "touch /root/wait.txt")
    process = subprocess.Popen(
        machines.command("prepare", *args),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=machines.environment,
    )
    for name in machines.containers:
        wait_until(lambda name=name: machines.has(name, "waits.txt") or process.poll() is not None)  # type: ignore[misc]
    assert process.poll() is None, process.communicate()
    return process


def of_ansible(machines: Machines) -> list[psutil.Process]:
    """What runs of these machines' labctl."""
    folder = str(machines.folder)
    return [each for each in psutil.process_iter() if any(folder in word for word in _words(each))]


def _words(process: psutil.Process) -> list[str]:
    try:
        return [word for word in process.cmdline() if "ansible" in " ".join(process.cmdline())]
    except psutil.Error:
        return []


def test_a_host_that_dies_in_the_middle_is_lost_and_the_others_go_on(fresh: Machines) -> None:
    process = begun(fresh)
    fresh.containers["two"].kill()
    fresh.run("one", "rm /root/wait.txt")
    out, err = process.communicate(timeout=60)
    assert process.returncode in (1, 6), err
    assert fresh.has("one", "done.txt")
    assert "two" in out
    assert "labctl host prepare --resume" in err
    fresh.containers["two"].start()
    fresh.run("two", "rm -f /root/wait.txt")
    assert fresh.labctl("prepare", "--resume").returncode == 0
    assert fresh.has("two", "done.txt")


def test_ctrl_c_lets_the_task_under_way_end_and_begins_no_other(fresh: Machines) -> None:
    process = begun(fresh)
    process.send_signal(signal.SIGINT)
    for name in fresh.containers:
        fresh.run(name, "rm /root/wait.txt")
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, out + err
    assert "ending after the tasks under way" in err
    assert "labctl host prepare --resume" in err
    assert not fresh.has("one", "done.txt")
    *_, answer = fresh.lines("prepare", "--resume")
    assert answer["exit_code"] == 0
    assert list(answer["hosts"]["one"]["roles"]) == ["waiting", "closing"]


def test_a_second_ctrl_c_ends_everything_at_once(fresh: Machines) -> None:
    process = begun(fresh)
    process.send_signal(signal.SIGINT)
    assert process.stderr is not None
    while "ending after" not in process.stderr.readline():
        pass
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, out + err
    assert of_ansible(fresh) == []


def test_what_a_killed_run_left_is_ended_by_the_next_which_goes_on_with_it(fresh: Machines) -> None:
    process = begun(fresh)
    process.kill()
    process.communicate(timeout=60)
    orphans = of_ansible(fresh)
    assert orphans != []
    fresh.run("one", "rm /root/base.txt")
    resumed = subprocess.Popen(
        fresh.command("prepare", "--resume"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=fresh.environment,
    )
    wait_until(lambda: not any(each.is_running() for each in orphans))
    for name in fresh.containers:
        fresh.run(name, "rm /root/wait.txt")
    out, err = resumed.communicate(timeout=60)
    assert resumed.returncode == 0, out + err
    assert "which was killed" in err
    assert not fresh.has("one", "base.txt")
    assert all(fresh.has(name, "done.txt") for name in fresh.containers)
    assert of_ansible(fresh) == []


def test_no_secret_of_the_environment_is_kept(fresh: Machines) -> None:
    assert fresh.labctl("prepare", "--role", "base").returncode == 0
    assert fresh.kept_in("here") != []
    assert fresh.kept_in("swordfish") == []
    assert (fresh.folder / "home" / "hosts" / "runs").stat().st_mode & 0o077 == 0


def test_a_wrong_password_for_sudo_is_told_and_the_right_one_is_kept_nowhere(fresh: Machines) -> None:
    fresh.run("one", "id ada || useradd --create-home --groups sudo ada; echo ada:swordfish | chpasswd")
    variables, password = fresh.folder / "vars.yml", fresh.folder / "password"
    variables.write_text("course_become: true\n")
    given = (
        "--limit=one",
        "--role=base",
        "--user=ada",
        f"--extra-vars=@{variables}",
        "--become-password-file",
        str(password),
    )
    password.touch(mode=0o600)
    password.write_text("sharkfin\n")
    *_, answer = fresh.lines("prepare", *given)
    (trouble,) = answer["hosts"]["one"]["troubles"]
    assert answer["exit_code"] in (1, 6)
    assert "the password for sudo is wrong" in trouble["remedy"], trouble
    password.write_text("swordfish\n")
    *_, answer = fresh.lines("prepare", *given)
    assert answer["hosts"]["one"]["state"] == "changed"
    assert fresh.kept_in("swordfish") == []


def test_a_file_with_a_password_that_others_can_read_is_refused(fresh: Machines) -> None:
    password = fresh.folder / "open"
    password.touch(mode=0o644)
    result = fresh.labctl("check", "--become-password-file", str(password))
    assert result.returncode == 2
    assert f"chmod 600 {password}" in result.stderr


def test_a_vault_opens_with_its_password_and_says_so_without(fresh: Machines) -> None:
    values, password = fresh.folder / "vault.yml", fresh.folder / "vault-password"
    values.write_text("course_word: sesame-of-the-vault\n")
    password.touch(mode=0o600)
    password.write_text("swordfish\n")
    vault = [str(Path(sys.executable).with_name("ansible-vault")), "encrypt", str(values)]
    subprocess.run([*vault, "--vault-password-file", str(password)], check=True, capture_output=True, timeout=60)
    given = ("--role=base", f"--extra-vars=@{values}")
    locked = fresh.labctl("prepare", *given)
    assert locked.returncode == 6, locked.stderr
    assert "--vault-password-file FILE names a file with its password" in locked.stderr
    opened = fresh.labctl("prepare", *given, "--vault-password-file", str(password))
    assert opened.returncode == 0, opened.stdout + opened.stderr
    assert fresh.run("one", "cat /root/base.txt") == "sesame-of-the-vault\n"
    assert fresh.kept_in("swordfish") == []


def test_an_inventory_that_is_none_is_refused_in_words(fresh: Machines) -> None:
    broken = fresh.folder / "broken.ini"
    broken.write_text("[lab_hosts\nx=y z\n")
    *_, answer = fresh.lines("check", "--inventory", str(broken), "--limit", "one")
    assert answer["error"]["code"] in (5, 6)
    assert COURSE.name not in answer["error"]["message"]
