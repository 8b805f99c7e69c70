"""What is asked of Ansible, as a value, and as the arguments of `ansible-playbook`. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

FORKS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One run of a playbook. Secrets stand in files that are named here: neither arguments nor records hold one.

    `inventory` holds paths, or lists of hosts with a comma in them; `limit` patterns of Ansible; `roles` is empty for all of them.
    """

    playbook: Path
    inventory: tuple[str, ...]
    check: bool = False
    limit: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()
    forks: int = FORKS
    connection: str = ""
    user: str = ""
    private_key: Path | None = None
    ssh_common_args: str = ""
    become_password_file: Path | None = None
    connection_password_file: Path | None = None
    vault_password_files: tuple[Path, ...] = ()
    extra_vars: tuple[Path, ...] = ()

    @property
    def arguments(self) -> tuple[str, ...]:
        """What `ansible-playbook` is given after the playbook's path."""
        return tuple(_arguments(self))

    def to_json(self) -> dict[str, Any]:
        """As it is kept with a run."""
        return {name: _plain(value) for name, value in asdict(self).items()}


def from_json(values: Mapping[str, Any]) -> Request:
    """The request of `to_json`. Raises KeyError, TypeError or ValueError for what is none."""
    known: dict[str, Any] = {field.name: values[field.name] for field in fields(Request) if field.name in values}
    paths: dict[str, Any] = {name: Path(known[name]) for name in _PATHS if known.get(name) is not None}
    lists: dict[str, Any] = {name: tuple(known[name]) for name in ("inventory", "limit", "roles") if name in known}
    files: dict[str, Any] = {
        name: tuple(map(Path, known[name])) for name in ("vault_password_files", "extra_vars") if name in known
    }
    return Request(**{**known, **paths, **lists, **files})


_PATHS = ("playbook", "private_key", "become_password_file", "connection_password_file")


def _plain(value: Any) -> Any:
    if isinstance(value, Path):
        return str(value)
    return [_plain(each) for each in value] if isinstance(value, tuple) else value


def _arguments(request: Request) -> Iterator[str]:
    for place in request.inventory:
        yield from ("--inventory", place)
    yield from ("--forks", str(request.forks))
    if request.check:
        yield from ("--check", "--diff")
    for flag, words in (("--limit", request.limit), ("--tags", request.roles)):
        if words:
            yield from (flag, ",".join(words))
    for flag, value in _connection(request).items():
        if value:  # with an equals sign: what ssh is told begins with a dash
            yield f"{flag}={value}"
    yield from (f"--vault-password-file={file}" for file in request.vault_password_files)
    yield from (f"--extra-vars=@{file}" for file in request.extra_vars)


def _connection(request: Request) -> dict[str, str | Path | None]:
    return {
        "--connection": request.connection,
        "--user": request.user,
        "--private-key": request.private_key,
        "--ssh-common-args": request.ssh_common_args,
        "--become-password-file": request.become_password_file,
        "--connection-password-file": request.connection_password_file,
    }
