"""What `--resume` does: from the role that failed, on the hosts that failed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from labctl.hosts.request import Request
from labctl.hosts.resume import rest
from labctl.hosts.seen import Host, Part, Seen, Trouble

ROLES = ("common", "docker", "mig", "models")
REQUEST = Request(playbook=Path("/p"), inventory=("i",))


def host(name: str, *done: str, failed: str = "", under_way: str = "") -> Host:
    parts = {role: Part(ok=1) for role in done}
    if failed:
        parts[failed] = Part(ok=1, failed=(Trouble(host=name, role=failed, task="t", message="m"),))
    if under_way:
        parts[under_way] = Part()
    return Host(name=name, parts=parts, role=under_way or failed or (done[-1] if done else ""))


def seen(*hosts: Host, over: bool = True) -> Seen:
    return Seen(hosts={each.name: each for each in hosts}, over=over)


def test_a_failed_host_goes_on_with_the_role_that_failed() -> None:
    told = rest(REQUEST, seen(host("a", *ROLES), host("b", "common", failed="docker")), ROLES)
    assert told == replace(REQUEST, limit=("b",), roles=("docker", "mig", "models"))


def test_two_hosts_begin_with_the_earlier_failure() -> None:
    told = rest(REQUEST, seen(host("a", "common", "docker", failed="mig"), host("b", failed="docker")), ROLES)
    assert told == replace(REQUEST, limit=("a", "b"), roles=("docker", "mig", "models"))


def test_roles_that_were_not_asked_for_stay_out() -> None:
    asked = replace(REQUEST, roles=("docker", "models"))
    told = rest(asked, seen(host("a", failed="docker")), ROLES)
    assert told == replace(asked, limit=("a",))


def test_a_run_that_was_cut_off_goes_on_where_it_stood() -> None:
    told = rest(REQUEST, seen(host("a", "common", under_way="docker"), host("b", "common"), over=False), ROLES)
    assert told == REQUEST
    told = rest(REQUEST, seen(host("a", "common", under_way="docker"), over=False), ROLES)
    assert told == replace(REQUEST, limit=("a",), roles=("docker", "mig", "models"))


def test_a_run_that_was_cut_off_at_its_beginning_is_done_again_as_a_whole() -> None:
    assert rest(REQUEST, Seen(), ROLES) == REQUEST
    assert rest(REQUEST, seen(host("a", under_way="facts"), over=False), ROLES) == REQUEST


def test_nothing_is_left_of_a_run_that_went_well() -> None:
    assert rest(REQUEST, seen(host("a", *ROLES)), ROLES) is None


def test_a_host_that_was_never_reached_gets_every_role() -> None:
    told = rest(REQUEST, seen(host("a", *ROLES), host("b", failed="facts")), ROLES)
    assert told == replace(REQUEST, limit=("b",))
