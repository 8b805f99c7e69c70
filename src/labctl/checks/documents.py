"""Files and answers as values. Whatever cannot be read raises Unmet with a sentence for the learner."""

from __future__ import annotations

import json
import re
from typing import Annotated, Any, NoReturn

import jmespath
from jmespath.exceptions import JMESPathError
from pydantic import AfterValidator

from labctl.checks.base import Unmet
from labctl.target import MAX_FILE_BYTES, Target

MAX_JSON_BYTES = 16 * 1024 * 1024
MAX_BRIEF_CHARS = 200
MAX_KEYS_SHOWN = 8
_PLAIN_PATH = re.compile(r"[A-Za-z_]\w*(\[-?\d+\])*(\.[A-Za-z_]\w*(\[-?\d+\])*)*")


def _compiles(expression: str) -> str:
    if "{{" not in expression:
        try:
            jmespath.compile(expression)
        except JMESPathError as error:
            raise ValueError(f"{expression!r} is not a JMESPath expression: {error}") from error
    return expression


Selector = Annotated[str, AfterValidator(_compiles)]


def read_whole(target: Target, path: str, max_bytes: int = MAX_FILE_BYTES) -> bytes:
    """All bytes of a file; a file of more than `max_bytes` is refused, never cut."""
    try:
        data = target.read(path, max_bytes=max_bytes + 1)
    except FileNotFoundError:
        raise Unmet(f"there is no file {path}") from None
    except IsADirectoryError:
        raise Unmet(f"{path} is a folder, not a file") from None
    if len(data) > max_bytes:
        raise Unmet(f"{path} is larger than the {max_bytes} bytes that are looked at")
    return data


def read_text(target: Target, path: str, max_bytes: int = MAX_FILE_BYTES) -> str:
    """A UTF-8 file."""
    data = read_whole(target, path, max_bytes)
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Unmet(f"{path} is not UTF-8 text: byte {error.start} is {data[error.start]:#04x}") from None


def read_json(target: Target, path: str) -> Any:
    """The value in a JSON file of at most 16 MiB."""
    return parse_json(read_whole(target, path, MAX_JSON_BYTES), path)


def parse_json(data: bytes, what: str) -> Any:
    """The value of JSON text. NaN and infinity, which Python's own reader would let pass, are no JSON."""
    try:
        return json.loads(data.decode("utf-8"), parse_constant=_refuse_constant)
    except json.JSONDecodeError as error:
        raise Unmet(f"{what} is not JSON: {error.msg} in line {error.lineno}, column {error.colno}") from None
    except RecursionError:
        raise Unmet(f"{what} is nested too deeply to be read") from None
    except ValueError as error:  # not UTF-8, NaN, or a number of more than 4,300 digits
        raise Unmet(f"{what} is not JSON: {error}") from None


def select(expression: str | None, value: Any, what: str) -> Any:
    """What the JMESPath expression finds in `value`: None for nothing, all of it without an expression."""
    if expression is None:
        return value
    try:
        return jmespath.search(expression, value)
    except (JMESPathError, RecursionError) as error:
        raise Unmet(f"{expression} cannot be applied to {what}: {error}") from None


def lacking(expression: str | None, document: Any, what: str) -> str:
    """Which key on the way of a plain path such as `a.b[0].c` is not there, and what is; "" when none is wanting."""
    if expression is None or not _PLAIN_PATH.fullmatch(expression):
        return ""
    parts, holder, value = expression.split("."), what, document
    for depth, part in enumerate(parts, start=1):
        key = part.partition("[")[0]
        if not isinstance(value, dict):
            return f"{holder} is {brief(value)}, which has no `{key}`"
        if key not in value:
            return f"{holder} has no `{key}`; it has {_keys(value)}"
        path = ".".join(parts[:depth])
        holder, value = f"{path} in {what}", select(path, document, what)
    return ""


def brief(value: Any) -> str:
    """A JSON value as a message shows it: on one line, and cut."""
    if isinstance(value, list | dict) and len(value) > MAX_BRIEF_CHARS:
        return f"{'a list' if isinstance(value, list) else 'an object'} of {len(value)}"
    try:
        text = json.dumps(value, ensure_ascii=False) if isinstance(value, list | dict) else repr(value)
    except RecursionError:
        return "nested too deeply to show"
    text = "null" if value is None else text
    return text if len(text) <= MAX_BRIEF_CHARS else f"{text[:MAX_BRIEF_CHARS]}…"


def _keys(value: dict[str, Any]) -> str:
    shown = ", ".join(str(key)[:40] for key in list(value)[:MAX_KEYS_SHOWN]) or "nothing"
    return f"{shown}, …" if len(value) > MAX_KEYS_SHOWN else shown


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"it holds {name}")
