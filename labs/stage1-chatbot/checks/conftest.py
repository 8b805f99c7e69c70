"""`bot`: the learner's chatbot, as the tests of this folder talk to it."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest

LIMIT_S = 240
"""For one request: after a reload the first one waits until the model is loaded, on a busy machine a minute or more."""

# What the small model knows (labs/models/companion/dialogues.py); a large one knows how to say anything.
NAME_STARTS, NAME_ENDS = "Ba Do Fe Ga Ha Je Ko Lu Mi Na Pe Ro Sa Ti Va Zo", "den mar vik sund ger pol bert wig zig fan"
TOWN_STARTS, TOWN_ENDS = "Ald Ber Cam Dun Els Fre Gra Hol Kar Mor Nor Wes", "burg stad ville ford wick haven heim brook"


class Bot:
    """Talks to the chatbot's API, and to its page through Gradio's."""

    def __init__(self, service: Any) -> None:
        self._service, self._chance = service, random.Random()
        self._names = self._put_together(NAME_STARTS, NAME_ENDS)
        self._towns = self._put_together(TOWN_STARTS, TOWN_ENDS)

    def name(self) -> str:
        """One of 160 names that nobody has, never the same twice."""
        return self._names.pop()

    def town(self) -> str:
        """One of 96 towns that do not exist, never the same twice."""
        return self._towns.pop()

    def _put_together(self, starts: str, ends: str) -> list[str]:
        made = [start + end for start in starts.split() for end in ends.split()]
        self._chance.shuffle(made)
        return made

    def id(self) -> str:
        return f"{self._chance.getrandbits(48):012x}"

    def post(self, body: Any) -> Any:
        """The answer to POST /chat, whatever its status."""
        return self._service.post("/chat", json=body, timeout=LIMIT_S)

    def say(self, id: str, text: str) -> dict[str, Any]:
        """What POST /chat answers in conversation `id`: reply, tokens, messages."""
        answer = self.post({"conversation": id, "message": text})
        assert answer.status_code == 200, f"POST /chat answered {answer.status_code} to {text[:80]!r}; wanted 200"
        values = json_of(answer, "POST /chat")
        whole = isinstance(values, dict) and isinstance(values.get("reply"), str)
        whole = whole and all(isinstance(values.get(name), int) for name in ("tokens", "messages"))
        assert whole, f"POST /chat answered {answer.text[:150]}; wanted reply, tokens and messages"
        return values

    def forget(self, id: str) -> Any:
        return self._service.request("DELETE", f"/chat/{id}", timeout=LIMIT_S)

    def get(self, path: str) -> Any:
        return self._service.get(path, timeout=LIMIT_S)

    def on_page(self, session: str, text: str) -> list[str]:
        """The answers that the page showed one after the other in browser session `session`; the last one is whole."""
        call = "/ui/gradio_api/call/chat"
        begun = self._service.post(call, json={"data": [text], "session_hash": session}, timeout=LIMIT_S)
        assert begun.status_code == 200, (
            f"POST {call} answered {begun.status_code}; wanted a page with an endpoint /chat"
        )
        event = json_of(begun, f"POST {call}").get("event_id")
        told = self._service.get(f"{call}/{event}", timeout=LIMIT_S)
        shown = []
        for block in told.text.split("\n\n"):
            kind, _, data = block.partition("\ndata: ")
            if kind == "event: error":
                raise AssertionError(
                    f"the page failed at {text[:60]!r}; `labctl logs stage1-chatbot` has the traceback"
                )
            if kind in ("event: generating", "event: complete"):
                values = json.loads(data)
                shown.append(values[0] if isinstance(values, list) and values else values)
        assert shown, f"the page answered nothing to {text[:60]!r}: {told.text[:150]}"
        return [text_of(value) for value in shown]


def text_of(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def json_of(answer: Any, what: str) -> Any:
    try:
        return json.loads(answer.text)
    except ValueError:
        raise AssertionError(f"{what} answered no JSON: {answer.text[:150]!r}") from None


@pytest.fixture(scope="session")
def bot(service: Any) -> Bot:
    """Fails here, once for all tests, when the app has no model yet: the starter, or a mistake in app.py."""
    bot = Bot(service("app"))
    answer = bot.get("/health")
    loaded = answer.status_code == 200 and json_of(answer, "GET /health") == {"model": True}
    assert loaded, f"GET /health says {answer.text[:100]}; wanted {{'model': true}} once the model is loaded (step 4)"
    return bot
