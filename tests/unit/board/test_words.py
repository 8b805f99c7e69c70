"""The board speaks English and Chinese: every sentence of a page has its translation, and the reader is asked which."""

from __future__ import annotations

import re
import string

import pytest

from labctl.hub.board.chinese import CHINESE
from labctl.hub.board.deeds import DEEDS
from labctl.hub.board.forms import CONFIRMED, SAID
from labctl.hub.board.render import MARKS, TEMPLATES
from labctl.hub.board.words import preferred, say
from labctl.store.records import SessionState


def _fields(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


def _spoken() -> set[str]:
    """Every sentence that stands in a template, and those that are chosen by what is shown."""
    texts = "".join(path.read_text() for path in TEMPLATES.glob("*.html"))
    written = re.findall(r"""\bt\((?:"([^"]+)"|'([^']+)')""", texts) + re.findall(r'else t\("([^"]+)"()\)', texts)
    states = {state.value.lower() for state in SessionState} | {"expired", "not started", "under way", "done"}
    asked = {words for pair in CONFIRMED.values() for words in pair}
    return {one or two for one, two in written} | states | {*MARKS.values(), *DEEDS, *SAID.values(), *asked}


def test_every_sentence_has_its_chinese_with_the_same_places_for_values() -> None:
    spoken = _spoken()
    assert len(spoken) > 80
    assert sorted(spoken - set(CHINESE)) == []
    assert {key: words for key, words in CHINESE.items() if _fields(key) != _fields(words)} == {}


@pytest.mark.parametrize(
    ("cookie", "accept", "language"),
    [
        ("", "", "en"),
        ("", "zh-CN,zh;q=0.9,en;q=0.8", "zh"),
        ("", "fr-FR, zh;q=0.1", "zh"),
        ("", "en;q=0.1, zh;q=0.9", "zh"),
        ("", "zh;q=0", "en"),
        ("", "zh;q=nonsense;;,,*", "en"),
        ("en", "zh", "en"),
        ("xx", "zh", "zh"),
    ],
)
def test_the_reader_says_which_language(cookie: str, accept: str, language: str) -> None:
    assert preferred(cookie, accept) == language


def test_what_has_no_translation_is_said_in_english() -> None:
    assert say("zh", "{n} of a kind", n=3) == "3 of a kind"
    assert say("zh", "a {brace that is not ours}") == "a {brace that is not ours}"
