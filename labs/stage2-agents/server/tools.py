"""The tools of the lab as one HTTP service. What it answers depends on the session: it cannot be known without asking.

    python tools.py --host 127.0.0.1 --port 8000 --seed SESSION

    GET  /tools          what there is, in the form in which OpenAI's API takes tools
    POST /tools/NAME     a call, its arguments as a JSON object; {"result": …}, or a status from 400 on and {"error": …}
    GET  /calls          every call that came in, oldest first: {"tool", "arguments", "status", "result"}

get_stock is busy (503) whenever it is asked for an item for the first time, and for anvils always. track_parcel never has news.
"""

from __future__ import annotations

import argparse
import ast
import hashlib
import json
import operator
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock
from typing import Any

SKIES = ["clear sky", "clouds", "rain", "snow", "fog", "storm"]
DAYS = ["today", "tomorrow"]
GOODS = ["lamp", "table", "chair", "kettle", "mirror", "carpet", "shelf", "clock"]
ALWAYS_BUSY = "anvil"
_OPERATORS: Mapping[type, Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}


class Refused(Exception):
    """A call that gets no result: the status and the reason."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status


class Tools:
    """The tools of one session, and what was asked of them."""

    def __init__(self, seed: str) -> None:
        self._seed = seed
        self._asked: set[str] = set()
        self._lock = Lock()
        self.calls: list[dict[str, Any]] = []

    def call(self, name: str, arguments: Any) -> tuple[int, dict[str, Any]]:
        """The status and the body of the answer. The call is written down either way."""
        with self._lock:
            try:
                status, body = 200, {"result": self._run(name, arguments)}
            except Refused as refused:
                status, body = refused.status, {"error": str(refused)}
            self.calls.append({"tool": name, "arguments": arguments, "status": status, "result": body.get("result")})
            return status, body

    def _run(self, name: str, arguments: Any) -> Any:
        if name not in SCHEMAS:
            raise Refused(404, f"there is no tool {name}")
        known, required = SCHEMAS[name]["properties"], SCHEMAS[name]["required"]
        if not isinstance(arguments, dict) or set(arguments) - set(known) or set(required) - set(arguments):
            raise Refused(422, f"{name} takes {', '.join(known)}")
        if not all(isinstance(value, str) for value in arguments.values()):
            raise Refused(422, f"the arguments of {name} are texts")
        return getattr(self, name)(**arguments)

    def get_weather(self, city: str, day: str = "today") -> dict[str, Any]:
        if day not in DAYS:
            raise Refused(404, f"no forecast for {day}; there is one for {' and '.join(DAYS)}")
        chance = self._number("weather", city, day)
        return {"city": city, "day": day, "sky": SKIES[chance % len(SKIES)], "celsius": chance // 7 % 45 - 10}

    def get_order(self, order_id: str) -> dict[str, Any]:
        if not (len(order_id) == 4 and order_id[0].isupper() and order_id[1:].isdigit()):
            raise Refused(404, f"there is no order {order_id}")
        chance = self._number("order", order_id)
        return {"order_id": order_id, "item": GOODS[chance % len(GOODS)], "total": (chance // 11 % 90000 + 1000) / 100}

    def get_price(self, item: str) -> dict[str, Any]:
        return {"item": item, "price": (self._number("price", item) % 20000 + 500) / 100}

    def get_stock(self, item: str) -> dict[str, Any]:
        if item.startswith(ALWAYS_BUSY) or item not in self._asked:
            self._asked.add(item)
            raise Refused(503, "the warehouse is busy; try again")
        return {"item": item, "count": self._number("stock", item) % 400 + 3}

    def track_parcel(self, parcel_id: str) -> dict[str, Any]:
        return {"parcel_id": parcel_id, "status": "on its way, no news yet"}

    def send_email(self, to: str, subject: str, body: str) -> dict[str, Any]:
        if "@" not in to or not subject.strip() or not body.strip():
            raise Refused(400, "an email needs an address, a subject and a text")
        return {"sent": f"m{self._number('mail', to, subject, body) % 10**6:06}"}

    def calculate(self, expression: str) -> float:
        try:
            return round(_value(ast.parse(expression, mode="eval").body), 6)
        except (ValueError, SyntaxError, ArithmeticError, RecursionError, MemoryError):
            raise Refused(400, "an expression has numbers, + - * / and brackets") from None

    def _number(self, *parts: str) -> int:
        return int.from_bytes(hashlib.sha256("/".join([self._seed, *parts]).encode()).digest()[:6], "big")


def _value(node: ast.expr) -> float:
    if isinstance(node, ast.Constant) and isinstance(node.value, int | float):
        return float(node.value)
    if isinstance(node, ast.BinOp) and type(node.op) in _OPERATORS:
        return _OPERATORS[type(node.op)](_value(node.left), _value(node.right))
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        return -_value(node.operand)
    raise ValueError(ast.dump(node))


def _text(description: str, **more: Any) -> dict[str, Any]:
    return {"type": "string", "description": description, **more}


def _schema(required: list[str], **properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


SCHEMAS: Mapping[str, dict[str, Any]] = {
    "get_weather": _schema(["city", "day"], city=_text("the city's name"), day=_text("which day", enum=DAYS)),
    "get_order": _schema(["order_id"], order_id=_text("a capital letter and three digits, for example K123")),
    "get_price": _schema(["item"], item=_text("one thing, for example lamp")),
    "get_stock": _schema(["item"], item=_text("one thing, for example lamp")),
    "track_parcel": _schema(["parcel_id"], parcel_id=_text("the parcel's number, for example P7")),
    "send_email": _schema(
        ["to", "subject", "body"],
        to=_text("an address"),
        subject=_text("one line"),
        body=_text("the text"),
    ),
    "calculate": _schema(["expression"], expression=_text("a sum, for example 12.5 + 3 * 4")),
}
DESCRIPTIONS: Mapping[str, str] = {
    "get_weather": "The weather in a city, today or tomorrow: sky and temperature in degrees Celsius",
    "get_order": "An order: what was ordered, and its total in euros",
    "get_price": "The price of one piece of something, in euros",
    "get_stock": "How many pieces of something are in the warehouse",
    "track_parcel": "Where a parcel is",
    "send_email": "Send an email",
    "calculate": "The value of a sum",
}


def listed() -> list[dict[str, Any]]:
    """All tools, as OpenAI's API takes them."""
    return [
        {"type": "function", "function": {"name": name, "description": DESCRIPTIONS[name], "parameters": SCHEMAS[name]}}
        for name in SCHEMAS
    ]


def handler(tools: Tools) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            known = {"/tools": lambda: {"tools": listed()}, "/calls": lambda: {"calls": list(tools.calls)}}
            found = known.get(self.path)
            self._answer(200 if found else 404, found() if found else {"error": "not here"})

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            try:
                arguments = json.loads(body)
            except ValueError:
                arguments = None
            self._answer(*tools.call(self.path.removeprefix("/tools/"), arguments))

        def log_message(self, format: str, *values: Any) -> None:
            print(format % values, flush=True)

        def _answer(self, status: int, body: Any) -> None:
            content = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

    return Handler


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--seed", required=True)
    args = parser.parse_args()
    ThreadingHTTPServer((args.host, args.port), handler(Tools(args.seed))).serve_forever()


if __name__ == "__main__":
    main()
