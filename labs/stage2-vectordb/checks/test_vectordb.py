"""Similarity, stores, approximate search and three models. Learner's code runs in the session; here its output is judged."""

from __future__ import annotations

import contextlib
import json
import math
import random
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

DIMENSIONS = 12
CATEGORIES = ("tools", "garden", "office")
STORES = ("ChromaStore", "QdrantStore")
CHANCE = random.Random()
QUERY = [CHANCE.gauss(0, 1) for _ in range(DIMENSIONS)]

Vector = list[float]
Answers = Callable[[str], tuple[Any, dict[str, Any]]]
"""From a part's name to what the learner's code answered, and what it was asked; the test fails where it ended with an error."""


@pytest.fixture(scope="session")
def functions(workspace: Any, parameters: Mapping[str, Any]) -> Answers:
    """All of functions.py in one process."""
    rows = [vector(5, scale) for scale in (1, 40, 0.02, 3)] + [[0.0] * 5]
    pairs = [[a, b] for a in rows[:4] for b in rows[:4]] + [[rows[0], [-3 * x for x in rows[0]]], [rows[0], rows[4]]]
    long, short = [vector(5, 9) for _ in range(3)], [vector(5, 0.3) for _ in range(4)]
    mixed, asked = ([vector(DIMENSIONS, CHANCE.choice([0.1, 1, 20])) for _ in range(count)] for count in (60, 6))
    some, queries = [vector(6, 1) for _ in range(50)], [vector(6, 1) for _ in range(4)]
    recalls = [[[[1, 2, 3]], [[3, 2, 1]]], [[[1, 9, 8], [4, 5, 6]], [[1, 2, 3], [4, 6, 0]]], [[[7]], [[1, 2]]]]
    given = {
        "similarity": {"pairs": pairs, "rows": rows, "a": long, "b": short},
        "search": {"rows": mixed, "queries": asked, "k": 7},
        "approximate": {"rows": some, "queries": queries, "k": 5, "recalls": recalls},
    }
    return answering(workspace, parameters, "functions.py", given)


@pytest.fixture(scope="session")
def stores(workspace: Any, parameters: Mapping[str, Any]) -> Answers:
    """Both stores in use, and both with items that are to be found again, in one process."""
    given = {name: use(name, in_and_out()) for name in STORES}
    given |= {kept(name): use(name, [["upsert", *goods(25)]], keep=True) for name in STORES}
    return answering(workspace, parameters, "stores.py", given)


@pytest.fixture(scope="session")
def again(workspace: Any, parameters: Mapping[str, Any], stores: Answers) -> Callable[[str], None]:
    """A function that judges what another process finds in a store, before and after the same items come in once more."""

    @cache
    def found() -> Any:
        given = {}
        for name in STORES:
            with contextlib.suppress(AssertionError):  # it is told by the test of that store
                _, first = stores(kept(name))
                items = first["steps"][0][1:]
                steps = [["count"], ["search", QUERY, 5], ["upsert", *items], ["count"]]
                given[name] = use(name, steps, folder=first["folder"])
        return ran(workspace, parameters, "stores.py", given)

    def judged(name: str) -> None:
        _, first = stores(kept(name))
        _, items, vectors = first["steps"][0]
        count, nearby, _, after = value_of(found()[name])
        assert count == len(items), (
            f"{name}: {len(items)} items were inserted; opened again by another process it has {count}"
        )
        agrees(f"{name}, opened again", nearby, nearest(QUERY, items, vectors, 5))
        assert after == len(items), (
            f"{name}: the same {len(items)} items, inserted by another process, make {after}; do their ids change?"
        )

    return judged


def kept(name: str) -> str:
    """The part of the stores' answers in which this store is kept for another process."""
    return f"{name} kept"


def answering(workspace: Any, parameters: Mapping[str, Any], script: str, given: dict[str, dict[str, Any]]) -> Answers:
    @cache
    def found() -> Any:
        return ran(workspace, parameters, script, given, timeout=1000)

    def answer(part: str) -> tuple[Any, dict[str, Any]]:
        return value_of(found()[part]), given[part]

    return answer


