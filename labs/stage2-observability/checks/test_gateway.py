"""Whether the gateway measures what happened: its numbers before and after requests that are sent here, and vLLM's own."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable
from typing import Any

import pytest

SENT = 4
TOO_LONG = "capital " * 1500
FIRST_TOKEN_S, ANSWER_S = 0.1, 8.0
"""Around these the buckets must tell cases apart: 30 ms from 60 ms, and 15 s from 30 s."""


class Asked:
    """Four questions and one that vLLM refuses, with the metrics before and after."""

    def __init__(self, gateway: Any, scrape: Callable[[str], Any], until: Callable[..., Any]) -> None:
        self.before = {name: scrape(name) for name in ("gateway", "vllm")}
        answers = [
            gateway.post("/ask", json={"question": "What is the capital of Peru?", "max_tokens": 8 + n})
            for n in range(SENT)
        ]
        assert all(answer.status_code == 200 for answer in answers), "POST /ask does not answer questions any more"
        assert all(answer.json().get("answer") for answer in answers), "POST /ask does not answer with a text any more"
        self.seconds = sum(answer.elapsed.total_seconds() for answer in answers)
        self.refused = gateway.post("/ask", json={"question": TOO_LONG}).status_code
        finished = self.before["vllm"].sum("vllm:request_success_total") + SENT
        vllm = until(lambda: scrape("vllm"), lambda seen: seen.sum("vllm:request_success_total") >= finished)
        self.after = {"gateway": scrape("gateway"), "vllm": vllm}

    def grew(self, name: str, service: str = "gateway", **labels: str) -> float:
        """By how much a metric grew."""
        return self.after[service].sum(name, **labels) - self.before[service].sum(name, **labels)


@pytest.fixture
def asked(service: Callable[..., Any], scrape: Callable[[str], Any], until: Callable[..., Any]) -> Asked:
    return Asked(service("gateway"), scrape, until)


def test_requests_are_counted_and_timed(asked: Asked) -> None:
    answered, refused = asked.grew("llm_requests_total", status="ok"), asked.grew("llm_requests_total", status="error")
    assert answered == SENT, f'after {SENT} answered requests llm_requests_total{{status="ok"}} grew by {answered:g}'
    assert asked.refused == 502, f"a question that vLLM refuses is answered with {asked.refused}, not with 502"
    assert refused == 1, f'after a request that vLLM refused llm_requests_total{{status="error"}} grew by {refused:g}'
    timed = asked.grew("llm_request_seconds_count")
    assert timed == SENT, f"after {SENT} answered and 1 refused request llm_request_seconds counts {timed:g} more"
    seconds = asked.grew("llm_request_seconds_sum")
    assert 0 < seconds <= asked.seconds, (
        f"llm_request_seconds grew by {seconds:.3f}s; the client waited {asked.seconds:.3f}s"
    )
    assert seconds > 0.3 * asked.seconds, (
        f"of {asked.seconds:.3f}s that the client waited only {seconds:.3f}s were measured"
    )


def test_first_tokens_are_timed(asked: Asked) -> None:
    timed = asked.grew("llm_time_to_first_token_seconds_count")
    assert timed == SENT, f"after {SENT} answered requests llm_time_to_first_token_seconds counts {timed:g} more"
    first, whole = asked.grew("llm_time_to_first_token_seconds_sum"), asked.grew("llm_request_seconds_sum")
    assert 0 < first < whole, (
        f"first tokens took {first:.3f}s together and whole answers {whole:.3f}s: the first comes earlier"
    )
    vllm = asked.grew("vllm:time_to_first_token_seconds_sum", "vllm")
    assert first >= 0.9 * vllm, (
        f"the gateway saw the first tokens after {first:.3f}s, vLLM itself sent them after {vllm:.3f}s"
    )
    _tells_apart(asked.after["gateway"], "llm_time_to_first_token_seconds", around=FIRST_TOKEN_S)


def test_buckets_reach_as_far_as_answers_do(asked: Asked) -> None:
    _tells_apart(asked.after["gateway"], "llm_request_seconds", around=ANSWER_S)


def _tells_apart(metrics: Any, name: str, around: float) -> None:
    """Buckets on both sides of `around` seconds, a factor of four either way, neighbours at most 2.6 times apart."""
    bounds = {float(labels["le"]) for sample, labels, _ in metrics.samples if sample == f"{name}_bucket"}
    near = sorted(bound for bound in bounds if around / 4 <= bound <= around * 4)
    assert near, f"{name} has no bucket between {around / 4:g} and {around * 4:g} s"
    steps = [high / low for low, high in itertools.pairwise([around / 4, *near, around * 4])]
    assert max(steps) <= 2.6, (
        f"between {around / 4:g} and {around * 4:g} s the buckets of {name} are {max(steps):.1f} times apart"
    )


def test_tokens_agree_with_vllm(asked: Asked) -> None:
    for kind, theirs in (("input", "vllm:prompt_tokens_total"), ("output", "vllm:generation_tokens_total")):
        own, vllm = asked.grew("llm_tokens_total", type=kind), asked.grew(theirs, "vllm")
        assert own == vllm, f'llm_tokens_total{{type="{kind}"}} grew by {own:g}, {theirs} by {vllm:g}'


def test_nothing_of_the_text_is_a_label(asked: Asked) -> None:
    names = {name for name, _, _ in asked.after["gateway"].samples if name.startswith("llm_")}
    assert names, "no metric of the gateway begins with llm_"
    labels = {value for name, given, _ in asked.after["gateway"].samples if name in names for value in given.values()}
    strange = [value for value in labels if not re.fullmatch(r"ok|error|input|output|[0-9.e+-]+|\+Inf", value)]
    assert not strange, (
        f"a label of the gateway's metrics is {strange[0][:60]!r}: each value of a label is a series of its own"
    )
