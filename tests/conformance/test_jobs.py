"""What is left of a job whose labctl was killed together with the process that guards it is found and ended."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import psutil

from tests.conformance.engines import on_real_engines
from tests.conformance.homes import Home, is_free, until
from tests.conformance.labs import server

_HOLD = "import fcntl, time; f = open('held', 'w'); fcntl.flock(f, 2); open('held.held', 'w'); time.sleep(600)"
_BEGIN = """
import json, sys
from labctl import settings
from labctl.runtimes import table
runtime = table.get({engine!r}, settings.load({environ!r}))
sys.exit(runtime.run(json.load(sys.stdin), ["python3", "-c", {hold!r}], []))
"""


@contextmanager
def begun(host: Home) -> Iterator[subprocess.Popen[str]]:
    """A labctl that runs a job, which holds a lock on `held` in the workspace."""
    program = _BEGIN.format(engine=host.engine.name, environ=host.environ, hold=_HOLD)
    with subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, text=True) as labctl:
        assert labctl.stdin
        labctl.stdin.write(json.dumps(dict(host.session().handle)))
        labctl.stdin.close()
        try:
            until(lambda: (host.workspace() / "held.held").exists())
            yield labctl
        finally:
            labctl.kill()


def guard_of(labctl: subprocess.Popen[str]) -> psutil.Process:
    (guard,) = psutil.Process(labctl.pid).children()
    assert "guard.py" in " ".join(guard.cmdline())
    return guard


def kill_with_guard(labctl: subprocess.Popen[str]) -> None:
    """Neither gets to end anything: labctl stands still while its guard is killed."""
    guard = guard_of(labctl)
    os.kill(labctl.pid, signal.SIGSTOP)
    guard.kill()
    labctl.kill()
    labctl.wait()


def locks(host: Home) -> list[str]:
    return [file.name for file in (host.settings.home / "sessions" / host.id() / "jobs").iterdir()]


@on_real_engines
def test_what_a_killed_labctl_and_its_guard_leave_behind_is_ended(host: Home) -> None:
    host.write({"web": server()})
    host.up()
    web = host.identity("web")
    with begun(host) as labctl:
        kill_with_guard(labctl)
        assert not is_free(host.workspace() / "held")
        host.runtime.end_jobs(host.session().handle)
        until(lambda: is_free(host.workspace() / "held"))
    host.runtime.end_jobs({"session": host.id()})
    assert (host.identity("web"), locks(host)) == (web, [])


@on_real_engines
def test_a_job_that_has_its_labctl_goes_on(host: Home) -> None:
    host.write({"web": server()})
    host.up()
    with begun(host) as labctl:
        host.runtime.end_jobs(host.session().handle)
        assert (is_free(host.workspace() / "held"), labctl.poll()) == (False, None)


@on_real_engines
def test_a_job_ends_with_its_guard_and_labctl_says_so(host: Home) -> None:
    host.write({"web": server()})
    host.up()
    with begun(host) as labctl:
        guard_of(labctl).kill()
        assert labctl.wait(30) == 128 + signal.SIGKILL
        until(lambda: is_free(host.workspace() / "held"))


@on_real_engines
def test_the_end_of_a_session_ends_its_jobs_and_what_is_left_of_them(host: Home) -> None:
    host.write({"web": server()})
    host.up()
    with begun(host) as labctl:
        host.down()
        assert labctl.wait(30) != 0
        assert is_free(host.workspace() / "held")
    (host.workspace() / "held.held").unlink()
    host.up()
    with begun(host) as labctl:
        kill_with_guard(labctl)
        host.down()
        assert is_free(host.workspace() / "held")
    assert (host.remains(), locks(host)) == ([], [])


def test_a_session_that_never_was_has_no_jobs_to_end(host: Home) -> None:
    host.runtime.end_jobs({"session": "never--was"})
