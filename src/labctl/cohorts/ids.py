"""A learner's id out of a row of a class list. Pure: of that row alone, so that no other row can change it."""

from __future__ import annotations

import hashlib
import re
import unicodedata

from labctl.names import MAX_LEARNER_CHARS

_SHORT, _LONG = 4, 8
"""Digits of the checksum: four where the words before it nearly tell people apart already, eight where they do not."""
_LATIN = {"ß": "ss", "æ": "ae", "œ": "oe", "ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "ı": "i", "ŋ": "n"}
_CYRILLIC = """
    аa бb вv гg дd еe жzh зz иi йi кk лl мm нn оo пp рr сs тt уu фf хkh цts чch шsh щshch ъ' ыy ь' эe юiu яia іi їi єie ґg
"""
_GREEK = "αa βv γg δd εe ζz ηi θth ιi κk λl μm νn ξx οo πp ρr σs ςs τt υy φf χch ψps ωo"
_LETTERS = {**_LATIN, **{pair[0]: pair[1:] for pair in f"{_CYRILLIC} {_GREEK}".split()}}
_SYLLABLES = ("HANGUL SYLLABLE ", "HIRAGANA LETTER ", "KATAKANA LETTER ")
"""Unicode's own names of these end with how they are spelt in Latin letters."""


def learner_of(*, number: str = "", email: str = "", name: str = "") -> str:
    """The id of whoever bears the first of these that is not empty: what a learner is called in sessions and in DNS labels.

    It ends with a checksum wherever the words alone could be those of somebody else too. Raises ValueError for nothing.

    >>> learner_of(number="S-1024"), learner_of(email="ada@example.org"), learner_of(name="Zoë Groß")
    ('s-1024', 'ada-cfe0', 'zoe-gross-6ff8')
    >>> learner_of(name="李雷"), learner_of(name="김 민준")
    ('u-3a47328a', 'gim-minjun-3112')
    """
    if number:
        key = _key(number)
        slug = _slug(key)
        is_all = slug == key and len(slug) <= MAX_LEARNER_CHARS
        return slug if is_all else _with_checksum(key.partition("@")[0], key)
    key = _key(email or name)
    if not key:
        raise ValueError("an id is made from an ID, an email address or a name")
    return _with_checksum(key.partition("@")[0] if email else key, key)


def transliterated(text: str) -> str:
    """`text` in the letters of ASCII as far as tables of letters go; what has none, as Chinese, is left out.

    >>> transliterated("Łukasz Đorđe"), transliterated("Ёлка"), transliterated("김"), transliterated("雷")
    ('lukasz dorde', 'elka', 'gim', '')
    """
    return "".join(map(_ascii, unicodedata.normalize("NFC", text).casefold()))


def _key(text: str) -> str:
    """Equal for texts that people hold to be equal."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", transliterated(text).replace("'", "")).strip("-")


def _with_checksum(words: str, key: str) -> str:
    slug = _slug(words)
    tells_apart = all(_ascii(char) for char in words if char.isalnum()) and slug
    digits = _SHORT if tells_apart and len(slug) < MAX_LEARNER_CHARS - _SHORT else _LONG
    head = slug[: MAX_LEARNER_CHARS - digits - 1].strip("-") or "u"
    return f"{head}-{hashlib.sha256(key.encode()).hexdigest()[:digits]}"


def _ascii(char: str) -> str:
    if char.isascii():
        return char
    if char in _LETTERS:
        return _LETTERS[char]
    name = unicodedata.name(char, "")
    if name.startswith(_SYLLABLES):
        return name.rpartition(" ")[2].lower()
    plain = [part for part in unicodedata.normalize("NFKD", char) if not unicodedata.combining(part)]
    return "".join(part if part.isascii() else _LETTERS.get(part, "") for part in plain)
