"""The words in a task's result: what went wrong in it, what it changed. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from os import strerror
from typing import Any

MAX_CHARS = 2000
_MAX_LINES = 12
_EMPTY = ("", "non-zero return code", "One or more items failed")
_NOT_RUN = "Error executing command."  # of a program that is not there; the rc is then an errno
_HOLLOW = ("MODULE FAILURE", "Module result deserialization failed", "The following modules failed to execute")


def message_of(result: Mapping[str, Any]) -> str:
    """What went wrong, in the words of the task: its message, and of a command the last lines that it wrote.

    >>> message_of({"msg": "non-zero return code", "rc": 2, "stderr": "warning: x\\nno such file"})
    'it ended with 2: warning: x\\nno such file'
    >>> message_of({"msg": "One or more items failed", "results": [{"failed": True, "item": "gcc", "msg": "no package"}]})
    'gcc: no package'
    """
    if result.get("censored"):
        return "what it says is hidden, because it may hold a secret (no_log)"
    words = [*_of_items(result), *_of_modules(result), _of_one(result)]
    return "\n".join(word for word in words if word)[:MAX_CHARS] or "it does not say why"


def diff_of(result: Mapping[str, Any]) -> str:
    """What a task changed, as `ansible-playbook --diff` would show it; empty when it does not say."""
    diffs = result.get("diff") or []
    found = [_diff(each) for each in (diffs if isinstance(diffs, list) else [diffs]) if isinstance(each, Mapping)]
    found += [diff_of(each) for each in result.get("results") or [] if isinstance(each, Mapping)]
    return "\n".join(text for text in found if text)


def _of_items(result: Mapping[str, Any]) -> Iterator[str]:
    for item in result.get("results") or ():
        if isinstance(item, Mapping) and (item.get("failed") or item.get("unreachable")):
            label = item.get("_ansible_item_label", item.get("item", ""))
            yield f"{label}: {_of_one(item)}" if isinstance(label, str) and label else _of_one(item)


def _of_modules(result: Mapping[str, Any]) -> Iterator[str]:
    """Of facts that could not be gathered."""
    return (_of_one(each) for each in (result.get("failed_modules") or {}).values() if isinstance(each, Mapping))


def _of_one(result: Mapping[str, Any]) -> str:
    message = str(result.get("msg") or "").strip().removeprefix("Task failed: ")
    if message == _NOT_RUN:
        return f"{str(result.get('cmd')).partition(' ')[0]} cannot be run: {strerror(int(result.get('rc') or 0))}"
    if message.partition("\n")[0] not in _EMPTY and not message.startswith(_HOLLOW):
        return message
    output = _last_lines(result, "stderr", "module_stderr", "stdout", "module_stdout")
    code = result.get("rc")
    if output:
        return f"it ended with {code}: {output}" if code is not None else output
    return "" if result.get("results") or result.get("failed_modules") else message


def _last_lines(result: Mapping[str, Any], *names: str) -> str:
    text = next((str(result[name]) for name in names if str(result.get(name) or "").strip()), "")
    lines = [line.rstrip() for line in text.splitlines() if line.strip()]
    return "\n".join(lines[-_MAX_LINES:])


def _diff(diff: Mapping[str, Any]) -> str:
    if "prepared" in diff:
        return str(diff["prepared"]).strip("\n")
    before, after = diff.get("before", ""), diff.get("after", "")
    if before == after:
        return ""
    return "\n".join(_unified(_text(before), _text(after), diff))


def _unified(before: str, after: str, diff: Mapping[str, Any]) -> Iterator[str]:
    from difflib import unified_diff

    names = (str(diff.get("before_header") or "before"), str(diff.get("after_header") or "after"))
    lines = unified_diff(before.splitlines(), after.splitlines(), *names, lineterm="", n=2)
    return (line for line in lines)


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    import json

    return json.dumps(value, indent=2, sort_keys=True, default=str)
