"""What the model is shown of a conversation, and where conversations are kept. No model in here: it can be tried in an instant.

python memory.py
"""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock

Message = dict[str, str]
Count = Callable[[list[Message]], int]
"""How many tokens the prompt of some messages has."""

SYSTEM = {"role": "system", "content": "You are Juno, a friendly companion."}
BUDGET = 200
"""Tokens for the prompt. The model reads 256 in all, and its answer needs up to 40 of them."""


class TooLong(ValueError):
    """The newest message alone, with the system message, is over the budget."""


def window(messages: list[Message], count: Count, budget: int = BUDGET) -> list[Message]:
    """What fits: the system message, and after it as many of the newest messages as `budget` tokens hold.

    `messages` begins with the system message and ends with the user's newest one; both are always part of the window. The first
    message after the system message is the user's, never an answer whose question is gone. Nothing is left out in between, no
    message is changed, and `messages` stays as it is. Raises TooLong when system and newest message do not fit together.
    """
    if count([messages[0], messages[-1]]) > budget:
        raise TooLong(f"the newest message does not fit into {budget} tokens")
    shown = [messages[0]]
    for message in messages[1:-1]:
        if count([*shown, message, messages[-1]]) > budget:
            break
        shown.append(message)
    return [*shown, messages[-1]]


class Conversations:
    """Everybody's own conversation, by its id; the whole of it, whatever the window shows. Several threads use it at once."""

    def __init__(self) -> None:
        self._kept: dict[str, list[Message]] = {}
        self._lock = Lock()

    def messages(self, id: str) -> list[Message]:
        """The conversation `id` so far, the system message first; a new one has nothing else. A copy: changing it changes nothing."""
        with self._lock:
            return [dict(message) for message in (SYSTEM, *self._kept.get(id, []))]

    def add(self, id: str, said: str, answer: str) -> None:
        """Keep what the user said and what was answered."""
        turn = [{"role": "user", "content": said}, {"role": "assistant", "content": answer}]
        with self._lock:
            self._kept.setdefault(id, []).extend(turn)

    def forget(self, id: str) -> None:
        """Make `id` a new conversation; one that never was is no mistake."""
        with self._lock:
            self._kept.pop(id, None)


def text_of(content: str | list[dict[str, str]]) -> str:
    """A message's content as text: Gradio hands over text, or a list of parts such as {"type": "text", "text": "Hello"}."""
    return content if isinstance(content, str) else "".join(part.get("text", "") for part in content)


def main() -> None:
    """A conversation in which every message costs ten tokens, shown through a window of 45."""
    messages = [SYSTEM]
    for turn in range(1, 4):
        messages += [{"role": "user", "content": f"question {turn}"}, {"role": "assistant", "content": f"answer {turn}"}]
    messages.append({"role": "user", "content": "question 4"})
    for message in window(messages, lambda some: 10 * len(some), 45):
        print(message)


if __name__ == "__main__":
    main()
