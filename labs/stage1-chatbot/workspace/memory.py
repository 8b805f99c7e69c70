"""What the model is shown of a conversation, and where conversations are kept. No model in here: it can be tried in an instant.

python memory.py
"""

from __future__ import annotations

from collections.abc import Callable

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
    raise NotImplementedError("step 2: window in memory.py is yours to write")


class Conversations:
    """Everybody's own conversation, by its id; the whole of it, whatever the window shows. Several threads use it at once."""

    def __init__(self) -> None:
        raise NotImplementedError("step 3: Conversations in memory.py is yours to write")

    def messages(self, id: str) -> list[Message]:
        """The conversation `id` so far, the system message first; a new one has nothing else. A copy: changing it changes nothing."""
        raise NotImplementedError("step 3: Conversations in memory.py is yours to write")

    def add(self, id: str, said: str, answer: str) -> None:
        """Keep what the user said and what was answered."""
        raise NotImplementedError("step 3: Conversations in memory.py is yours to write")

    def forget(self, id: str) -> None:
        """Make `id` a new conversation; one that never was is no mistake."""
        raise NotImplementedError("step 3: Conversations in memory.py is yours to write")


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
