"""Compose's health checks as ours: a request or a connection where the test is one, else the command."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from labctl.labs.compose.notes import Notes, at, shown
from labctl.units import MAX_DURATION_S, parse_duration

LEAST_S = 60.0
_DEFAULTS = {"interval": 30.0, "retries": 3, "start_period": 0.0}
_HARMLESS = re.compile(
    r"-[fsSLkqIvgO]+-?|--(fail|silent|show-error|location|head|get|quiet|spider|no-verbose|fail-with-body)"
    r"|-nv|--(tries|timeout|max-time|connect-timeout|retry|output-document|output|request)=\S+"
)
_TAKES_VALUE = ("-o", "-O", "-m", "-T", "-t", "-w", "-X", "--max-time", "--connect-timeout", "--output", "--retry")
_URL = re.compile(r"(?:(http)://)?(localhost|127\.0\.0\.1|0\.0\.0\.0|\[::1?\])(?::([0-9]{1,5}))?(/\S*)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """When a service is ready: a `path` to ask for at `port`, `port` alone to connect to, or a `command`."""

    timeout_s: float
    path: str | None = None
    port: int | None = None
    command: tuple[str, ...] = ()


def health(entry: Any, place: str, notes: Notes) -> Health | None:
    """None when there is no check, it is disabled, or it makes no sense (noted)."""
    if not isinstance(entry, dict) or entry.get("disable") in (True, "true"):
        if entry is not None and not isinstance(entry, dict):
            notes.add(place, "is no mapping", "it is not carried over")
        return None
    command, is_shell = _test(entry.get("test"), at(place, "test"), notes)
    if not command:
        return None
    timeout_s = _timeout_s(entry, place, notes)
    words = _simple_words(command[0]) if is_shell else command
    found = _request(words) or _connection(words)
    if found is not None:
        path, port = found
        if words[0] == "curl" and not re.search(r"(^| )(-[a-zA-Z]*f|--fail)", " ".join(words)):
            notes.add(
                at(place, "test"), "curl without -f accepts every status", "a lab accepts those below 400 only; try it"
            )
        return Health(timeout_s=timeout_s, path=path, port=port)
    return Health(timeout_s=timeout_s, command=("sh", "-c", command[0]) if is_shell else tuple(command))


def _test(test: Any, place: str, notes: Notes) -> tuple[list[str], bool]:
    """(the command, whether a shell reads it); empty when there is none."""
    if test is None:
        notes.add(place, "is missing", "the image's own check is not known to labctl; give a healthcheck")
        return [], False
    if not isinstance(test, list):
        return [str(test)] if str(test).strip() else [], True
    words = [str(word) for word in test if word not in (None, "")]
    if not words or words[0] == "NONE":
        return [], False
    if words[0] == "CMD-SHELL":
        return [" ".join(words[1:])] if words[1:] else [], True
    if words[0] != "CMD":
        notes.add(place, f"the list begins with {shown(words[0])}, not CMD or CMD-SHELL", "it is run as CMD")
        return words, False
    return words[1:], False


def _timeout_s(entry: Mapping[str, Any], place: str, notes: Notes) -> float:
    """Compose gives up after start_period and `retries` intervals."""
    values = {}
    for key, usual in _DEFAULTS.items():
        value = entry.get(key)
        try:
            text = str(value).replace("us", "ms") if value is not None else str(usual)
            values[key] = float(text) if re.fullmatch(r"[0-9]{1,7}(\.[0-9]{1,6})?", text) else parse_duration(text)
        except ValueError as error:
            notes.add(at(place, key), str(error), f"{usual:g} is assumed")
            values[key] = usual
    return min(max(LEAST_S, values["start_period"] + values["interval"] * values["retries"]), MAX_DURATION_S)


def _simple_words(text: str) -> Sequence[str]:
    """The words of a shell command that only ends with `|| exit 1`; none when the shell has more to do."""
    text = re.sub(r"\s*\|\|\s*(exit(\s+[0-9]+)?|false)\s*;?\s*$", "", text.strip())
    text = re.sub(r"\s*(1|2|&)?>\s*/dev/null(\s+2>&1)?$", "", text)
    if re.search(r"[|&;<>`$(){}\n\\*?]", re.sub(r"""(["'])http[^"'$`\\]*\1""", "", text)):
        return []
    try:
        return shlex.split(text)
    except ValueError:
        return []


def _request(words: Sequence[str]) -> tuple[str, int] | None:
    """(path, port) when the words ask the container itself by HTTP and do nothing else."""
    if not words or words[0].rpartition("/")[2] not in ("curl", "wget"):
        return None
    urls, rest = [], list(words[1:])
    while rest:
        word = rest.pop(0)
        if word in _TAKES_VALUE and not (word == "-O" and words[0].endswith("curl")):
            value = rest.pop(0) if rest else ""
            if word == "-X" and value != "GET":
                return None
        elif not word.startswith("-"):
            urls.append(word)
        elif not _HARMLESS.fullmatch(word):
            return None
    url = _URL.fullmatch(urls[0]) if len(urls) == 1 else None
    port = int(url[3] or 80) if url else 0
    return (url[4] or "/", port) if url and 1 <= port <= 65535 else None


def _connection(words: Sequence[str]) -> tuple[None, int] | None:
    """(None, port) for `nc -z localhost PORT`."""
    if len(words) < 4 or words[0].rpartition("/")[2] not in ("nc", "ncat", "netcat") or "u" in "".join(words[1:-2]):
        return None
    scans = any(re.fullmatch("-[a-z]*z[a-z]*", word) for word in words[1:-2])
    port = words[-1]
    is_port = port.isascii() and port.isdigit() and len(port) < 6 and 1 <= int(port) <= 65535
    here = words[-2] in ("localhost", "127.0.0.1", "0.0.0.0", "::1")  # noqa: S104 - a word of a command
    return (None, int(port)) if scans and is_port and here else None
