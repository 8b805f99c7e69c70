"""The one place that speaks to ansible-runner: a request is played, each event is handed on, and Ctrl-C has a clean end."""

from __future__ import annotations

import importlib.util
import json
import os
import shlex
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from labctl.errors import PreflightError
from labctl.hosts import remains
from labctl.hosts.events import Event
from labctl.hosts.runs import ARTIFACTS, Run

STOP = "LABCTL_HOST_STOP"
"""The file that says, once it is there, that no further task shall begin; read by plugins/labctl_stop.py."""
CANCELED = "canceled"
_PLUGINS = Path(__file__).with_name("plugins")
_POLL_S = 0.2
_LOOK_S = 0.5
"""How often ansible-runner looks whether it shall end; its own 5 seconds are long for somebody who waits."""


def require() -> Path:
    """The program `ansible-playbook` of this environment. Raises PreflightError when Ansible is not installed beside labctl."""
    program = Path(sys.executable).with_name("ansible-playbook")
    missing = [name for name in ("ansible", "ansible_runner") if importlib.util.find_spec(name) is None]
    if not missing and program.exists():
        return program
    what = " and ".join(name.replace("_", "-") for name in missing) or "ansible-playbook"
    raise PreflightError(
        f"hosts are prepared with Ansible, and {what} is not installed beside labctl ({sys.prefix})",
        f"{Path(sys.executable)} -m pip install 'labctl[hosts]'",
    )


def play(run: Run, take: Callable[[Event], None], interrupted: Callable[[int], None]) -> str:
    """What the run ended with: `successful`, `failed` or `canceled`. `take` gets each event, in a thread of its own.

    The first Ctrl-C lets the tasks under way end and begins no other, the second ends everything at once; `interrupted` is told
    how many there were.
    """
    halt = _Halt(run)
    player = _Player(run, take, halt)
    with _heard(halt):
        player.start()
        told = 0
        while player.is_alive():
            player.join(_POLL_S)
            if halt.count > told:
                told = halt.count
                interrupted(told)
        if halt.count:
            remains.end(run.mark)  # a worker is in a session of its own, and outlives what has started it
    if player.error is not None:
        raise player.error
    return CANCELED if halt.count else player.status


class _Halt:
    """Whether somebody has asked for the end, and how often."""

    def __init__(self, run: Run) -> None:
        self.file = run.folder / "stop"
        self.count = 0

    def ask(self, times: int) -> None:
        self.count += times
        self.file.touch(mode=0o600)

    @property
    def at_once(self) -> bool:
        return self.count > 1


@contextmanager
def _heard(halt: _Halt) -> Iterator[None]:
    """Ctrl-C asks for the end once each time, a signal to terminate twice: whoever sends one does not wait for long.

    As handlers that only count, and not as KeyboardInterrupt, which could come in the middle of what the first one began.
    """
    times = {signal.SIGINT: 1, signal.SIGTERM: 2, signal.SIGHUP: 2}
    before = {
        number: signal.signal(number, lambda number, _frame: halt.ask(times[signal.Signals(number)]))
        for number in times
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class _Player(threading.Thread):
    """ansible-runner in a thread, so that Ctrl-C finds the main one waiting and not half way through an event."""

    def __init__(self, run: Run, take: Callable[[Event], None], halt: _Halt) -> None:
        super().__init__(name=f"host-{run.id}", daemon=True)
        self._run, self._take, self._halt = run, take, halt
        self.status = "error"
        self.error: Exception | None = None

    def run(self) -> None:
        try:
            self.status = self._play()
        except Exception as error:  # noqa: BLE001  # it is raised in the main thread
            self.error = error
            remains.end(self._run.mark)

    def _play(self) -> str:
        import ansible_runner

        _settle(self._run)
        ended = ansible_runner.run(
            **_paths(self._run),
            cmdline=shlex.join(self._run.request.arguments),
            envvars=_environment(self._run, self._halt.file),
            suppress_env_files=True,
            quiet=True,
            fact_cache_type="memory",
            event_handler=self._event,
            status_handler=self._status,
            cancel_callback=lambda: self._halt.at_once,
        )
        return str(ended.status)

    def _event(self, event: dict[str, Any]) -> bool:
        self._take(event)
        return True

    def _status(self, status: dict[str, Any], **_: Any) -> None:
        """ansible-runner writes down the whole environment, secrets included: only the command is kept."""
        if status.get("status") != "starting":
            (self._run.artifacts / "command").unlink(missing_ok=True)


def _settle(run: Run) -> None:
    """What ansible-runner reads from its folder."""
    place = run.folder / "env"
    place.mkdir(mode=0o700, exist_ok=True)
    (place / "settings").write_text(json.dumps({"pexpect_timeout": _LOOK_S}))


def _paths(run: Run) -> dict[str, Any]:
    playbook = run.request.playbook
    return {
        "private_data_dir": str(run.folder),
        "ident": ARTIFACTS,
        "project_dir": str(playbook.parent),
        "playbook": str(playbook),
    }


def _environment(run: Run, stop: Path) -> dict[str, str]:
    """What Ansible is told beside the caller's own environment."""
    programs = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    plugins = os.pathsep.join(filter(None, [os.environ.get("ANSIBLE_CALLBACK_PLUGINS"), str(_PLUGINS)]))
    enabled = ",".join(filter(None, [os.environ.get("ANSIBLE_CALLBACKS_ENABLED"), "labctl_stop"]))
    return {
        "PATH": programs,
        remains.MARK: run.mark,
        STOP: str(stop),
        "ANSIBLE_CALLBACK_PLUGINS": plugins,
        "ANSIBLE_CALLBACKS_ENABLED": enabled,
        "ANSIBLE_HOST_KEY_CHECKING": os.environ.get("ANSIBLE_HOST_KEY_CHECKING", "True"),  # ansible-runner turns it off
        "ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED": "True",  # a mistyped inventory is no empty one
        "ANSIBLE_NOCOLOR": "True",
        "ANSIBLE_NOCOWS": "True",
        **_interpreter(run),
    }


def _interpreter(run: Run) -> dict[str, str]:
    """On this machine the system's own Python, which has apt's and dnf's modules: the first on PATH may be another."""
    system = Path("/usr/bin/python3")
    is_local = run.request.connection == "local" and "ANSIBLE_PYTHON_INTERPRETER" not in os.environ
    return {"ANSIBLE_PYTHON_INTERPRETER": str(system)} if is_local and system.exists() else {}
