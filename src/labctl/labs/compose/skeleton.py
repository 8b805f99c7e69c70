"""The files of a lab that a Compose file becomes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from labctl.errors import LabFileError
from labctl.labs.compose.convert import convert
from labctl.labs.compose.criteria import FILE, STARTER, stack_md
from labctl.labs.compose.notes import Note
from labctl.labs.compose.reading import read

MAX_LINE_CHARS = 100
MAX_NOTES = 200
_HEAD = """\
# Made from {file}. Every field is described in docs/lab-file.md; `labctl lab validate` reports mistakes with line and column.
"""
_README = """\
# {title}

**Goal.** Say what the learner will have built.

**What is running.** `labctl status {id}` shows the URLs.

| service | image | ports |
|---|---|---|
{rows}

## 1. Look around (10 minutes)

Find out what each service is for, and write it into `stack.md`: a line `- NAME: what it is for` for each. Judged by
`stack-described`; only then is each service looked at.

## 2. Your task (20 minutes)

Say what the learner does with the stack, and add a criterion that observes it.
"""
_MUTANT = "description: {what}\nfails: [{fails}]\n"


def skeleton(id: str, file: Path, *, title: str, stage: str) -> tuple[dict[str, str], list[Note]]:
    """Name → text of each file of the lab, and what a person must look at. Raises LabFileError."""
    try:
        lab, notes = convert(read(file), title=title, stage=int(stage))
    except LabFileError as error:
        what = error.what if error.what.startswith(str(file)) else f"{file}: {error.what}"
        raise LabFileError(what, error.hint) from error
    services = lab["services"]
    fails = ", ".join(criterion["id"] for criterion in lab["criteria"])
    names = "names the services and says nothing of them"
    return {
        "lab.yaml": _HEAD.format(file=_printable(file.name)) + _comments(notes) + _dump(lab),
        "README.md": _README.format(id=id, title=title, rows="\n".join(map(_row, services, services.values()))),
        f"workspace/{FILE}": STARTER,
        f"solution/{FILE}": stack_md(services),
        "mutants/one-missing/mutant.yaml": _MUTANT.format(what="leaves out one service", fails=fails),
        f"mutants/one-missing/{FILE}": stack_md(services, without=list(services)[-1]),
        "mutants/names-only/mutant.yaml": _MUTANT.format(what=names, fails=fails),
        f"mutants/names-only/{FILE}": stack_md(services, words=False),
    }, notes


def _row(id: str, service: Mapping[str, Any]) -> str:
    return f"| {id} | `{service['image']}` | {', '.join(service.get('ports', ())) or 'none'} |"


def _comments(notes: Sequence[Note]) -> str:
    """The notes, so that they are there when the terminal is not; delete each when it is dealt with."""
    if not notes:
        return ""
    lines = [f"#   {_printable(str(note))}\n" for note in notes[:MAX_NOTES]]
    more = [f"#   and {len(notes) - MAX_NOTES} more\n"] if len(notes) > MAX_NOTES else []
    return "".join(["# To look at (delete what is done):\n", *lines, *more])


def _printable(text: str) -> str:
    return "".join(char if char.isprintable() else "?" for char in text)


class _Dumper(yaml.SafeDumper):
    """Short lists and mappings on one line, long texts as they are, nothing twice by reference."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 - what PyYAML calls
        return True


def _dump(lab: Mapping[str, Any]) -> str:
    text: str = yaml.dump(lab, Dumper=_Dumper, sort_keys=False, width=118, allow_unicode=True)
    return text


def _mapping(dumper: yaml.SafeDumper, value: dict[str, Any]) -> yaml.Node:
    return dumper.represent_mapping("tag:yaml.org,2002:map", value.items(), flow_style=_is_short(value))


def _list(dumper: yaml.SafeDumper, value: list[Any]) -> yaml.Node:
    return dumper.represent_sequence("tag:yaml.org,2002:seq", value, flow_style=_is_short(value))


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.Node:
    odd = any(char in value for char in "\x85\u2028\u2029")  # line breaks to YAML, which PyYAML folds into blanks
    style = '"' if odd else "|" if "\n" in value else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


def _is_short(value: dict[str, Any] | list[Any]) -> bool:
    """Whether it reads well on one line: a few scalars, or lists of them."""
    items = list(value.values()) if isinstance(value, dict) else value
    inner = [each for item in items for each in (item if isinstance(item, list) else [item])]
    is_flat = not any(isinstance(each, dict | list) or (isinstance(each, str) and "\n" in each) for each in inner)
    return is_flat and len(str(value)) <= MAX_LINE_CHARS


_Dumper.add_representer(dict, _mapping)
_Dumper.add_representer(list, _list)
_Dumper.add_representer(str, _text)
