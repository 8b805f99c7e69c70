"""The agent by hand: right answers, an honest trace, and what it survives."""

from __future__ import annotations

import json
import re
from typing import Any

CENT = 0.011
REPEATS = 2
MAX_STEPS = 5


def test_new_tasks(work: Any, chance: Any, holds: Any, sent: Any, numbers: Any) -> None:
    city, other, to = chance.city(), chance.city(), chance.address()
    one, two = chance.order(), chance.order()
    tasks = [
        f"What is the weather in {city} today?",
        f"Is it warmer in {city} or {other} tomorrow?",
        f"What do orders {one} and {two} cost together?",
        f"Write to {to} what the weather in {other} will be tomorrow.",
    ]
    (today, warmer, sum_, mail), seen = work("agent", *({"task": task, "model": "llm"} for task in tasks))
    weather = seen.result("get_weather", city=city, day="today")
    holds(tasks[0], today.answer, weather["sky"], weather["celsius"])
    degrees = {name: seen.result("get_weather", city=name, day="tomorrow")["celsius"] for name in (city, other)}
    if degrees[city] != degrees[other]:
        right = max(degrees, key=lambda name: degrees[name])
        wrong = min(degrees, key=lambda name: degrees[name])
        place = {name: warmer.answer.find(name) for name in (right, wrong)}
        assert place[right] >= 0 and (place[wrong] < 0 or place[right] < place[wrong]), (  # noqa: PT018
            f"{tasks[1]!r} was answered {warmer.answer!r}"
        )
    total = sum(seen.result("get_order", order_id=order)["total"] for order in (one, two))
    assert any(abs(number - total) < CENT for number in numbers(sum_.answer)), (
        f"{tasks[2]!r} was answered {sum_.answer!r}, which is not the sum of what the orders' tool told"
    )
    sent(seen, to, seen.result("get_weather", city=other, day="tomorrow"))
    assert mail.answer != today.answer, "two tasks have the same answer"


def test_trace_is_what_happened(work: Any, chance: Any) -> None:
    """Each step's call and observation, against what the service saw."""
    city, to, order = chance.city(), chance.address(), chance.order()
    tasks = [f"Write to {to} what the weather in {city} will be today.", f"What does order {order} cost?"]
    runs, seen = work("agent", *({"task": task, "model": "llm"} for task in tasks))
    steps = [step for run in runs for step in run.steps]
    assert len(runs[0].steps) >= 2, f"{tasks[0]!r} takes two calls; its trace has {len(runs[0].steps)}"
    brought = [call for call in seen.about(city, to, order) if call["status"] == 200]
    made = [(call["tool"], call["arguments"]) for call in brought]
    told = [(step["tool"], step["arguments"]) for step in steps]
    missing = [call for call in made if call not in told]
    assert not missing, f"the tools' service saw a call of {missing[0][0]} that no step of the trace has"
    invented = [call for call in told if call not in made]
    assert not invented, f"the trace has a call of {invented[0][0]} that the tools' service did not see"
    assert [call for call in told if call in made] == made, "the trace has the calls in another order than the service"
    for step, result in zip(steps, (call["result"] for call in brought), strict=True):
        assert reads(step["observation"], result), (
            f"the observation of {step['tool']} is {step['observation'][:120]!r}; the tool told {json.dumps(result)[:120]}"
        )


def test_failing_tool(work: Any, chance: Any, holds: Any) -> None:
    item, never = chance.word(), f"anvil{chance.word()}"
    tasks = [f"How many {item}s are in stock?", f"How many {never}s are in stock?"]
    (found, failed), seen = work("agent", *({"task": task, "model": "llm"} for task in tasks))
    statuses = [call["status"] for call in seen.of("get_stock", item=item)]
    assert statuses[:1] == [503], f"{tasks[0]!r}: the tools' service saw no call for it"
    assert 200 in statuses, f"{tasks[0]!r}: the tool was busy once and was not asked again"
    holds(tasks[0], found.answer, seen.result("get_stock", item=item)["count"])
    asked = len(seen.of("get_stock", item=never))
    assert 3 <= asked <= 3 * REPEATS, f"a tool that stays busy was asked {asked} times; wanted 3 for each step"
    could_not(tasks[1], failed)


def test_invented_tool(work: Any, chance: Any, holds: Any) -> None:
    item = chance.word()
    task = f"What does a {item} cost?"
    (run,), seen = work("agent", {"task": task, "model": "unruly"})
    assert run.steps, "the trace has no step; the call of a tool that is not there belongs into it"
    invented = run.steps[0]
    assert not seen.of(invented["tool"]), f"the call of {invented['tool']}, which is not there, was sent to the tools"
    assert "get_price" in invented["observation"], (
        f"the model called {invented['tool']} and was told {invented['observation'][:150]!r}; what is it to do now?"
    )
    holds(task, run.answer, seen.result("get_price", item=item)["price"])


def test_wrong_arguments(work: Any, chance: Any, holds: Any) -> None:
    city, order = chance.city(), chance.order()
    tasks = [f"What is the weather in {city} tomorrow?", f"What does order {order} cost?"]
    (weather, cost), seen = work("agent", *({"task": task, "model": "unruly"} for task in tasks))
    refused = [call for call in seen.about(city, order[1:]) if call["status"] == 422]
    assert not refused, (
        f"{refused[0]['tool']} was called with {json.dumps(refused[0]['arguments'])[:120]}; check them first"
    )
    holds(tasks[0], weather.answer, seen.result("get_weather", city=city, day="tomorrow")["celsius"])
    holds(tasks[1], cost.answer, seen.result("get_order", order_id=order)["total"])
    assert len(weather.steps) == 3, (
        f"a call that was not carried out is a step too: 3 are wanted, not {len(weather.steps)}"
    )


def test_loops_end(work: Any, chance: Any) -> None:
    parcel = f"P{chance.randrange(10**6, 10**7)}"
    again = {"task": f"When will parcel {parcel} arrive?", "model": "unruly", "max_steps": 12}
    on = {"task": "Look through all parcels until one has arrived.", "model": "unruly", "max_steps": MAX_STEPS}
    (repeated, endless), seen = work("agent", again, on)
    looked = len(seen.of("track_parcel", parcel_id=parcel))
    assert looked <= REPEATS, f"the same call was carried out {looked} times; wanted at most {REPEATS}"
    assert looked, f"{again['task']!r}: the tools' service saw no call for it"
    could_not(again["task"], repeated)
    assert len(endless.steps) == MAX_STEPS, f"with max_steps={MAX_STEPS} the trace has {len(endless.steps)} steps"
    others = [call for call in seen.of("track_parcel") if len(str(call["arguments"]["parcel_id"])) < len(parcel)]
    assert len(others) <= MAX_STEPS, f"with max_steps={MAX_STEPS} the tools saw {len(others)} calls"
    could_not(on["task"], endless)


def could_not(task: str, run: Any) -> None:
    assert re.search(r"could not|cannot|can't|couldn't|unable", run.answer, re.IGNORECASE), (
        f"{task!r} cannot be found out; the answer was {run.answer[:200]!r}"
    )


def reads(observation: str, result: Any) -> bool:
    """Whether the observation is the result, or has every value of it."""
    values = result.values() if isinstance(result, dict) else [result]
    return all(str(value) in observation for value in values)
