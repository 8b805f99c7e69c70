"""How the scripted model decides: rules for a handful of kinds of tasks. No language model is at work here.

`decide` reads what was said and done so far and says what is next: a call, or the answer. With `unruly` it makes the mistakes
that language models make: it invents a tool, gets arguments wrong, and asks the same thing for ever.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from history import History, brought

CITY = re.compile(r"\b(?:in|for|of) ([A-Z][a-z]+)|\bor ([A-Z][a-z]+)")
ORDER = re.compile(r"\b[A-Z]\d{3}\b")
PARCEL = re.compile(r"\bP\d+\b")
ADDRESS = re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+")
PIECES = re.compile(r"\bhow many ([a-z]+?)s? are\b", re.I)
PRICED = re.compile(r"\b(?:what does|price of) (?:an? |the )?(?!orders?\b)([a-z]+)\b", re.I)


@dataclass(frozen=True, slots=True)
class Next:
    """What the model says, and the call it asks for; without one, what it says is its answer."""

    text: str
    tool: str | None = None
    arguments: Any = None


def decide(history: History, unruly: bool) -> Next:
    """The next thing to do about the task."""
    last = history.last
    if last and last.observation and not unruly and not brought(last):
        return Next(f"I could not do it: {_reason(last.observation)}")
    task = history.task
    if unruly and (odd := next((odd for fits, odd in UNRULY if fits.search(task)), None)):
        return odd(history)
    if PIECES.search(task):
        return _stock(history)
    if ORDER.search(task) and "order" in task.lower():
        return _orders(history)
    if PRICED.search(task):
        return _price(history)
    if PARCEL.search(task):
        return _parcel(history)
    if "weather" in task.lower() or "warmer" in task.lower():
        return _weather(history)
    return Next("I could not find a way to do this with my tools.")


def _weather(history: History) -> Next:
    task = history.task
    day = "tomorrow" if "tomorrow" in task.lower() else "today"
    cities = [first or second for first, second in CITY.findall(task)]
    if not cities:
        return Next("I could not find a city in the task.")
    seen: dict[str, tuple[str, str]] = {}
    for city in cities:
        found = history.result("get_weather", city=city, day=day)
        if found is None:
            return Next(f"I need the weather in {city}, {day}.", "get_weather", {"city": city, "day": day})
        seen[city] = _field(found, "sky"), _field(found, "celsius")
    told = "; ".join(f"{city} {day}: {sky}, {celsius} °C" for city, (sky, celsius) in seen.items())
    if address := ADDRESS.search(task):
        if not history.result("send_email", to=address[0]):
            body = f"Dear all,\n\nthe weather in {told}.\n\nYour assistant"
            mail = {"to": address[0], "subject": f"Weather {day}", "body": body}
            return Next("I know the weather now, so I can write the email.", "send_email", mail)
        return Next(f"I sent an email to {address[0]}. {told}.")
    if len(seen) > 1:
        warmest = max(seen, key=lambda city: float(seen[city][1]))
        return Next(f"It is warmer in {warmest}. {told}.")
    return Next(f"{told}.")


def _orders(history: History) -> Next:
    totals = []
    for order in dict.fromkeys(ORDER.findall(history.task)):
        found = history.result("get_order", order_id=order)
        if found is None:
            return Next(f"I look up order {order}.", "get_order", {"order_id": order})
        totals.append((order, _field(found, "total"), _field(found, "item")))
    if len(totals) == 1:
        order, total, item = totals[0]
        return Next(f"Order {order} is a {item} for {total} euros.")
    sum_ = " + ".join(total for _, total, _ in totals)
    value = history.result("calculate", expression=sum_)
    if value is None:
        return Next(f"I add up the {len(totals)} totals.", "calculate", {"expression": sum_})
    return Next(f"Together they cost {_number(value)} euros.")


def _stock(history: History) -> Next:
    item = PIECES.search(history.task)[1].lower()  # type: ignore[index]  # whoever calls has looked
    found = history.result("get_stock", item=item)
    if found is None:
        return Next(f"I ask the warehouse for {item}.", "get_stock", {"item": item})
    return Next(f"There are {_field(found, 'count')} pieces in stock.")


def _price(history: History) -> Next:
    item = PRICED.search(history.task)[1].lower()  # type: ignore[index]  # whoever calls has looked
    found = history.result("get_price", item=item)
    if found is None:
        return Next(f"I look up the price of one {item}.", "get_price", {"item": item})
    return Next(f"One {item} costs {_field(found, 'price')} euros.")


def _parcel(history: History) -> Next:
    parcel = PARCEL.search(history.task)[0]  # type: ignore[index]  # whoever calls has looked
    found = history.result("track_parcel", parcel_id=parcel)
    if found is None:
        return Next(f"I look where parcel {parcel} is.", "track_parcel", {"parcel_id": parcel})
    return Next(f"I could not find out more: parcel {parcel} is on its way, and there is no news yet.")


def _invents_a_tool(history: History) -> Next:
    """Asks for a tool that is not there until an observation names the one that is."""
    named = any("get_price" in (call.observation or "") for call in history.calls)
    if named:
        return _price(history)
    item = PRICED.search(history.task)[1].lower()  # type: ignore[index]  # the task was picked by this pattern
    words = " ".join(["price", item, *["euros"] * len(history.calls)])
    return Next(f"Search number {len(history.calls) + 1} will tell.", "search_catalogue", {"query": words})


def _wrong_arguments(history: History) -> Next:
    """Wrong name, then no JSON at all, until observations name the right argument; then it does it right."""
    told = [call.observation or "" for call in history.calls]
    if not told or not any("city" in text for text in told):
        city = next((first or second for first, second in CITY.findall(history.task)), "Nowhere")
        return Next(f"Attempt {len(told) + 1}: I need the weather.", "get_weather", {"town": city, "day": "today"})
    if len(told) == 1:
        return Next("Once more, with the other name.", "get_weather", '{"city": "')
    return _weather(history)


def _wrong_type(history: History) -> Next:
    """Takes the number of an order for a number."""
    if not any("order_id" in (call.observation or "") for call in history.calls):
        order = ORDER.search(history.task)[0]  # type: ignore[index]  # the task was picked by this pattern
        return Next(f"Attempt {len(history.calls) + 1}: the order.", "get_order", {"order_id": int(order[1:])})
    return _orders(history)


def _asks_for_ever(history: History) -> Next:
    """The same call again, as long as it gets the same answer."""
    parcel = PARCEL.search(history.task)[0]  # type: ignore[index]  # the task was picked by this pattern
    told = [call.observation for call in history.calls]
    if len(set(told)) > 1:
        return Next(f"I could not find out when {parcel} arrives: there is no news.")
    return Next(f"Let me look again ({len(told) + 1}).", "track_parcel", {"parcel_id": parcel})


def _looks_at_all(history: History) -> Next:
    """Another call each time, and no end."""
    number = len(history.calls) + 1
    return Next(f"Not yet. Next is parcel {number}.", "track_parcel", {"parcel_id": f"P{number}"})


UNRULY: list[tuple[re.Pattern[str], Callable[[History], Next]]] = [
    (PRICED, _invents_a_tool),
    (re.compile(r"all parcels", re.I), _looks_at_all),
    (PARCEL, _asks_for_ever),
    (re.compile(r"\border\b.*\b[A-Z]\d{3}\b", re.I), _wrong_type),
    (re.compile(r"weather", re.I), _wrong_arguments),
]


def _field(observation: str, name: str) -> str:
    """A field's value in JSON, or in what Python prints of it."""
    found = re.search(rf"""["']?{name}["']?\s*[:=]\s*["']?([^"',}}]+)""", observation)
    return found[1].strip() if found else "?"


def _number(observation: str) -> str:
    found = re.findall(r"-?\d+(?:\.\d+)?", observation)
    return f"{float(found[-1]):.2f}" if found else "?"


def _reason(observation: str) -> str:
    return " ".join(observation.split())[:200]
