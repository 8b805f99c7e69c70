from __future__ import annotations

import shlex

from hypothesis import given
from hypothesis import strategies as st
from supervisor.options import UnhosedConfigParser

from labctl.runtimes.local.config import quote

words = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"], include_characters=" "), min_size=1)


@given(st.lists(words, min_size=1))
def test_quoted_words_come_back_through_supervisords_parser(command: list[str]) -> None:
    parser = UnhosedConfigParser()
    parser.read_string("[program:p]\ncommand=" + " ".join(map(quote, command)) + "\n")
    assert shlex.split(parser.saneget("program:p", "command", expansions={"here": "wrong"})) == command
