"""A YAML file as values with places: every path in it knows its line and column. Safe against hostile files."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import yaml

from labctl.errors import LabFileError

MAX_FILE_BYTES = 256 * 1024
MAX_DEPTH = 40
MAX_NODES = 50_000
MAX_INTEGER = 2**64

Loc = tuple[str | int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Line and column, both counted from 1."""

    line: int
    column: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A parsed YAML file: `data` is plain JSON values, `places` maps each path in it to where it stands."""

    path: Path
    data: Any
    places: dict[Loc, Place]

    def place(self, loc: Sequence[str | int]) -> Place:
        """Where `loc` stands, or its nearest ancestor that the file has."""
        loc = tuple(loc)
        while loc and loc not in self.places:
            loc = loc[:-1]
        return self.places.get(loc, Place(line=1, column=1))

    def at(self, loc: Sequence[str | int]) -> str:
        """`file:line:column` of `loc`."""
        place = self.place(loc)
        return f"{self.path}:{place.line}:{place.column}"


def read_source(path: Path) -> Source:
    """The file at `path`. Raises LabFileError: missing, not text, too large, not YAML, too deep, recursive."""
    try:
        node = yaml.compose(_text(path), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f"{path}:{mark.line + 1}:{mark.column + 1}" if mark else str(path)
        raise LabFileError(
            f"{where}: not YAML: {error.problem or error.context}", "check indentation and quotes there"
        ) from error
    except (yaml.YAMLError, RecursionError) as error:
        raise LabFileError(f"{path}: not YAML: {str(error)[:200]}", "the file must be plain UTF-8 YAML") from error
    if node is None:
        raise LabFileError(f"{path}: the file is empty", "`labctl lab new ID` writes one to start from")
    builder = _Builder(path)
    return Source(path=path, data=builder.build(node, (), 0), places=builder.places)


def _text(path: Path) -> str:
    try:
        data = _read(path)
    except OSError as error:
        raise LabFileError(f"{path}: cannot be read: {error.strerror}", "check the path and its permissions") from error
    if len(data) > MAX_FILE_BYTES:
        raise LabFileError(
            f"{path}: larger than {MAX_FILE_BYTES // 1024} KiB", "a lab file is small; move data into files"
        )
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise LabFileError(f"{path}: not UTF-8 text (byte {error.start})", "save it as UTF-8") from error
    deepest = _flow_depth(text)
    if deepest > MAX_DEPTH * 3:  # libyaml's composer recurses in C: refuse before it is asked
        raise LabFileError(f"{path}: nested {deepest} levels deep", f"at most {MAX_DEPTH} levels are accepted")
    return text


def _read(path: Path) -> bytes:
    """At most one byte more than is accepted. A FIFO or a device, which may never end, is not even waited for."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        mode = os.fstat(descriptor).st_mode
        if not stat.S_ISREG(mode):
            raise OSError(errno.EINVAL, "Is a directory" if stat.S_ISDIR(mode) else "It is no regular file")
        with os.fdopen(descriptor, "rb", closefd=False) as stream:
            return stream.read(MAX_FILE_BYTES + 1)
    finally:
        os.close(descriptor)


def _flow_depth(text: str) -> int:
    """An upper bound of nesting: open brackets, or the deepest indentation, or dashes in one line."""
    depth = deepest = 0
    for line in text.splitlines():
        indent = len(line) - len(line.lstrip(" -?"))
        deepest = max(deepest, indent // 2 if line.strip() else 0)
        for char in line:
            if char in "[{":
                depth += 1
                deepest = max(deepest, depth)
            elif char in "]}":
                depth = max(0, depth - 1)
    return deepest


class _Builder:
    """Turns nodes into values, remembering where each stood and refusing what would never end."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.places: dict[Loc, Place] = {}
        self.nodes = 0
        self.open: set[int] = set()

    def build(self, node: yaml.Node, loc: Loc, depth: int) -> Any:
        self._guard(node, depth)
        self.places[loc] = Place(line=node.start_mark.line + 1, column=node.start_mark.column + 1)
        if node.tag not in _TAGS:
            self._refuse(node, f"the tag {node.tag!r} is not accepted")
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node)
        self.open.add(id(node))
        try:
            if isinstance(node, yaml.SequenceNode):
                return [self.build(item, (*loc, index), depth + 1) for index, item in enumerate(node.value)]
            return self._mapping(node, loc, depth)
        finally:
            self.open.discard(id(node))

    def _mapping(self, node: yaml.Node, loc: Loc, depth: int) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                self._refuse(key_node, "a key must be a word")
            key = str(key_node.value)
            if key in values:
                self._refuse(key_node, f"the key {key!r} is given twice")
            values[key] = self.build(value_node, (*loc, key), depth + 1)
            mark = key_node.start_mark
            self.places[(*loc, key)] = Place(line=mark.line + 1, column=mark.column + 1)
        return values

    def _scalar(self, node: yaml.ScalarNode) -> Any:
        if node.tag in ("tag:yaml.org,2002:timestamp", "tag:yaml.org,2002:merge"):
            return node.value
        try:
            value = yaml.SafeLoader("").construct_object(node)
        except (ValueError, LookupError, ArithmeticError, TypeError, yaml.YAMLError) as error:
            self._refuse(node, f"{node.value[:80]!r} cannot be read: {error}")
        if isinstance(value, int) and not -MAX_INTEGER <= value <= MAX_INTEGER:
            self._refuse(node, f"{node.value[:40]}… is too large; a whole number must fit into 64 bits")
        return value

    def _guard(self, node: yaml.Node, depth: int) -> None:
        self.nodes += 1
        if id(node) in self.open:
            self._refuse(node, "an alias that contains itself")
        if depth > MAX_DEPTH:
            self._refuse(node, f"nested more than {MAX_DEPTH} levels deep")
        if self.nodes > MAX_NODES:
            self._refuse(node, f"more than {MAX_NODES} values (aliases counted out)")

    def _refuse(self, node: yaml.Node, why: str) -> NoReturn:
        mark = node.start_mark
        raise LabFileError(
            f"{self.path}:{mark.line + 1}:{mark.column + 1}: {why}", "see docs/lab-file.md for what a lab file may hold"
        )


_PLAIN = ("str", "int", "float", "bool", "null", "timestamp", "merge", "seq", "map")
_TAGS = {f"tag:yaml.org,2002:{name}" for name in _PLAIN}
