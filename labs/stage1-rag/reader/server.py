"""A scripted reader behind an OpenAI-compatible endpoint. It is no language model: word rules and a list of synonyms.

    python server.py --host 127.0.0.1 --port 8000 --served-model-name reader --max-model-len 1024

It takes part of vLLM's flags, so the lab's gpu profile runs vLLM in its place. What it does with a chat:

1. The question is the last line of the conversation that ends with a question mark.
2. All other text is split at empty lines into passages. The first line of a passage is its heading.
3. Of each passage it takes runs of one to three sentences, and looks how many of the question's words stand in the run or in
   the heading. A word with a capital or a digit (a name, a code) has to be there.
4. The run that covers enough of them is the answer. When none does, and the prompt allows "I do not know", it says so.
   When the prompt does not allow that, it invents something, as models do that were not told they may pass.
"""

from __future__ import annotations

import argparse
import json
import re
import time
import uuid
from collections.abc import Iterable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

UNKNOWN = "I do not know."
INVENTED = "As a rule it is 30 days, and 50 euros in the first year."
WANTED_COVER = 0.76
MAX_SENTENCES = 3
TOKENS_PER_WORD = 1.4

_HERE = Path(__file__).parent
_STOPWORDS = frozenset((_HERE / "stopwords.txt").read_text(encoding="utf-8").split())
_SYNONYMS = {
    word: line.split()[0]
    for line in (_HERE / "synonyms.txt").read_text(encoding="utf-8").splitlines()
    for word in line.split()
}
_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9'-]*")
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+(?=[A-Z0-9\"(])")
_ASKS_NUMBER = re.compile(
    r"how (many|much|long|high|often|far|old)|what (amount|is the .*budget)|which number|cost", re.IGNORECASE
)
_NUMBER = re.compile(
    r"\d|\b(one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|fifteen|sixteen|twenty|thirty)\b",
    re.IGNORECASE,
)
_MAY_PASS = re.compile(
    r"(do not|don't) know|(cannot|can't) (answer|tell)|not in the (passages|documents|context|text)", re.IGNORECASE
)


def reply(messages: list[dict[str, str]]) -> str:
    """What the reader answers to a conversation."""
    text = "\n\n".join(str(message.get("content") or "") for message in messages)
    lines = text.splitlines()
    at = max((n for n, line in enumerate(lines) if line.rstrip().endswith("?")), default=None)
    if at is None:
        return "There is no question."
    asked = re.sub(r"^\W*(question|user|q)\s*:", "", lines[at].strip(), flags=re.IGNORECASE).strip()
    rest = "\n".join([*lines[:at], "", *lines[at + 1 :]])
    found = read(asked, passages(rest))
    if found is not None:
        return found
    return UNKNOWN if _MAY_PASS.search(rest) else INVENTED


def read(question: str, given: Iterable[tuple[str, str]]) -> str | None:
    """The shortest run of sentences that covers the question best; None when none covers enough of it."""
    wanted = stems(question)
    names = {stem(word) for word in _WORD.findall(question)[1:] if is_name(word)} & wanted
    counts = bool(_ASKS_NUMBER.search(question))
    best: tuple[tuple[float, bool, int, int], str] | None = None
    for heading, body in given:
        head = stems(heading)
        for count, run in runs(body):
            have = stems(run) | head
            cover = len(wanted & have) / max(1, len(wanted))
            # Between runs that cover the same: a number if one is asked for, then more in the run, then the shorter.
            own = len(wanted & stems(run))
            rank = (round(cover, 3), counts and bool(_NUMBER.search(run)), own - count, -len(run))
            if own and names <= have and cover >= WANTED_COVER and (best is None or rank > best[0]):
                best = (rank, run)
    return best[1] if best else None


def passages(text: str) -> Iterator[tuple[str, str]]:
    """Heading and body of each passage; of a passage with one line that line is both."""
    for block in re.split(r"\n\s*\n", text):
        lines = block.strip().splitlines()
        if lines:
            yield lines[0], " ".join(lines[1:] or lines)


def runs(body: str) -> Iterator[tuple[int, str]]:
    """Every run of one to three sentences, with its number of sentences."""
    sentences = [part.strip() for part in _SENTENCE_END.split(body) if part.strip()]
    for count in range(1, MAX_SENTENCES + 1):
        for start in range(len(sentences) - count + 1):
            yield count, " ".join(sentences[start : start + count])


def stems(text: str) -> set[str]:
    """The words that carry meaning, shortened, one word for all synonyms."""
    return {stem(word) for word in _WORD.findall(text) if word.lower() not in _STOPWORDS}


def stem(word: str) -> str:
    word = word.lower().removesuffix("'s")
    if word in _SYNONYMS:
        return _SYNONYMS[word]
    for ending in ("ing", "ed", "es", "s"):
        if word.endswith(ending) and len(word) - len(ending) >= 4:
            word = word[: -len(ending)]
            break
    word = word.removesuffix("e")
    return _SYNONYMS.get(word, word)


def is_name(word: str) -> bool:
    return word[0].isupper() or any(char.isdigit() for char in word)


class Handler(BaseHTTPRequestHandler):
    """The two endpoints of the OpenAI API that the lab uses."""

    protocol_version = "HTTP/1.1"
    model = "reader"
    max_tokens = 1024

    def do_GET(self) -> None:
        if self.path == "/v1/models":
            self._send(200, {"object": "list", "data": [{"id": self.model, "object": "model", "owned_by": "labctl"}]})
        else:
            self._refuse(404, f"no {self.path} here")

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        if self.path != "/v1/chat/completions":
            return self._refuse(404, f"no {self.path} here")
        try:
            asked = json.loads(body)
            messages = [dict(message) for message in asked["messages"]]
        except (ValueError, KeyError, TypeError):
            return self._refuse(400, "the body must be JSON with a list `messages`")
        if asked.get("model") != self.model:
            return self._refuse(404, f"The model `{asked.get('model')}` does not exist.")
        tokens = round(TOKENS_PER_WORD * sum(len(str(message.get("content") or "").split()) for message in messages))
        if tokens > self.max_tokens:
            return self._refuse(
                400, f"This model's maximum context length is {self.max_tokens} tokens; the prompt has {tokens}."
            )
        return self._send(200, completion(self.model, reply(messages), tokens))

    def _refuse(self, status: int, message: str) -> None:
        self._send(status, {"error": {"message": message, "type": "invalid_request_error", "code": status}})

    def _send(self, status: int, answer: dict[str, Any]) -> None:
        body = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def completion(model: str, text: str, prompt_tokens: int) -> dict[str, Any]:
    """The answer in OpenAI's form."""
    written = round(TOKENS_PER_WORD * len(text.split()))
    return {
        "id": f"chatcmpl-{uuid.uuid4().hex}",
        "object": "chat.completion",
        "created": int(time.time()),
        "model": model,
        "choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}],
        "usage": {
            "prompt_tokens": prompt_tokens,
            "completion_tokens": written,
            "total_tokens": prompt_tokens + written,
        },
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--served-model-name", default="reader")
    parser.add_argument("--max-model-len", type=int, default=1024)
    args, _ = parser.parse_known_args()
    Handler.model, Handler.max_tokens = args.served_model_name, args.max_model_len
    print(f"reader: listening on {args.host}:{args.port}", flush=True)
    ThreadingHTTPServer((args.host, args.port), Handler).serve_forever()


if __name__ == "__main__":
    main()
