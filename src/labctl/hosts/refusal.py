"""Why Ansible did not even begin, from the lines that it wrote. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

_LINES = 3


def reason(said: Sequence[str]) -> str:
    """Its error in one sentence, with what caused it.

    >>> reason(["[WARNING]: x", "<<< caused by >>>", "no such section", "[ERROR]: Completely failed to parse inventory"])
    'Completely failed to parse inventory: no such section'
    """
    errors = list(_after(said, "ERROR"))
    causes = list(_after(said, "<<< caused by >>>"))[1:2]
    words = " ".join(_bare(line) for line in errors[:_LINES]) or (_bare(said[-1]) if said else "it does not say why")
    return ": ".join([words, *(_bare(cause) for cause in causes if _bare(cause) not in words)])


def _after(said: Sequence[str], word: str) -> Iterator[str]:
    """The lines from the last one with this word on."""
    begins = [number for number, line in enumerate(said) if word in line]
    return iter(said[begins[-1] :] if begins else ())


def _bare(line: str) -> str:
    return line.strip().removeprefix("ERROR! ").removeprefix("[ERROR]: ").removeprefix("[WARNING]: ")
