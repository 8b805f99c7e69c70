"""The board's words in the reader's language. A sentence's key is the sentence in English."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from labctl.hub.board.chinese import CHINESE

Language = str
LANGUAGES: Mapping[Language, str] = {"en": "English", "zh": "中文"}
TAGS: Mapping[Language, str] = {"en": "en", "zh": "zh-Hans"}
_WORDS: Mapping[Language, Mapping[str, str]] = {"en": {}, "zh": CHINESE}


def say(language: Language, sentence: str, **values: object) -> str:
    """`sentence` in the language, with `values` in the places of its names in braces.

    >>> say("zh", "{n} of {of} points", n=3, of=10), say("en", "{n} of {of} points", n=3, of=10)
    ('3 / 10 分', '3 of 10 points')
    """
    text = _WORDS[language].get(sentence, sentence)
    return text.format(**values) if values else text


def preferred(cookie: str, accept: str) -> Language:
    """The language of a reader: as they have chosen, else the first that their browser asks for and that there is.

    >>> preferred("", "de, zh-CN;q=0.9, en;q=0.8"), preferred("en", "zh"), preferred("", "")
    ('zh', 'en', 'en')
    """
    if cookie in LANGUAGES:
        return cookie
    asked = sorted((_asked(part, place) for place, part in enumerate(accept[:1000].split(","))), reverse=True)
    return next((language for weight, _, language in asked if weight and language in LANGUAGES), "en")


def clock(moment: datetime) -> str:
    """A moment as it is written where a browser does not write it in its own time zone.

    >>> from datetime import UTC
    >>> clock(datetime(2026, 9, 1, 9, 0, tzinfo=UTC))
    '2026-09-01 09:00 UTC'
    """
    return f"{moment:%Y-%m-%d %H:%M} UTC"


def _asked(part: str, place: int) -> tuple[float, int, Language]:
    """How much a language is asked for, so that what is asked for first is the greatest."""
    tag, _, weight = part.strip().lower().partition(";q=")
    try:
        return (float(weight or 1), -place, tag.partition("-")[0])
    except ValueError:
        return (0.0, -place, "")
