"""What is said when a run is over: hosts × roles, what is lacking or has failed in words, and what to type next."""

from __future__ import annotations

import json as as_json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from labctl.cli import screen
from labctl.cli.host_grid import grid
from labctl.cli.table import Cell
from labctl.errors import (
    EXIT_FAILED_CRITERIA,
    EXIT_INTERRUPTED,
    EngineError,
    LabctlError,
    NotFoundError,
    PreflightError,
)
from labctl.hosts.ansible import CANCELED
from labctl.hosts.causes import remedy
from labctl.hosts.playbooks import PREPARE, builtin_folder
from labctl.hosts.refusal import reason
from labctl.hosts.runs import Run
from labctl.hosts.seen import Seen, State, Trouble

_LOST = (State.FAILED, State.UNREACHABLE)


def refusal(run: Run, seen: Seen) -> LabctlError | None:
    """Why Ansible did not even begin, or found nobody to begin with; None when it did."""
    if run.status == CANCELED or seen.hosts:
        return None
    said = "\n".join(seen.said)
    if seen.over or "no hosts to target" in said or "no hosts matched" in said:
        limit = f" and {','.join(run.request.limit)}" if run.request.limit else ""
        what = (
            f"no host is both in {', '.join(run.request.inventory)}{limit}"
            if limit
            else f"{', '.join(run.request.inventory)} names no host to prepare"
        )
        return NotFoundError(
            what,
            "hosts stand in the group [lab_hosts] of the inventory; `ansible-inventory -i FILE --graph` shows what it reads",
        )
    why = reason(seen.said)
    own_words = f"its own words are in {run.artifacts / 'stdout'}"
    return EngineError(f"Ansible refused: {why}", "; ".join(filter(None, (remedy(why), own_words))))


def exit_code(run: Run, seen: Seen) -> int:
    """As docs/cli.md has it: 0 nothing is left to do, 4 something is lacking, 1 a role failed, 6 a host cannot be reached, 130."""
    if run.status == CANCELED:
        return EXIT_INTERRUPTED
    if run.verb == "check" and seen.named(State.FAILED, State.CHANGED):
        return PreflightError.exit_code
    if seen.named(State.FAILED):
        return EXIT_FAILED_CRITERIA
    return EngineError.exit_code if seen.named(State.UNREACHABLE) else 0


def as_line(run: Run, seen: Seen) -> str:
    """The last line of `--json`: everything that came out."""
    values = {
        "event": "end",
        "run": run.id,
        "verb": run.verb,
        "status": run.status,
        "exit_code": exit_code(run, seen),
        "hosts": {name: _host_json(seen, name) for name in seen.hosts},
        "artifacts": str(run.artifacts),
    }
    return as_json.dumps(values)


def _host_json(seen: Seen, name: str) -> dict[str, Any]:
    host = seen.hosts[name]
    return {
        "state": host.state.value,
        "roles": {role: seen.state(name, role).value for role in host.parts},
        "changes": [{"role": role, **asdict(change)} for role, change in host.changes()],
        "troubles": [{**asdict(each), "remedy": remedy(each.message)} for each in host.troubles],
        "ignored": [asdict(each) for part in host.parts.values() for each in part.forgiven],
    }


def show(run: Run, seen: Seen, roles: Sequence[str], *, diff: bool) -> None:
    """The answer on stdout, the next step on stderr."""
    if seen.hosts:
        table = grid(seen, roles, screen.columns_of(sys.stdout), verb=run.verb)
        screen.table(table.columns, table.rows)
        if table.legend:
            screen.line(Cell(table.legend, "dim"))
    if run.verb == "check":
        _show_lacks(seen, diff=diff)
    _show_troubles(run, seen)
    screen.hint(*_next(run, seen))


