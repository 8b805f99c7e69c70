"""Judges memory.py by what it returns for conversations made up here. Runs outside the session; the learner's code runs in it."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from typing import Any

import pytest

chance = random.Random()
LIMIT_S = 60


def test_window(drive: Any) -> None:
    cases = [case(turns) for turns in (0, 1, 2, 3, 5, 8, 13) for _ in range(6)]
    for given, found in zip(cases, drive({"do": "window", "cases": cases}), strict=True):
        costs = [given["costs"][message["content"]] for message in given["messages"]]
        of = f"of {len(costs)} messages with {costs} tokens (3 more each, 5 for the template) and a budget of {given['budget']}"
        wanted = right_window(given)
        assert found["untouched"], "window changed the list that it was given"
        if wanted == "too long" or found["shown"] == "too long":
            assert found["shown"] == wanted, f"{of}, TooLong was {'not ' if wanted == 'too long' else ''}raised"
            continue
        assert isinstance(found["shown"], list), f"{of}, window returned {str(found['shown'])[:80]}"
        places = [given["messages"].index(one) if one in given["messages"] else "?" for one in found["shown"]]
        assert found["shown"] == wanted, f"{of}, the window shows those numbered {places}; that is not what fits best"


def test_conversations(drive: Any) -> None:
    one, two = word(), word()
    said = [word() for _ in range(8)]
    steps = [
        ["messages", one],
        ["add", one, said[0], said[1]],
        ["elsewhere", one, "said to another store", "answered by another store"],
        ["add", two, said[2], said[3]],
        ["add", one, said[4], said[5]],
        ["spoil", one],
        ["messages", one],
        ["messages", two],
        ["forget", one],
        ["forget", word()],
        ["messages", one],
        ["messages", two],
        *[["add", two, f"{word()}", word()] for _ in range(60)],
        ["messages", two],
    ]
    found = drive({"do": "conversations", "steps": steps})
    texts = [[message["content"] for message in messages[1:]] for messages in found]
    roles = [[message["role"] for message in messages] for messages in found]
    assert all(one_s[:1] == ["system"] for one_s in roles), "a conversation does not begin with the system message"
    assert roles[1] == ["system", "user", "assistant", "user", "assistant"], f"after two turns the roles are {roles[1]}"
    assert texts[0] == [], "a new conversation is not empty"
    assert texts[1] == [said[0], said[1], said[4], said[5]], "a conversation is not what was added to it, and only that"
    assert texts[2] == texts[4] == [said[2], said[3]], (
        "the other conversation is not what was added to it, and only that"
    )
    assert texts[3] == [], "a forgotten conversation is not empty"
    assert len(texts[5]) == 122, f"of a long conversation {len(texts[5])} of 122 messages are kept"


@pytest.fixture(scope="module")
def drive(workspace: Any, parameters: Mapping[str, Any]) -> Any:
    """Runs drive.py in the session with what it is to do; what came of it."""

    def run(asked: Mapping[str, Any]) -> Any:
        result = workspace.run(
            "python", "-B", f"{parameters['lab']}/checks/drive.py", stdin=json.dumps(asked), timeout=LIMIT_S
        )
        lines = result.stdout.strip().splitlines()
        assert lines, f"memory.py could not be tried: {result.stderr.strip()[-300:]}"
        answer = json.loads(lines[-1])
        assert "error" not in answer, f"memory.py: {answer.get('error')}"
        return answer["value"]

    return run


def case(turns: int) -> dict[str, Any]:
    """A conversation whose messages have random costs, and a budget that holds some of it, all, or too little."""
    messages = [{"role": "system", "content": word()}]
    for _ in range(turns):
        messages += [{"role": "user", "content": word()}, {"role": "assistant", "content": word()}]
    messages.append({"role": "user", "content": word()})
    costs = {message["content"]: chance.choice([2, 4, 8, 30]) for message in messages}
    least = 5 + sum(costs[messages[place]["content"]] + 3 for place in (0, -1))
    whole = 5 + sum(cost + 3 for cost in costs.values())
    budget = chance.choice(
        [least, least - 1, whole, whole - 1, chance.randint(least, whole), chance.randint(least, whole)]
    )
    return {"messages": messages, "costs": costs, "budget": budget}


def right_window(given: Mapping[str, Any]) -> Any:
    """Every beginning is tried, the longest window first."""
    system, *rest = given["messages"]
    for start in range(0, len(rest), 2):
        shown = [system, *rest[start:]]
        if 5 + sum(given["costs"][message["content"]] + 3 for message in shown) <= given["budget"]:
            return shown
    return "too long"


def word() -> str:
    return "".join(chance.choices("abcdefghijklmnopqrstuvwxyz", k=9))
