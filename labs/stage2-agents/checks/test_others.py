"""The agent by smolagents, and the agent as a graph."""

from __future__ import annotations

from typing import Any


def test_library(work: Any, chance: Any, holds: Any, sent: Any) -> None:
    city, other, to = chance.city(), chance.city(), chance.address()
    one, two = chance.order(), chance.order()
    tasks = [
        f"What is the weather in {city} today?",
        f"What do orders {one} and {two} cost together?",
        f"Write to {to} what the weather in {other} will be tomorrow.",
    ]
    (weather, cost, _), seen = work("team", *({"task": task} for task in tasks))
    found = seen.result("get_weather", city=city, day="today")
    holds(tasks[0], weather.answer, found["sky"], found["celsius"])
    holds(tasks[1], cost.answer, sum(seen.result("get_order", order_id=order)["total"] for order in (one, two)))
    sent(seen, to, seen.result("get_weather", city=other, day="tomorrow"))
    assert weather.more["library"] == cost.more["library"] == 1, "team.run does not run smolagents' ToolCallingAgent"


def test_graph(work: Any, chance: Any, holds: Any) -> None:
    one, two = chance.order(), chance.order()
    item, never = chance.word(), f"anvil{chance.word()}"
    tasks = [
        f"What do orders {one} and {two} cost together?",
        f"How many {item}s are in stock?",
        f"How many {never}s are in stock?",
    ]
    (cost, stock, _), seen = work("graph", *({"task": task} for task in tasks))
    for node in ("plan", "approve", "act", "check"):
        assert node in cost.more["nodes"], f"the graph has no node {node}"
    for node in ("plan", "approve", "check"):
        assert node in cost.more["branches"], f"no conditional edge leaves {node}"
    holds(tasks[0], cost.answer, sum(seen.result("get_order", order_id=order)["total"] for order in (one, two)))
    holds(tasks[1], stock.answer, seen.result("get_stock", item=item)["count"])
    asked = len(seen.of("get_stock", item=never))
    assert asked >= 3, f"the graph asked a tool that stays busy {asked} times; wanted 3 for each call"
    assert asked <= 6, f"the graph asked a tool that stays busy {asked} times"
    assert not cost.more["asked"], "the graph asked a person about a call that is no email"


def test_approval(work: Any, chance: Any, sent: Any) -> None:
    city, yes, no = chance.city(), chance.address(), chance.address()
    tasks = [
        {"task": f"Write to {yes} what the weather in {city} will be tomorrow.", "yes": True},
        {"task": f"Write to {no} what the weather in {city} will be tomorrow.", "yes": False},
    ]
    (agreed, refused), seen = work("graph", *tasks)
    for run, to in ((agreed, yes), (refused, no)):
        asked = run.more["asked"]
        assert asked, "nobody was asked before an email was sent"
        assert isinstance(asked[0], dict), 'interrupt is to be given {"tool", "arguments"}'
        assert asked[0].get("tool") == "send_email", f"the person was asked about {asked[0].get('tool')!r}"
        assert (asked[0].get("arguments") or {}).get("to") == to, "the person was not shown where the email goes"
    sent(seen, yes, seen.result("get_weather", city=city, day="tomorrow"))
    assert not seen.of("send_email", to=no), "a person said no, and the email was sent"
    assert "sent an email" not in refused.answer.lower(), (
        f"nothing was sent, and the answer is {refused.answer[:150]!r}"
    )