def _show_lacks(seen: Seen, *, diff: bool) -> None:
    """What would be changed, once for all hosts that lack it."""
    who: dict[tuple[str, str], list[str]] = {}
    for name, host in seen.hosts.items():
        for role, change in host.changes():
            hosts = who.setdefault((role, change.words), [])
            hosts += [name] if name not in hosts else []
    if who:
        screen.line()
        rows = [(role, Cell(words), Cell(_named(hosts, seen), "dim")) for (role, words), hosts in who.items()]
        screen.table(("ROLE", "LACKING", "ON"), rows)
    for name, role, text in _diffs(seen) if diff else ():
        screen.line()
        screen.line(Cell(name, "bold"), Cell(role))
        for line in text.splitlines():
            screen.line(Cell(line, {"+": "green", "-": "red", "@": "cyan"}.get(line[:1], "")))


def _diffs(seen: Seen) -> Iterator[tuple[str, str, str]]:
    for name, host in seen.hosts.items():
        for role, change in host.changes():
            if change.diff:
                yield name, f"{role}: {change.words}", change.diff


def _named(hosts: Sequence[str], seen: Seen) -> str:
    return "all" if len(hosts) == len(seen.hosts) > 1 else ", ".join(hosts)


def _show_troubles(run: Run, seen: Seen) -> None:
    for host in seen.hosts.values():
        for part in host.parts.values():
            if part.troubles:
                screen.line()
                _show_chain(part.troubles, run.request.playbook)


def _show_chain(troubles: Sequence[Trouble], playbook: Path) -> None:
    """What a role failed of, what to do about it, and what the role's rescue says last: what is left."""
    cause, last = troubles[0], troubles[-1]
    mark, what = ("!", "cannot be reached") if cause.unreachable else ("✗", f"{cause.role}: {cause.task}")
    place = [] if cause.unreachable else [Cell(_place(cause, playbook), "dim")]
    screen.line(Cell(mark, "red"), Cell(cause.host, "bold"), Cell(what), *place)
    for line in cause.message.splitlines():
        screen.line(Cell(f"  {line}", "red"))
    if advice := next((advice for each in troubles if (advice := remedy(each.message))), ""):
        screen.line(Cell("  →", screen.ACCENT), Cell(advice))
    for line in last.message.splitlines() if last is not cause else ():
        screen.line(Cell(f"  {line}"))


def _place(trouble: Trouble, playbook: Path) -> str:
    """`file:line`, from the playbook's folder on where it is in there."""
    return trouble.place.removeprefix(f"{playbook.parent}/")


def _next(run: Run, seen: Seen) -> Iterator[str]:
    lost = len(seen.named(*_LOST))
    if run.verb == "check":
        yield _after_check(run, seen, lost)
        return
    if run.status == CANCELED:
        yield "labctl host prepare --resume    goes on with the role that was under way"
    elif lost:
        yield "labctl host prepare --resume    does what failed again, on the hosts where it failed"
    else:
        yield f"labctl host check {_same(run)}    says whether anything is left"
    if lost or run.status == CANCELED:
        yield f"what Ansible said is in {run.artifacts / 'stdout'}"


def _after_check(run: Run, seen: Seen, lost: int) -> str:
    if seen.named(State.CHANGED):
        return f"labctl host prepare {_same(run)}    does it"
    if lost or run.status == CANCELED:
        return f"what Ansible said is in {run.artifacts / 'stdout'}"
    return "nothing is lacking; `labctl doctor` on a host looks at it from within"


def _same(run: Run) -> str:
    """The flags that mean the same hosts and roles again, reached in the same way."""
    import shlex

    asked = run.request
    flags: list[tuple[str, object]] = [("-i", place) for place in asked.inventory]
    flags += [("--limit", ",".join(asked.limit)), ("--role", ",".join(asked.roles))]
    flags += [("-c", asked.connection), ("-u", asked.user), ("--private-key", asked.private_key)]
    flags += [("--ssh-common-args", asked.ssh_common_args), ("--become-password-file", asked.become_password_file)]
    flags += [("--connection-password-file", asked.connection_password_file)]
    flags += [("--vault-password-file", file) for file in asked.vault_password_files]
    flags += [("-e", f"@{file}") for file in asked.extra_vars]
    flags += [("--playbook", asked.playbook)] if asked.playbook != builtin_folder() / PREPARE else []
    return " ".join(f"{flag} {shlex.quote(str(value))}" for flag, value in flags if value)
