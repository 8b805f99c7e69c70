"""The API fails now and then: `up` gets through all the same, or says in one line why not. A real cluster behind a proxy."""

from __future__ import annotations

import time

import pytest

from labctl.errors import EngineError
from labctl.runtimes.base import State
from tests.conformance.homes import until
from tests.conformance.labs import server
from tests.integration.kubernetes import proxy
from tests.integration.kubernetes.homes import FaultyHome

pytestmark = pytest.mark.kubernetes
WATCH = r"^GET /api/v1/pods\?.*watch=true"
EXPIRED = {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old resource version: 1 (2)"}


def test_an_api_that_restarts_in_mid_apply_is_waited_for(faulty: FaultyHome) -> None:
    faulty.write({"web": server(restart="on-failure"), "api": server()})
    restart = faulty.proxy.fault(r"^PATCH .*/services/web", proxy.restarts(3.0))
    faulty.up()
    assert restart.met_at
    assert {each.state for each in faulty.status().services} == {State.RUNNING}


def test_requests_that_are_turned_away_or_lost_are_made_again(faulty: FaultyHome) -> None:
    faulty.write({"web": server(restart="on-failure")})
    busy = faulty.proxy.fault(r"^PATCH .*/resourcequotas/", proxy.answers(429, retry_after_s=2), times=2)
    away = faulty.proxy.fault(r"^PATCH .*/configmaps/", proxy.answers(503), times=3)
    broken = faulty.proxy.fault(r"^GET .*/namespaces/[^/]+/pods", proxy.breaks, times=2)
    lost = faulty.proxy.fault(r"^PATCH .*/deployments/web", proxy.loses_answer)
    faulty.up()
    assert faulty.service("web").state is State.RUNNING
    assert [len(each.met_at) for each in (busy, away, broken, lost)] == [2, 3, 2, 1]
    first, second = busy.met_at
    assert second - first >= 2, "Retry-After is honoured"


def test_an_api_that_wants_us_to_wait_too_long_is_told_at_once(faulty: FaultyHome) -> None:
    faulty.write({"web": server(restart="on-failure")})
    faulty.proxy.fault(r"^PATCH .*/resourcequotas/", proxy.answers(429, retry_after_s=600), times=100)
    before = time.monotonic()
    with pytest.raises(EngineError, match=r"too many requests.*asked again in 10m") as told:
        faulty.up()
    assert time.monotonic() - before < 20
    assert told.value.hint
    faulty.proxy.faults.clear()
    faulty.up()
    assert faulty.service("web").state is State.RUNNING


def test_a_watch_that_has_expired_begins_anew(faulty: FaultyHome) -> None:
    faulty.write({"web": server(restart="on-failure")})
    refused = faulty.proxy.fault(WATCH, proxy.answers(410, reason="Expired", text="too old"))
    ended = faulty.proxy.fault(WATCH, proxy.tells({"type": "ERROR", "object": EXPIRED}))
    faulty.up()
    assert refused.met_at
    assert ended.met_at
    assert faulty.service("web").state is State.RUNNING


def test_a_watch_that_says_nothing_is_given_up_for_a_list(faulty: FaultyHome) -> None:
    faulty.write({"web": server(restart="on-failure")})
    silent = faulty.proxy.fault(WATCH, proxy.is_silent)
    faulty.up()
    assert silent.met_at
    assert faulty.service("web").state is State.RUNNING


def test_an_api_that_is_not_there_is_told_at_once_and_the_session_goes_on(faulty: FaultyHome) -> None:
    faulty.write({"web": server(restart="on-failure")})
    faulty.up()
    before = faulty.identity("web")
    faulty.proxy.restart(8.0)
    faulty.connect()
    with pytest.raises(EngineError, match="the cluster's API does not answer") as told:
        faulty.up()
    assert "kubectl cluster-info" in told.value.hint
    until(lambda: not faulty.status().note)
    assert faulty.up().changed == ()
    assert faulty.identity("web") == before
