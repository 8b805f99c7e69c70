from __future__ import annotations

import socket
import threading
import time
import urllib.request
from collections.abc import Callable

import pytest

from labctl.errors import NotFoundError
from labctl.runtimes.base import State

from .sessions import WEB, LocalLab, until

Labs = Callable[..., LocalLab]

TWO = (
    WEB
    + """
other:
  command: [python3, -m, http.server, "{{ port('http') }}", --bind, 127.0.0.1]
  ports: {http: 8001}
  healthcheck: {tcp: true, interval: 50ms}
"""
)


def test_up_starts_the_service_and_down_leaves_nothing_but_logs(lab_of: Labs) -> None:
    lab = lab_of()
    started = lab.up()
    assert started.changed == ("web",)
    assert lab.state().state is State.RUNNING
    url = lab.state().url
    assert url is not None
    with urllib.request.urlopen(url) as answer:
        assert answer.status == 200
    lab.down()
    assert lab.pids() == []
    left = {path.name for path in (lab.home / "sessions" / lab.session).iterdir()}
    assert left == {"lock", "logs", "run", "supervisord.log", "supervisord.start"}
    assert lab.runtime.remains() == []


def test_a_session_that_was_only_planned_is_a_remain_that_down_takes_away(lab_of: Labs) -> None:
    lab = lab_of()
    assert lab.plan().services[0].ports["http"]
    root = lab.home / "sessions" / lab.session
    assert [path.name for path in root.iterdir()] == ["ports.json"]
    assert [remain.session for remain in lab.runtime.remains()] == [lab.session]
    lab.down()
    assert lab.runtime.remains() == []
    assert not (root / "ports.json").exists()


def test_a_session_id_that_is_a_path_is_refused(lab_of: Labs) -> None:
    with pytest.raises(NotFoundError):
        lab_of().runtime.down({"session": "../../etc"}, lambda step: None)


def test_a_port_that_somebody_else_took_meanwhile_is_replaced(lab_of: Labs) -> None:
    lab = lab_of()
    taken = lab.plan().services[0].ports["http"]
    with socket.create_server(("127.0.0.1", taken)):
        lab.up()
        assert lab.state().ports["http"] != taken
        assert lab.state().state is State.RUNNING


def test_changes_before_the_first_up_are_the_starts(lab_of: Labs) -> None:
    lab = lab_of(TWO)
    assert lab.runtime.changes(lab.plan()) == ["start service web", "start service other"]


def test_independent_services_start_at_the_same_time(lab_of: Labs) -> None:
    slow = "import time, http.server as h; time.sleep(1.5); h.HTTPServer(('127.0.0.1', {{ port('p') }}), h.SimpleHTTPRequestHandler).serve_forever()"
    services = "".join(
        f's{n}:\n  command: [python3, -c, "{slow}"]\n  ports: {{p: 8000}}\n  healthcheck: {{tcp: true, interval: 50ms}}\n'
        for n in range(4)
    )
    lab = lab_of(services)
    started = time.monotonic()
    lab.up()
    assert time.monotonic() - started < 4 * 1.5


def test_values_with_quotes_percents_and_comment_signs_reach_the_service_unchanged(lab_of: Labs) -> None:
    nasty = """a "b" 'c' %(here)s %d 100% ; # $HOME `id` \\ ümläut"""
    lab = lab_of(
        """
        echo:
          command: [python3, -c, "import os, sys, time; print(sys.argv[1], os.environ['V'], sep='|', flush=True); time.sleep(600)", NASTY]
          environment: {V: NASTY}
        """.replace("NASTY", "'" + nasty.replace("'", "''") + "'")
    )
    lab.up()
    until(lambda: f"{nasty}|{nasty}" in lab.log("echo"))


def test_the_environment_of_a_service_is_built_from_scratch(lab_of: Labs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_OF_THE_SHELL", "x")
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example:3128")
    lab = lab_of("""
        web-ui:
          command: [python3, -c, "import os, time; print(*sorted(f'{k}={v}' for k, v in os.environ.items()), sep='\\\\n', flush=True); time.sleep(600)"]
          ports: {http: 8000}
        """)
    lab.up()
    until(lambda: "VIRTUAL" in lab.log("web-ui") or "PATH=" in lab.log("web-ui"))
    lines = dict(line.partition("=")[::2] for line in lab.log("web-ui").splitlines())
    assert "SECRET_OF_THE_SHELL" not in lines
    assert not [name for name in lines if name.startswith("SUPERVISOR_")]
    assert lines["HTTPS_PROXY"] == "http://proxy.example:3128"
    assert lines["CUDA_VISIBLE_DEVICES"] == ""
    assert lines["LABCTL_LAB"] == "demo"


def test_two_ups_at_once_start_everything_once(lab_of: Labs) -> None:
    lab = lab_of(TWO)
    plan = lab.plan()
    changed: list[tuple[str, ...]] = []
    threads = [
        threading.Thread(target=lambda: changed.append(lab.runtime.up(plan, lab.steps.append).changed))
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(changed) == [(), ("web", "other")]
    assert len(lab.pids(LABCTL_SERVICE="web")) == 1
    assert any("waiting for another labctl" in step.detail for step in lab.steps)


def test_a_session_works_below_a_path_too_long_for_a_socket(
    lab_of: Labs, tmp_path_factory: pytest.TempPathFactory
) -> None:
    from labctl import settings
    from labctl.runtimes.local.runtime import LocalRuntime

    lab = lab_of()
    home = tmp_path_factory.mktemp("deep") / ("d" * 100) / "with space # and ; 100%"
    lab.runtime = LocalRuntime(settings.load({"LABCTL_HOME": str(home), "USER": "ada"}))
    lab.home = home
    lab.up()
    assert lab.state().state is State.RUNNING


def test_the_session_folder_is_private(lab_of: Labs) -> None:
    lab = lab_of()
    lab.up()
    root = lab.home / "sessions" / lab.session
    assert root.stat().st_mode & 0o077 == 0
    assert (root / "supervisor.sock").stat().st_mode & 0o077 == 0
    assert (root / "logs" / "web.log").stat().st_mode & 0o077 == 0
