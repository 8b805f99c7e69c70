"""`labctl host`: bad input, exit codes, and how hosts and roles are shown."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import reduce
from pathlib import Path

import pytest

from labctl.cli import host_screen
from labctl.cli.host_grid import grid
from labctl.cli.host_watch import Watch
from labctl.errors import EngineError, NotFoundError
from labctl.hosts.events import after
from labctl.hosts.request import Request
from labctl.hosts.runs import Run
from labctl.hosts.seen import Host, Part, Seen, State, Trouble
from tests.unit.cli.test_cli import error_of, labctl
from tests.unit.hosts.test_events import EVENTS

ROLES = ("base", "tolerant", "rescued", "failing", "waiting", "closing")
ALL = reduce(after, EVENTS, Seen(known=ROLES))


def run_of(verb: str, status: str = "successful") -> Run:
    request = Request(playbook=Path("/playbooks/site.yml"), inventory=("/lab.ini",), check=verb == "check")
    return Run(id="1", folder=Path("/runs/1"), verb=verb, request=request, status=status)


def of(*states: State) -> Seen:
    """Hosts that ended in these states."""
    lost = Trouble(host="h", role="docker", task="t", message="m")
    parts = {
        State.OK: Part(ok=1),
        State.CHANGED: reduce(after, EVENTS, Seen()).hosts["one"].parts["base"],
        State.FAILED: Part(failed=(lost,)),
        State.UNREACHABLE: Part(failed=(replace(lost, unreachable=True),)),
    }
    return Seen(
        hosts={str(at): Host(name=str(at), parts={"docker": parts[each]}) for at, each in enumerate(states)}, over=True
    )


@pytest.mark.parametrize(
    ("args", "code", "message", "hint"),
    [
        (("host", "check"), 2, "no inventory is given", "-i localhost, -c local"),
        (("host", "check", "-i", "nothing.ini"), 5, "no inventory nothing.ini", "-i nothing.ini,"),
        (("host", "check", "-i", "a,", "--role", "dokcer"), 5, "no role 'dokcer'", "did you mean docker?"),
        (("host", "check", "-i", "a,", "-e", "token=swordfish"), 2, "token… is no file", "@FILE"),
        (("host", "check", "-i", "a,", "-e", "@nothing.yml"), 5, "no file nothing.yml", ""),
        (("host", "check", "-i", "a,", "--playbook", "nothing.yml"), 5, "no playbook", ""),
        (("host", "check", "-i", "a,", "--private-key", "nothing"), 5, "--private-key: there is no file", ""),
        (("host", "prepare", "--resume"), 5, "no run of `labctl host prepare` is on record", "labctl host prepare -i"),
        (("host", "prepare", "--resume", "--limit", "a"), 2, "exclude each other", ""),
        (("host", "prepare", "-i", "a,", "--forks", "0"), 2, "0 is not in the range", ""),
    ],
)
@pytest.mark.usefixtures("home")
def test_bad_input_is_one_clear_error(args: tuple[str, ...], code: int, message: str, hint: str) -> None:
    result = labctl(*args, "--json")
    error = error_of(result)
    assert result.returncode == error["code"] == code
    assert message in error["message"]
    assert hint in error["hint"]
    assert "swordfish" not in result.stdout + result.stderr


@pytest.mark.parametrize(
    ("verb", "states", "code"),
    [
        ("check", (State.OK, State.OK), 0),
        ("check", (State.OK, State.CHANGED), 4),
        ("check", (State.OK, State.FAILED), 4),
        ("check", (State.OK, State.UNREACHABLE), 6),
        ("check", (State.CHANGED, State.UNREACHABLE), 4),
        ("prepare", (State.OK, State.CHANGED), 0),
        ("prepare", (State.CHANGED, State.FAILED), 1),
        ("prepare", (State.CHANGED, State.UNREACHABLE), 6),
        ("prepare", (State.FAILED, State.UNREACHABLE), 1),
    ],
)
def test_the_exit_code_says_what_became_of_the_hosts(verb: str, states: tuple[State, ...], code: int) -> None:
    assert host_screen.exit_code(run_of(verb), of(*states)) == code


def test_an_interrupted_run_ends_with_130() -> None:
    assert host_screen.exit_code(run_of("prepare", "canceled"), of(State.OK)) == 130


def test_a_table_has_the_roles_names_where_they_fit_and_numbers_where_they_do_not() -> None:
    wide = grid(ALL, ROLES, 120, verb="prepare")
    assert wide.columns == ("HOST", "facts", *ROLES)
    assert [cell.text for cell in wide.rows[1]] == ["two", "ok", "changed 1", "ok", "ok", "failed", "·", "·"]
    narrow = grid(ALL, ROLES, 60, verb="prepare")
    assert narrow.columns == ("HOST", "1", "2", "3", "4", "5", "6", "7")
    assert [cell.text for cell in narrow.rows[1]] == ["two", "✓", "+", "✓", "✓", "✗", "·", "·"]
    assert narrow.legend.startswith("1 facts  2 base")


def test_a_check_says_what_is_lacking_instead_of_changed() -> None:
    assert grid(ALL, ROLES, 120, verb="check").rows[0][2].text == "lacks 1"


def test_what_failed_is_shown_with_its_place_and_the_next_step(capsys: pytest.CaptureFixture[str]) -> None:
    host_screen.show(run_of("prepare"), ALL, ROLES, diff=False)
    out, err = capsys.readouterr()
    assert "✗ two failing: Stumble over it roles/failing/tasks/main.yml:6" in out
    assert "! three cannot be reached" in out
    assert "does sshd run" in out
    assert "nobody's business" not in out
    assert "labctl host prepare --resume" in err


def test_a_cause_is_told_once_however_often_a_rescue_repeats_it(capsys: pytest.CaptureFixture[str]) -> None:
    tasks = {"Install": "Could not get lock", "Say why": "lock held", "Say what was left": "left: nothing"}
    chain = tuple(Trouble(host="a", role="docker", task=task, message=said) for task, said in tasks.items())
    seen = Seen(hosts={"a": Host(name="a", parts={"docker": Part(failed=chain)})}, over=True)
    host_screen.show(run_of("prepare"), seen, ("docker",), diff=False)
    out, _ = capsys.readouterr()
    assert [line.strip() for line in out.splitlines()[3:]] == [
        "✗ a docker: Install",
        "Could not get lock",
        "→ another program is installing packages, often unattended upgrades: wait until it has ended",
        "left: nothing",
    ]


def test_the_last_line_of_json_holds_everything_that_came_out() -> None:
    answer = json.loads(host_screen.as_line(run_of("prepare"), ALL))
    assert answer["event"] == "end"
    assert answer["exit_code"] == 1
    assert answer["hosts"]["two"]["roles"]["failing"] == "failed"
    assert answer["hosts"]["three"]["troubles"][0]["unreachable"] is True


@pytest.mark.usefixtures("capsys")
def test_without_a_terminal_each_role_is_told_once_when_it_is_over(capsys: pytest.CaptureFixture[str]) -> None:
    with Watch(ROLES, (), "prepare", json=False) as watch:
        for event in EVENTS:
            watch.event(event)
    lines = capsys.readouterr().err.splitlines()
    assert "+ one base changed 1" in lines
    assert "✓ two rescued ok" in lines
    assert [line for line in lines if "tolerant" in line] == ["✓ one tolerant ok", "✓ two tolerant ok"]
    assert not [line for line in lines if "nobody's business" in line]


def test_an_inventory_without_hosts_is_told_apart_from_ansibles_refusal() -> None:
    nobody = host_screen.refusal(run_of("check"), Seen(over=True))
    assert isinstance(nobody, NotFoundError)
    refused = host_screen.refusal(run_of("check"), Seen(said=("[ERROR]: something is wrong",)))
    assert isinstance(refused, EngineError)
    assert "something is wrong" in refused.what
