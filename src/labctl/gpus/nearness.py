"""Which GPUs are near each other. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import get_args

from labctl.gpus.inventory import Link, LinkLevel

TIERS: dict[LinkLevel, int] = {level: tier for tier, level in enumerate(get_args(LinkLevel))}
"""How far apart, nearest first."""
Near = Mapping[int, Mapping[int, int]]
"""For each part's number its neighbours, and how far each is."""


def neighbours(links: Iterable[Link], numbers: Mapping[str, int]) -> dict[int, dict[int, int]]:
    """The links, by part number; links of GPUs that are not among `numbers` are left out."""
    near: dict[int, dict[int, int]] = {}
    for link in links:
        if link.a in numbers and link.b in numbers and link.a != link.b:
            a, b, tier = numbers[link.a], numbers[link.b], TIERS[link.level]
            near.setdefault(a, {})[b] = near.setdefault(b, {})[a] = tier
    return near


def nearest(wished: Sequence[int], count: int, near: Near) -> list[int]:
    """`count` of `wished`, which are in order of preference, as near to each other as can be.

    Of the best tier in which enough of them hang together; the smallest such group, so that the largest stays whole;
    in it those wished first that hang together. Any when nothing links enough of them.
    """
    for tier in range(len(TIERS)):
        groups = [group for group in _groups(wished, near, tier) if len(group) >= count]
        if groups:
            smallest = min(groups, key=len)
            return _grow(sorted(smallest, key=wished.index), count, near, tier)
    return list(wished[:count])


def _groups(wished: Sequence[int], near: Near, tier: int) -> Iterator[list[int]]:
    """Those that hang together by links of at most `tier`, the group of the first wished first."""
    left = set(wished)
    for first in wished:
        if first not in left:
            continue
        left.remove(first)
        group = [first]
        for each in group:
            if not left.isdisjoint(linked := near.get(each, {})):
                found = [other for other, distance in linked.items() if distance <= tier and other in left]
                left.difference_update(found)
                group += found
        yield group


def _grow(group: Sequence[int], count: int, near: Near, tier: int) -> list[int]:
    """`count` of a group that hangs together: the first, and again and again the first that is linked to those."""
    chosen = [group[0]]
    while len(chosen) < count:
        linked = {other for each in chosen for other, distance in near.get(each, {}).items() if distance <= tier}
        chosen.append(next(each for each in group if each in linked and each not in chosen))
    return chosen
