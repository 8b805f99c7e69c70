"""Files and answers as values. Whatever cannot be read raises Unmet with a sentence for the learner."""

from __future__ import annotations

import json
from typing import Annotated, Any, NoReturn

import jmespath
from jmespath.exceptions import JMESPathError
from pydantic import AfterValidator

from labctl.checks.base import Unmet
from labctl.target import MAX_FILE_BYTES, Target

MAX_JSON_BYTES = 16 * 1024 * 1024


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


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"it holds {name}")