def value_of(answer: Mapping[str, Any]) -> Any:
    assert "error" not in answer, f"your code ended with an error: {str(answer.get('error'))[:300]}"
    return answer["value"]


def test_cosine_by_hand(functions: Answers) -> None:
    said, given = functions("similarity")
    rows, pairs, a, b = given["rows"], given["pairs"], given["a"], given["b"]
    for (one, other), value in zip(pairs, said["cosines"], strict=True):
        assert near(value, cosine(one, other)), f"cosine gives {value:.4f} where {cosine(one, other):.4f} is right"
    assert said["left_alone"], "normalised changed the rows it was given"
    for row, unit in zip(rows, said["normalised"], strict=True):
        length = math.sqrt(sum(x * x for x in row)) or 1
        assert all(near(x, y / length) for x, y in zip(unit, row, strict=True)), "normalised: a row is not of length 1"
    wanted = [[cosine(one, other) for other in b] for one in a]
    table = said["by_library"]
    assert [len(row) for row in table] == [4] * 3, "by_library does not give one row for each row of a"
    assert all(near(x, y) for r, s in zip(table, wanted, strict=True) for x, y in zip(r, s, strict=True)), (
        "by_library and your own cosine disagree"
    )


def test_search_goes_by_cosine(functions: Answers) -> None:
    said, given = functions("search")
    rows = given["rows"]
    for query, found in zip(given["queries"], said["found"], strict=True):
        wanted = sorted(range(len(rows)), key=lambda index: -cosine(query, rows[index]))[:7]
        assert [row for row, _ in found] == wanted, "FlatIndex does not give the rows with the highest cosine"
        assert all(near(score, cosine(query, rows[row]), 1e-4) for row, score in found), (
            "FlatIndex's scores are no cosines"
        )


def test_chroma_in_use(stores: Answers) -> None:
    in_use(stores, "ChromaStore")


def test_qdrant_does_the_same(stores: Answers, again: Callable[[str], None]) -> None:
    in_use(stores, "QdrantStore")
    again("QdrantStore")


def test_chroma_persists(again: Callable[[str], None]) -> None:
    again("ChromaStore")


def use(name: str, steps: Sequence[Any], *, folder: str = "", keep: bool = False) -> dict[str, Any]:
    """What stores.py is to do to one store; in a folder of its own where none is said."""
    folder = folder or f"data/check-{CHANCE.randrange(10**12)}"
    return {"store": name, "folder": folder, "dimensions": DIMENSIONS, "steps": steps, "keep": keep}


def in_and_out() -> list[Any]:
    """Insert, filter, insert again, change, delete: one after the other in one process, as libraries take long to load."""
    items, vectors = goods(40)
    query, moved = vector(DIMENSIONS, 3), vector(DIMENSIONS, 8)
    limit = sorted(item["price"] for item in items)[15]
    wheres = [None, {}, {"category": "garden"}, {"max_price": limit}, {"category": "tools", "max_price": limit}]
    again, cheap = [{**items[0], "text": "new"}], {"max_price": 0}
    gone = [items[1]["id"], items[2]["id"], "never-there"]
    return [
        ["upsert", items, vectors], *(["search", query, 5, where] for where in wheres),
        ["upsert", again, [moved]], ["count"], ["search", moved, 1],
        ["search", query, 2, cheap], ["change_price", items[3]["id"], 0], ["search", query, 2, cheap],
        ["delete", gone], ["count"], ["search", query, 40],
    ]  # fmt: skip


def in_use(stores: Answers, name: str) -> None:
    said, given = stores(name)
    (_, items, vectors), *searches = given["steps"][:6]
    query, wheres, gone = searches[0][1], [where for *_, where in searches], given["steps"][12][1]
    for where, found in zip(wheres, said[1:6], strict=True):
        allowed = [index for index, item in enumerate(items) if fits(item, where or {})]
        wanted = nearest(query, [items[i] for i in allowed], [vectors[i] for i in allowed], 5)
        agrees(f"{name} with where={where}", found, wanted)
    _, count, found_moved, nothing, _, found_cheap, _, left_count, left_found = said[6:]
    assert count == 40, f"{name}: an item whose id was there came in again, and now there are {count} of 40"
    assert [id for id, _ in found_moved] == [items[0]["id"]], f"{name}: upsert left the old vector of an item in place"
    assert nothing == [], f"{name}: there is nothing for a price of 0, but something was found"
    assert [id for id, _ in found_cheap] == [items[3]["id"]], f"{name}: after change_price it is not found by its price"
    assert near(found_cheap[0][1], cosine(query, vectors[3]), 1e-3), f"{name}: change_price changed the vector"
    assert left_count == 38, f"{name}: two of 40 items were deleted, and there are {left_count}"
    left = {item["id"] for item in items} - set(gone)
    assert {id for id, _ in left_found} == left, (
        f"{name}: a search for everything does not give the items that are left"
    )


