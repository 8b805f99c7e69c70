"""Ids: whatever a person is called, the session's id is a DNS label."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from labctl.names import learner_id, session_id


@given(st.text(max_size=200))
def test_a_session_of_any_learner_of_any_lab_is_a_dns_label(name: str) -> None:
    id = session_id("l" * 40, learner_id(name))
    assert re.fullmatch(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", id)


@given(st.text(max_size=200))
def test_the_id_of_an_id_is_the_id(name: str) -> None:
    assert learner_id(learner_id(name)) == learner_id(name)


def test_long_names_that_begin_alike_stay_two() -> None:
    assert learner_id("a-very-long-name-of-a-person") != learner_id("a-very-long-name-of-another")
