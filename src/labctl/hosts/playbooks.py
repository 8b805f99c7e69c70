"""The playbooks that travel with labctl, and which roles a playbook has."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from labctl.errors import LabFileError, NotFoundError

PREPARE = "prepare.yml"
_INCLUDES = ("import_role", "include_role")


def builtin_folder() -> Path:
    """Inside the wheel, or beside `src/` in a checkout."""
    packaged = Path(__file__).resolve().parent.parent / "_data" / "playbooks"
    return packaged if packaged.is_dir() else Path(__file__).resolve().parents[3] / "playbooks"


def find(given: Path | None = None) -> Path:
    """The playbook's absolute path: `given`, or the one that prepares hosts. Raises NotFoundError."""
    playbook = (given or builtin_folder() / PREPARE).expanduser().absolute()
    if not playbook.is_file():
        raise NotFoundError(f"there is no playbook {playbook}", "--playbook FILE names another")
    return playbook


def roles(playbook: Path) -> tuple[str, ...]:
    """The roles of a playbook in the order in which they are applied, each once. Raises LabFileError when it is no playbook."""
    return tuple(dict.fromkeys(_roles(playbook)))


def _roles(playbook: Path) -> Iterator[str]:
    for play in _plays(playbook):
        imported = play.get("import_playbook", play.get("ansible.builtin.import_playbook"))
        if isinstance(imported, str):
            yield from _roles(playbook.parent / imported)
        for section in ("pre_tasks", "roles", "tasks", "post_tasks"):
            named = _listed if section == "roles" else _included
            yield from (_short(name) for entry in play.get(section) or [] for name in named(entry))


def _plays(playbook: Path) -> Iterator[Mapping[str, Any]]:
    import yaml

    try:
        plays = yaml.load(playbook.read_text(encoding="utf-8"), _loader())  # noqa: S506  # a SafeLoader
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise LabFileError(f"{playbook} cannot be read: {error}", "--playbook takes a playbook of Ansible") from error
    if not isinstance(plays, list) or not all(isinstance(play, dict) for play in plays):
        raise LabFileError(f"{playbook} is no list of plays", "--playbook takes a playbook of Ansible")
    yield from plays


def _loader() -> type:
    """Plain YAML: what Ansible's own tags mark, such as `!vault`, is nothing to us."""
    import yaml

    class Loader(yaml.SafeLoader):
        pass

    Loader.add_multi_constructor("!", lambda _loader, _tag, _node: None)
    return Loader


def _listed(entry: Any) -> Iterator[str]:
    """The role of an entry of `roles:`."""
    name = entry.get("role", entry.get("name")) if isinstance(entry, dict) else entry
    if isinstance(name, str):
        yield name


def _included(task: Any) -> Iterator[str]:
    """The role that a task takes in; those of each task in it, when it is a block."""
    if not isinstance(task, dict):
        return
    names = (_mapping(task, include).get("name") for include in _INCLUDES)
    yield from (name for name in names if isinstance(name, str))
    for section in ("block", "rescue", "always"):
        yield from (name for each in task.get(section) or [] for name in _included(each))


def _mapping(entry: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = entry.get(name, entry.get(f"ansible.builtin.{name}"))
    return found if isinstance(found, dict) else {}


def _short(name: str) -> str:
    return name.rpartition(".")[2]
