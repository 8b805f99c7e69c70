"""A scripted stand-in for a language model, behind the same API: it decides by rules (rules.py), at once, always alike.

    python -m scripted --served-model-name agent --host 127.0.0.1 --port 8000 [--unruly]

    POST /v1/chat/completions   messages and tools; never streams
    GET  /v1/models             who is there

The flags are those of vLLM's server, and flags that mean nothing here are ignored, so that one command starts either.
"""

from __future__ import annotations

import argparse
import json
import time
import uuid
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from history import read
from rules import decide


def complete(asked: Mapping[str, Any], unruly: bool) -> dict[str, Any]:
    """The answer to a request."""
    names = [tool["function"]["name"] for tool in asked.get("tools") or []]
    next_ = decide(read(asked["messages"]), unruly)
    message: dict[str, Any] = {"role": "assistant", "content": next_.text}
    if next_.tool and names:
        message["tool_calls"] = [_call(next_.tool, next_.arguments)]
    elif "final_answer" in names:  # smolagents has a tool for the answer
        message["tool_calls"] = [_call("final_answer", {"answer": next_.text})]
    read_, written = len(json.dumps(asked["messages"])) // 4, len(json.dumps(message)) // 4
    return {
        "id": f"chatcmpl-{uuid.uuid4().hex}",
        "object": "chat.completion",
        "created": int(time.time()),
        "model": asked.get("model"),
        "choices": [
            {"index": 0, "message": message, "finish_reason": "tool_calls" if "tool_calls" in message else "stop"}
        ],
        "usage": {"prompt_tokens": read_, "completion_tokens": written, "total_tokens": read_ + written},
    }


def _call(name: str, arguments: Any) -> dict[str, Any]:
    """A call as the API has it: the arguments are text, and whether that is JSON is up to the model."""
    text = arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False)
    return {"id": f"call_{uuid.uuid4().hex[:12]}", "type": "function", "function": {"name": name, "arguments": text}}


def handler(name: str, unruly: bool) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            models = {"object": "list", "data": [{"id": name, "object": "model", "owned_by": "rules"}]}
            self._answer(200, models) if self.path == "/v1/models" else self._answer(404, _error("not here"))

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            if self.path != "/v1/chat/completions":
                return self._answer(404, _error("not here"))
            try:
                asked = json.loads(body)
                messages = asked["messages"]
            except (ValueError, KeyError, TypeError):
                return self._answer(400, _error("messages are missing"))
            if asked.get("stream"):
                return self._answer(400, _error("this server does not stream"))
            answer = complete(asked, unruly)
            print(json.dumps({"messages": len(messages), "said": answer["choices"][0]["message"]}), flush=True)
            return self._answer(200, answer)

        def log_message(self, format: str, *values: Any) -> None:
            """What was asked and said is printed instead."""

        def _answer(self, status: int, body: Any) -> None:
            content = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

    return Handler


def _error(message: str) -> dict[str, Any]:
    return {"error": {"message": message, "type": "invalid_request_error"}}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--served-model-name", default="agent")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--unruly", action="store_true")
    args, _ = parser.parse_known_args()
    ThreadingHTTPServer((args.host, args.port), handler(args.served_model_name, args.unruly)).serve_forever()


if __name__ == "__main__":
    main()