def test_exact_and_recall(functions: Answers) -> None:
    said, given = functions("approximate")
    rows = given["rows"]
    true = [sorted(range(50), key=lambda i: -dot(query, rows[i]))[:5] for query in given["queries"]]
    assert said["exact"] == true, "exact does not give the rows with the highest dot product, best first"
    assert all(near(x, y) for x, y in zip(said["recall"], [1, 0.5, 0], strict=True)), f"recall gives {said['recall']}"


def test_ann_was_measured(workspace: Any, parameters: Mapping[str, Any]) -> None:
    rows = workspace.read_json("out/ann.json")
    good = isinstance(rows, list) and len(rows) == 5 and all(isinstance(row, dict) for row in rows)
    assert good, "out/ann.json wants five rows: the exact search, and one for each ef_search"
    measured = ran(workspace, parameters, "measured.py", {"session": parameters["session"]}, "ann", isolated=True)
    for row, again in zip(rows[1:], measured, strict=True):
        for figure, tolerance in (("recall", 0.02), ("distances", 0.03 * again["distances"])):
            assert near(row.get(figure), again[figure], tolerance), (
                f"out/ann.json: {figure} at ef_search {again['ef_search']} is {row.get(figure)}, measured again "
                f"{again[figure]:.3f}; if you have changed approximate.py since, run it again"
            )
    enough = next(row for row in rows[1:] if row["recall"] >= 0.9)
    said = answers(workspace, "ann")
    wanted = {
        "smallest_ef_for_90": (enough["ef_search"], 0),
        "saved_percent": (100 * (1 - enough["distances"] / 8000), 1),
    }
    judge(said, "ann", wanted)


def test_models_were_measured(workspace: Any, lab: Path, parameters: Mapping[str, Any]) -> None:
    rows = workspace.read_json("out/models.json")
    given = {"catalog": read(lab, "workspace/catalog.jsonl"), "queries": read(lab, "workspace/queries.jsonl")}
    measured = ran(workspace, parameters, "measured.py", given, "models", isolated=True, timeout=600)
    for name, again in measured.items():
        row = rows.get(name) if isinstance(rows, dict) else None
        assert isinstance(row, dict), f"out/models.json has no {name}"
        for figure, tolerance in (
            ("megabytes", 0.01 * again["megabytes"]),
            ("recall_needs", 0.04),
            ("recall_names", 0.04),
        ):
            assert near(row.get(figure), again[figure], tolerance), (
                f"out/models.json: {figure} of {name} is {row.get(figure)}, measured again {again[figure]:.2f}; "
                "if you have changed choose.py since, run it again"
            )
        assert number(row.get("milliseconds")) > 0, f"out/models.json: {name} has no milliseconds"
    said, found = faster(rows), faster(measured)
    told = f"out/models.json: static is {said:.1f} times as fast as full; measured again {found:.1f} times"
    assert found / 4 <= said <= 4 * found, told


def test_models_are_read_right(workspace: Any) -> None:
    rows = workspace.read_json("out/models.json")
    said = answers(workspace, "models")
    speed = faster(rows)
    wanted = {
        "speedup_of_static": (speed, 1.5 * speed),
        "lost_needs_points": (100 * (rows["full"]["recall_needs"] - rows["static"]["recall_needs"]), 1),
    }
    judge(said, "models", wanted)
    assert number(said["speedup_of_static"]) >= speed / 2.5, "models.speedup_of_static is not what out/models.json says"


