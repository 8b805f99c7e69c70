"""What `host check` and `host prepare` are given, as a request; mistakes are told before anything begins."""

from __future__ import annotations

import difflib
import stat
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from labctl.errors import NotFoundError, UsageError
from labctl.hosts import playbooks, runs
from labctl.hosts.request import Request
from labctl.hosts.resume import rest

if TYPE_CHECKING:
    from labctl.sessions.context import Context

_LISTED = ("limit", "roles")


def made(*, check: bool = False, forks: int, **given: Any) -> Request:
    """The request. Raises UsageError or NotFoundError with the value that is wrong."""
    if not given["inventory"]:
        raise UsageError(
            "no inventory is given", "-i FILE names Ansible's inventory; `-i localhost, -c local` is this machine"
        )
    playbook = playbooks.find(given["playbook"])
    values = {**_values(given), "playbook": playbook, "check": check, "forks": forks}
    request = Request(**values)
    _known(request.roles, playbooks.roles(playbook), playbook)
    return request


def resumed(ctx: Context, *, forks: int, **given: Any) -> Request:
    """What the last run has left undone. Passwords' files and ssh's options may be given anew, the rest is as it was."""
    _refuse_other_choices(given)
    last = runs.latest(ctx.settings.home, "prepare")
    if last is None:
        raise NotFoundError("no run of `labctl host prepare` is on record", "labctl host prepare -i FILE")
    again = {name: value for name, value in _values(given).items() if value}
    roles = playbooks.roles(playbooks.find(last.request.playbook))
    request = rest(replace(last.request, **again, forks=forks), last.seen(roles), roles)
    if request is None:
        raise NotFoundError(
            f"the last run, {last.id}, has left nothing undone", "labctl host check -i FILE says what hosts lack"
        )
    return request


def _refuse_other_choices(given: dict[str, Any]) -> None:
    for name in ("playbook", "limit", "roles"):
        if given[name]:
            flag = {"roles": "role"}.get(name, name)
            raise UsageError(
                f"--resume and --{flag} exclude each other", "--resume takes hosts and roles from the last run"
            )


def _values(given: dict[str, Any]) -> dict[str, Any]:
    """Each as `Request` has it: paths absolute, lists taken apart."""
    split = {name: tuple(_words(given[name] or ())) for name in _LISTED}
    return {
        **{name: given[name] for name in ("connection", "user", "ssh_common_args")},
        **split,
        "inventory": tuple(_inventory(place) for place in given["inventory"] or ()),
        "private_key": _file(given["private_key"], "--private-key"),
        "become_password_file": _secret(given["become_password_file"], "--become-password-file"),
        "connection_password_file": _secret(given["connection_password_file"], "--connection-password-file"),
        "vault_password_files": tuple(_some(given["vault_password_files"])),
        "extra_vars": tuple(_variables(text) for text in given["extra_vars"] or ()),
    }


def _words(texts: Sequence[str]) -> Iterator[str]:
    return (word.strip() for text in texts for word in text.split(",") if word.strip())


def _inventory(text: str) -> str:
    """A path made absolute; hosts with commas stay as they are."""
    if "," in text:
        return text
    place = Path(text).expanduser().absolute()
    if not place.exists():
        raise NotFoundError(
            f"there is no inventory {text}",
            f"a host that is meant by its name gets a comma: -i {text},  ; {playbooks.builtin_folder() / 'inventory.example.ini'} is an example",
        )
    return str(place)


def _variables(text: str) -> Path:
    if not text.startswith("@"):
        raise UsageError(
            f"--extra-vars {text.partition('=')[0]}… is no file",
            "everybody on this machine sees arguments: write it into a file, --extra-vars @FILE",
        )
    file = _file(Path(text[1:]), "--extra-vars")
    assert file is not None
    return file


def _some(files: Sequence[Path] | None) -> Iterator[Path]:
    return (found for file in files or () if (found := _secret(file, "--vault-password-file")))


def _secret(file: Path | None, flag: str) -> Path | None:
    """A file that only its owner reads, or a program that says the password."""
    found = _file(file, flag)
    if found is None:
        return None
    mode = stat.S_IMODE(found.stat().st_mode)
    if mode & 0o077 and not mode & 0o100:
        raise UsageError(f"{flag}: {found} can be read by others (mode {mode:04o})", f"chmod 600 {found}")
    return found


def _file(file: Path | None, flag: str) -> Path | None:
    if file is None:
        return None
    found = file.expanduser().absolute()
    if not found.is_file():
        raise NotFoundError(f"{flag}: there is no file {file}", "give the path of one that exists")
    return found


def _known(chosen: Sequence[str], roles: Sequence[str], playbook: Path) -> None:
    for role in chosen if roles else ():
        if role not in roles:
            near = difflib.get_close_matches(role, roles, n=1)
            guess = f"did you mean {near[0]}? " if near else ""
            raise NotFoundError(f"{playbook.name} has no role {role!r}", f"{guess}it has: {', '.join(roles)}")
