"""A Compose file as plain values: as safe as a lab file is read, but with YAML 1.2's scalars, as Compose reads them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from labctl.errors import LabFileError
from labctl.labs.source import Loc, Source, read_source

_HINT = "give a Compose file: YAML with `services:`, each with `image:` or `build:`"
_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]{0,18})")
_TAG = "tag:yaml.org,2002:"


def read(path: Path) -> dict[str, Any]:
    """The Compose file at `path`, its `<<` merged. Raises LabFileError for whatever is no YAML mapping, or hostile."""
    try:
        source = read_source(path)  # it refuses what is too large, too deep or recursive; what follows relies on that
        node = yaml.compose(path.read_bytes().decode(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except LabFileError as error:
        raise LabFileError(error.what, _HINT if "lab" in error.hint else error.hint) from error
    data = _value(node) if node is not None else None
    if not isinstance(data, dict):
        raise LabFileError(f"{path}: no Compose file: it holds no mapping", _HINT)
    _refuse_odd_characters(source, data, ())
    return data


def _value(node: yaml.Node) -> Any:
    """YAML 1.1 makes 1342 of the port `22:22` and true of `yes`: only what YAML 1.2 also reads so is no text."""
    if isinstance(node, yaml.SequenceNode):
        return [_value(item) for item in node.value]
    if isinstance(node, yaml.MappingNode):
        return _merged({str(key.value): _value(value) for key, value in node.value})
    text = str(node.value)
    if node.tag == f"{_TAG}null":
        return None
    if node.tag == f"{_TAG}bool" and text.lower() in ("true", "false"):
        return text.lower() == "true"
    if node.tag == f"{_TAG}int" and _INTEGER.fullmatch(text):
        return int(text)
    return text


def _merged(values: dict[str, Any]) -> dict[str, Any]:
    """`values` over what its `<<` names, the first of several winning."""
    if "<<" not in values:
        return values
    below = values.pop("<<")
    for mapping in below if isinstance(below, list) else [below]:
        if isinstance(mapping, dict):
            values = {**mapping, **values}
    return values


def _refuse_odd_characters(source: Source, value: Any, loc: Loc) -> None:
    """NUL, which no process can be given, and halves of characters, which no file can hold."""
    if isinstance(value, dict):
        for key, item in value.items():
            _refuse_odd_characters(source, key, (*loc, key))
            _refuse_odd_characters(source, item, (*loc, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            _refuse_odd_characters(source, item, (*loc, index))
    elif isinstance(value, str) and re.search("[\0\ud800-\udfff]", value):
        raise LabFileError(f"{source.at(loc)}: a text holds NUL or half a character", "remove it")