def faster(rows: Mapping[str, Mapping[str, Any]]) -> float:
    return number(rows["full"].get("milliseconds")) / number(rows["static"].get("milliseconds"))


def judge(said: Mapping[str, Any], part: str, wanted: Mapping[str, tuple[float, float]]) -> None:
    for key, (value, tolerance) in wanted.items():
        assert said.get(key) not in (None, ""), f"{part}.{key} in answers.yaml is not answered yet"
        assert not math.isnan(number(said[key])), f"{part}.{key} in answers.yaml is {said[key]!r}; wanted a number"
        assert near(said[key], value, tolerance), f"{part}.{key} in answers.yaml is not what your measurement says"


def goods(count: int) -> tuple[list[dict[str, Any]], list[Vector]]:
    """Items and vectors that nobody has seen."""
    kinds = [CATEGORIES[index % 3] for index in range(count)]
    items = [
        {"id": f"{kind}-{CHANCE.randrange(10**8)}-{index}", "category": kind, "price": CHANCE.randrange(5, 200),
         "year": CHANCE.randrange(2015, 2025), "text": f"thing {index}"}
        for index, kind in enumerate(kinds)
    ]  # fmt: skip
    return items, [vector(DIMENSIONS, CHANCE.choice([0.2, 1, 15])) for _ in items]


def fits(item: Mapping[str, Any], where: Mapping[str, Any]) -> bool:
    return item["category"] == where.get("category", item["category"]) and item["price"] <= where.get(
        "max_price", 10**9
    )


def nearest(
    query: Vector, items: Sequence[Mapping[str, Any]], vectors: Sequence[Vector], k: int
) -> list[tuple[str, float]]:
    scored = [(item["id"], cosine(query, row)) for item, row in zip(items, vectors, strict=True)]
    return sorted(scored, key=lambda pair: -pair[1])[:k]


def agrees(what: str, found: Any, wanted: Sequence[tuple[str, float]]) -> None:
    assert [id for id, _ in found] == [id for id, _ in wanted], (
        f"{what}: search does not give the nearest items, best first"
    )
    off = [score for (_, score), (_, right) in zip(found, wanted, strict=True) if not near(score, right, 1e-3)]
    assert not off, f"{what}: a score is {off[0]:.4f}, which is no cosine"


def ran(
    workspace: Any, parameters: Mapping[str, Any], script: str, given: Any, *words: str, isolated: bool = False,
    timeout: float = 400,
) -> Any:  # fmt: skip
    """What a script of this folder prints in the session, for `given` on its stdin."""
    flags = ["-I", "-B"] if isolated else ["-B"]
    path = f"{parameters['lab']}/checks/{script}"
    result = workspace.run("python", *flags, path, *words, stdin=json.dumps(given), timeout=timeout)
    last = (result.stderr.strip().splitlines() or ["nothing"])[-1]
    if isolated and result.exit_code != 0:  # no line of the learner's ran
        pytest.skip(f"measuring again did not work: {last[:300]}")
    assert result.exit_code == 0, f"your code ended with an error: {last[:300]}"
    try:
        return json.loads(result.stdout.strip().splitlines()[-1])
    except (ValueError, IndexError):
        pytest.fail(f"your code printed {result.stdout[:200]!r} besides what it returned")


def answers(workspace: Any, part: str) -> dict[str, Any]:
    given = yaml.safe_load(workspace.read_text("answers.yaml"))
    assert isinstance(given, dict), "answers.yaml has lost its form; `labctl reset` brings it back"
    return given.get(part) or {}


def read(lab: Path, path: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (lab / path).read_text(encoding="utf-8").splitlines()]


def vector(dimensions: int, scale: float) -> Vector:
    return [CHANCE.gauss(0, scale) for _ in range(dimensions)]


def dot(a: Vector, b: Vector) -> float:
    return sum(x * y for x, y in zip(a, b, strict=True))


def cosine(a: Vector, b: Vector) -> float:
    lengths = math.sqrt(dot(a, a) * dot(b, b))
    return dot(a, b) / lengths if lengths else 0.0


def number(value: Any) -> float:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else math.nan


def near(said: Any, wanted: float, tolerance: float = 1e-5) -> bool:
    return abs(number(said) - wanted) <= tolerance + 1e-9
