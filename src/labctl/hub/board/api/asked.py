"""What requests of the API carry besides their body: who asks, whose it is about, which page of a list."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Annotated, TypeVar

from fastapi import Depends, Header, Path, Query, Request
from fastapi.dependencies.models import Dependant

from labctl.errors import UsageError
from labctl.hub.board.access import api_viewer, check_instructor, check_may_see, check_pace
from labctl.hub.board.actions import MAX_KEY_CHARS
from labctl.hub.board.api import answers
from labctl.hub.board.base import Board, board_of
from labctl.hub.board.viewer import Viewer

T = TypeVar("T")
A = TypeVar("A")
MAX_ITEMS = 200
ID_PATTERN = r"^[a-z0-9]+(-[a-z0-9]+)*$"
LearnerId = Annotated[str, Path(pattern=ID_PATTERN, max_length=40, examples=["s-1024"])]
LabId = Annotated[str, Path(pattern=ID_PATTERN, max_length=40, examples=["stage2-finetune"])]
Number = Annotated[int, Path(ge=1, le=2**31 - 1, examples=[7])]
Limit = Annotated[int, Query(ge=1, le=MAX_ITEMS, description="At most so many items.")]
Cursor = Annotated[
    str | None,
    Query(pattern=ID_PATTERN, max_length=40, description="`next` of the page before; the first page without it."),
]
Before = Annotated[
    int | None,
    Query(alias="cursor", ge=1, le=2**31 - 1, description="`next` of the page before; the first page without it."),
]
Key = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=MAX_KEY_CHARS,
        pattern=r"^[!-~]+$",
        description="Any text of your choosing: asked again with the same one, it is done once.",
        examples=["7c9e6679-7425-40de"],
    ),
]


async def viewer(request: Request) -> Viewer:
    """Whoever the token is of, unless they ask too often, or for what there is not."""
    found = await api_viewer(request)
    check_pace(board_of(request).api, found)
    check_query(request)
    return found


def check_query(request: Request) -> None:
    """Raises UsageError for a parameter that the path does not take: a typing error must not widen what is answered."""
    known = set(_taken(request.scope["route"].dependant))
    unknown = sorted(set(request.query_params) - known)
    if unknown:
        accepted = f"there are: {', '.join(sorted(known))}" if known else "there are none here"
        raise UsageError(f"there is no parameter {unknown[0]!r}", accepted)


def _taken(dependant: Dependant) -> Iterator[str]:
    yield from (each.alias for each in dependant.query_params)
    for each in dependant.dependencies:
        yield from _taken(each)


async def instructor(found: Annotated[Viewer, Depends(viewer)]) -> Viewer:
    """An instructor. Raises Forbidden."""
    check_instructor(found)
    return found


async def reader(found: Annotated[Viewer, Depends(viewer)], learner: LearnerId) -> Viewer:
    """Somebody who may see what is the learner's of the path. Raises Forbidden."""
    check_may_see(found, learner)
    return found


async def board(request: Request) -> Board:
    return board_of(request)


TheBoard = Annotated[Board, Depends(board)]
AnyViewer = Annotated[Viewer, Depends(viewer)]
Instructor = Annotated[Viewer, Depends(instructor)]
Reader = Annotated[Viewer, Depends(reader)]


def listed(found: Sequence[T], limit: int, make: Callable[[T], A], cursor: Callable[[T], object]) -> answers.Listed[A]:
    """One page of `found`, which holds one item more than the page where there is another."""
    page = found[:limit]
    more = len(found) > limit
    return answers.Listed(items=[make(each) for each in page], next=str(cursor(page[-1])) if more else None)
