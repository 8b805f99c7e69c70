"""Chunks, neighbours and the grid. Runs outside the session; what a learner wrote runs in there, and only its output is read."""

from __future__ import annotations

import itertools
import json
import math
import random
import re
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

GRID = [(20, 0), (20, 6), (60, 0), (60, 20), (180, 0), (180, 60)]
FIGURES = ("chunks", "recall_at_3", "words_at_3", "recall_in_180")
KINDS = ("paraphrases", "codes")
OWN = ("chunking.py", "neighbours.py")
"""The learner's files that the scripts of this folder import."""
LEFT_OUT = 4
NOISE_QUESTIONS = 2
"""Two settings that differ by so many questions of 28 are as good as each other."""


def test_split(workspace: Any, parameters: Mapping[str, Any]) -> None:
    counts = [(1, 5, 2), (37, 10, 0), (40, 10, 0), (41, 10, 4), (22, 10, 4), (9, 10, 9), (60, 7, 6)]
    whole = [{"text": words(count), "size": size, "overlap": overlap} for count, size, overlap in counts]
    nonsense = [{"text": words(9), "size": size, "overlap": overlap} for size, overlap in [(4, 4), (4, 5), (4, -1)]]
    answered = split(workspace, parameters, [*whole, {"text": " \n ", "size": 4, "overlap": 1}, *nonsense])
    for one, answer in zip(whole, answered, strict=False):
        assert_covers(one["text"].split(), one["size"], one["overlap"], answer)
    empty, *refused = answered[len(whole) :]
    assert empty.get("chunks") == [], f"chunking.py: a text without words must give no chunk; it gave {empty}"
    for one, answer in zip(nonsense, refused, strict=True):
        assert "refused" in answer, (
            f"chunking.py: size {one['size']} with overlap {one['overlap']} is taken; wanted a ValueError"
        )


def assert_covers(text: list[str], size: int, overlap: int, answer: Mapping[str, Any]) -> None:
    told = f"chunking.py: {len(text)} words, size {size}, overlap {overlap}"
    assert "refused" not in answer, f"{told}: ValueError: {answer.get('refused')}"
    chunks = [str(chunk).split() for chunk in answer["chunks"] or []]
    assert chunks, f"{told}: no chunks"
    assert max(map(len, chunks)) <= size, f"{told}: a chunk has {max(map(len, chunks))} words, more than {size}"
    assert all(len(chunk) == size for chunk in chunks[:-1]), f"{told}: a chunk before the last is not full"
    whole = chunks[0] + [word for chunk in chunks[1:] for word in chunk[overlap:]]
    laps = all(
        later[:overlap] == earlier[-overlap:] if overlap else True for earlier, later in itertools.pairwise(chunks)
    )
    assert laps, f"{told}: a chunk does not begin with the last {overlap} words of the one before it"
    assert whole == text, f"{told}: without the overlaps the chunks do not give the text back"
    assert len(chunks) == 1 or len(chunks[-1]) > overlap, f"{told}: the last chunk lies wholly in the one before it"


def test_neighbours_by_hand(workspace: Any, parameters: Mapping[str, Any]) -> None:
    chance = random.Random()
    rows = [[chance.gauss(0, 1) * scale for _ in range(6)] for scale in (1, 0.1, 30, 2, 0.5, 8, 0.01, 4)]
    texts = [f"text {number}" for number in range(len(rows))]
    query = [chance.gauss(0, 3) for _ in range(6)]
    vectors = {**dict(zip(texts, rows, strict=True)), "the query": query, "against it": [-2 * value for value in query]}
    pairs = [["the query", text] for text in [*texts, "against it"]]
    given = {"vectors": vectors, "pairs": pairs, "query": "the query", "texts": texts, "k": 5}
    answer = ran(workspace, parameters, "nearest.py", given, isolated=False, timeout=120)
    for (a, b), said in zip(pairs, answer["cosines"], strict=True):
        right = cosine(vectors[a], vectors[b])
        assert math.isclose(said, right, abs_tol=1e-6), (
            f"neighbours.py: cosine({rounded(vectors[a])}, {rounded(vectors[b])}) is {said:.4f}; wanted {right:.4f}"
        )
    cosines = [cosine(query, row) for row in rows]
    for name in ("nearest", "by_meaning"):
        assert_order(name, answer[name], cosines, given["k"])


def assert_order(name: str, said: list[int], cosines: list[float], k: int) -> None:
    """Fails at the first row that is not the one wanted, with the cosines of both."""
    assert len(said) == k, f"neighbours.py: {name} gives {len(said)} rows where k is {k}"
    order = sorted(range(len(cosines)), key=lambda index: -cosines[index])[:k]
    for place, (index, wanted) in enumerate(zip(said, order, strict=True), start=1):
        assert 0 <= index < len(cosines), f"neighbours.py: {name} gives row {index}; there are {len(cosines)}"
        assert index == wanted, (
            f"neighbours.py: row {place} of what {name} gives has the cosine {cosines[index]:.2f} with the query; "
            f"wanted there the one with {cosines[wanted]:.2f}"
        )


Setting = tuple[int, int]
Chunks = dict[Setting, list[list[str]]]


@pytest.fixture(scope="session")
def made(workspace: Any, lab: Path, parameters: Mapping[str, Any]) -> Callable[[], Chunks]:
    """A function that gives [id, title, chunk] of every document in force, as the learner's split makes them."""

    @cache
    def chunks() -> Chunks:
        asked = [{"text": text, "size": s, "overlap": o} for s, o in GRID for _, _, text in in_force(lab)]
        answered = iter(split(workspace, parameters, asked))
        return {
            setting: [
                [id, title, str(chunk)]
                for id, title, _ in in_force(lab)
                for chunk in next(answered).get("chunks") or []
            ]
            for setting in GRID
        }

    return chunks


@pytest.fixture(scope="session")
def again(
    workspace: Any, lab: Path, parameters: Mapping[str, Any], made: Callable[[], Chunks]
) -> Callable[[], tuple[list[list[int]], dict[Setting, dict[str, float]]]]:
    """A function that gives what is measured anew: by_meaning's orders, and the rows of two settings of the grid.

    The embedding model is loaded once for both. There are no rows where test_grid fails before it wants them.
    """

    def drawn() -> Chunks:
        try:
            rows, chunks = grid(workspace), made()
        except (Exception, pytest.fail.Exception):  # noqa: BLE001 test_grid says what it is
            return {}
        whole = all(chunks[setting] and rows[setting].get("chunks") == len(chunks[setting]) for setting in GRID)
        return {setting: chunks[setting] for setting in random.sample(GRID, 2)} if whole else {}

    @cache
    def measured() -> tuple[list[list[int]], dict[Setting, dict[str, float]]]:
        cases, settings = practice(lab), drawn()
        given = {
            "texts": cases["texts"],
            "queries": [case["query"] for kind in KINDS for case in cases[kind]],
            "settings": [{"size": size, "chunks": chunks} for (size, _), chunks in settings.items()],
            "questions": questions(lab, parameters["session"]),
        }
        found = ran(workspace, parameters, "measured.py", given)
        return found["orders"], dict(zip(settings, found["rows"], strict=True))

    return measured


def test_words_against_meaning(workspace: Any, lab: Path, parameters: Mapping[str, Any], again: Any) -> None:
    recorded, said = workspace.read_json("out/neighbours.json"), answers(workspace, "neighbours")
    vectors, made_up = other_cases()
    given = {"vectors": vectors, "cases": made_up}
    found = ran(workspace, parameters, "nearest.py", given, isolated=False, timeout=120)
    for (kind, search), right in recalls(made_up, by_vectors(made_up, vectors)).items():
        figure = figure_of(found, kind, search)
        assert near(figure, right), (
            f"neighbours.py: run on other texts, main writes {kind}.{search} {figure}; recall@3 there is {right:.4f}"
        )
    cases = practice(lab)
    measured = recalls(cases, again()[0])
    for (kind, search), right in measured.items():
        figure = figure_of(recorded, kind, search)
        assert near(figure, right, 0.5 / len(cases[kind])), (
            f"out/neighbours.json: {kind}.{search} is {figure}, and not what is measured again; run neighbours.py"
        )
    for kind in KINDS:
        wanted = "meaning" if measured[kind, "meaning"] > measured[kind, "words"] else "words"
        better = said.get(f"better_for_{kind}")
        assert better == wanted, (
            f"answers.yaml: neighbours.better_for_{kind} is {better!r}; wanted words or meaning, as your figures say"
        )


def test_grid(workspace: Any, lab: Path, parameters: Mapping[str, Any], made: Any, again: Any) -> None:
    rows, chunks, asked = grid(workspace), made(), len(questions(lab, parameters["session"]))
    for setting in GRID:
        assert rows[setting].get("chunks") == len(chunks[setting]), (
            f"out/grid.json: chunks of (size, overlap) {setting} is {rows[setting].get('chunks')}, and not as many as your "
            "split makes of the documents in force; run measure.py"
        )
    drawn = again()[1]
    assert drawn, "chunking.py: your split makes no chunks of the documents in force"
    for setting, measured in drawn.items():
        for figure in FIGURES:
            allowed = 0.5 / asked if figure.startswith("recall") else 0.02 * measured[figure]
            assert near(rows[setting].get(figure), measured[figure], allowed), (
                f"out/grid.json: {figure} of (size, overlap) {setting} is {rows[setting].get(figure)}, and not what is "
                "measured again from what your split gives; run measure.py"
            )


def test_setting_is_well_chosen(workspace: Any, lab: Path, parameters: Mapping[str, Any]) -> None:
    rows, chosen = grid(workspace), answers(workspace, "chunks")
    setting = (chosen.get("size"), chosen.get("overlap"))
    assert setting in rows, (
        f"answers.yaml: chunks.size and chunks.overlap are {setting}; wanted a setting of the grid, one of {GRID}"
    )
    noise = NOISE_QUESTIONS / len(questions(lab, parameters["session"]))
    best = max(row["recall_in_180"] for row in rows.values())
    mine = rows[setting]["recall_in_180"]
    assert mine >= best - noise - 1e-6, (
        f"answers.yaml: (size, overlap) {setting} finds {mine:.2f} of the questions with 180 words in the prompt, another "
        f"setting {best:.2f}: that is more than chance"
    )


def test_trade_off_in_numbers(workspace: Any, lab: Path, parameters: Mapping[str, Any]) -> None:
    rows, said = grid(workspace), answers(workspace, "chunks")
    plain, lapped, large = rows[60, 0], rows[60, 20], rows[180, 60]
    asked = len(questions(lab, parameters["session"]))
    wanted = {
        "extra_chunks_percent": (100 * (lapped["chunks"] / plain["chunks"] - 1), 1.0, "per cent, give or take 1"),
        "prompt_ratio": (large["words_at_3"] / lapped["words_at_3"], 0.1, "how many times as many, give or take 0.1"),
        "lost_without_overlap": (
            asked * (lapped["recall_at_3"] - plain["recall_at_3"]),
            0.01,
            f"a whole number of your {asked} questions, not a share of them",
        ),
    }
    wrong = [
        f"chunks.{key} is {said.get(key)!r}; wanted {unit}"
        for key, (value, tolerance, unit) in wanted.items()
        if not near(said.get(key), value, tolerance)
    ]
    assert not wrong, f"answers.yaml does not say what out/grid.json comes to: {'; '.join(wrong)}"


def split(workspace: Any, parameters: Mapping[str, Any], asked: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    return ran(workspace, parameters, "split.py", asked, isolated=False, timeout=60)


def ran(
    workspace: Any,
    parameters: Mapping[str, Any],
    script: str,
    given: Any,
    *,
    isolated: bool = True,
    timeout: float = 600,
) -> Any:
    """What a script of this folder prints in the session, for `given` on its stdin."""
    flags = ["-I", "-B"] if isolated else ["-B"]
    path = f"{parameters['lab']}/checks/{script}"
    result = workspace.run("python", *flags, path, stdin=json.dumps(given), timeout=timeout)
    if isolated and result.exit_code != 0:  # no line of the learner's ran
        pytest.skip(f"measuring again did not work: {result.stderr.strip()[-300:]}")
    assert not result.timed_out, f"{' or '.join(OWN)} was still running after {timeout:g} s"
    assert result.exit_code == 0, blamed(result.stderr)
    try:
        return json.loads(result.stdout.strip().splitlines()[-1])
    except (ValueError, IndexError):
        pytest.fail(f"your code printed {result.stdout[:200]!r} besides what it returned")


def blamed(trace: str) -> str:
    """The error that a traceback ends with, and the learner's line that it came from."""
    lines = trace.strip().splitlines() or ["it ended without a word"]
    places = [(Path(file).name, line) for file, line in re.findall(r'File "([^"]+)", line (\d+)', trace)]
    own = [f"{name}, line {line}: " for name, line in places if name in OWN]
    return f"{own[-1] if own else ''}{lines[-1][:300]}"


def grid(workspace: Any) -> dict[tuple[int, int], dict[str, float]]:
    rows = workspace.read_json("out/grid.json")
    assert isinstance(rows, list), "out/grid.json is no list of rows"
    found = {(row.get("size"), row.get("overlap")): row for row in rows if isinstance(row, dict)}
    missing = [setting for setting in GRID if setting not in found]
    assert not missing, f"out/grid.json has no row for (size, overlap) {missing[0]}"
    return found


def answers(workspace: Any, part: str) -> dict[str, Any]:
    given = yaml.safe_load(workspace.read_text("answers.yaml"))
    assert isinstance(given, dict), "answers.yaml has lost its form; `labctl reset` brings it back"
    return given.get(part) or {}


def practice(lab: Path) -> dict[str, Any]:
    """The texts and queries of step 2, as given."""
    cases: dict[str, Any] = json.loads((lab / "workspace" / "paraphrases.json").read_text(encoding="utf-8"))
    return cases


def in_force(lab: Path) -> list[tuple[str, str, str]]:
    """id, title and text of the documents in force, as the given kb.py reads them."""
    read = []
    for path in sorted((lab / "workspace" / "kb").glob("*.md")):
        _, header, body = path.read_text(encoding="utf-8").split("---", 2)
        fields = dict(line.split(": ", 1) for line in header.strip().splitlines())
        if fields["status"] == "current":
            text = " ".join(" ".join(line for line in body.splitlines() if not line.startswith("#")).split())
            read.append((fields["id"], fields["title"], text))
    return read


def questions(lab: Path, session: str) -> list[dict[str, Any]]:
    """The questions that this session measures with, as the given kb.py chooses them."""
    lines = (lab / "workspace" / "questions.jsonl").read_text(encoding="utf-8").splitlines()
    answerable = [row for row in map(json.loads, lines) if row["relevant"]]
    chosen = random.Random(session).sample(range(len(answerable)), len(answerable) - LEFT_OUT)
    return [answerable[index] for index in sorted(chosen)]


def recalls(cases: Mapping[str, Any], by_meaning: Sequence[Sequence[int]]) -> dict[tuple[str, str], float]:
    """recall@3 of both searches. `by_meaning` has the order of the texts for each query, kind after kind."""
    found, orders = {}, iter(by_meaning)
    for kind in KINDS:
        by_words = [case["text"] in found_by_words(case["query"], cases["texts"])[:3] for case in cases[kind]]
        nearest = [case["text"] in next(orders)[:3] for case in cases[kind]]
        found[kind, "words"] = sum(by_words) / len(by_words)
        found[kind, "meaning"] = sum(nearest) / len(nearest)
    return found


def other_cases() -> tuple[dict[str, list[float]], dict[str, Any]]:
    """Vectors of made-up texts, and queries for them of which each search finds some and misses some, but not as many."""
    while True:
        texts = [words(6, of=40) for _ in range(12)]
        vectors = {text: gauss(6) for text in texts}
        cases: dict[str, Any] = {"texts": texts}
        for kind in KINDS:
            cases[kind] = []
            for _ in range(11):
                target = random.randrange(len(texts))
                kept = " ".join(random.sample(texts[target].split(), random.randrange(4)))
                query = f"{kept} {words(3, of=40)}".strip()
                vectors[query] = [x + 1.2 * y for x, y in zip(vectors[texts[target]], gauss(6), strict=True)]
                cases[kind].append({"query": query, "text": target})
        found = recalls(cases, by_vectors(cases, vectors))
        if all(0 < share < 1 for share in found.values()) and len(set(found.values())) == len(found):
            return vectors, cases


def by_vectors(cases: Mapping[str, Any], vectors: Mapping[str, Sequence[float]]) -> list[list[int]]:
    """For each query the texts in the order of their cosines with it."""
    texts = [vectors[text] for text in cases["texts"]]
    queries = [vectors[case["query"]] for kind in KINDS for case in cases[kind]]
    return [sorted(range(len(texts)), key=lambda at: -cosine(query, texts[at])) for query in queries]


def figure_of(written: Any, kind: str, search: str) -> Any:
    """A figure of neighbours.json; None when it is not there."""
    part = written.get(kind) if isinstance(written, dict) else None
    return part.get(search) if isinstance(part, dict) else None


def found_by_words(query: str, texts: Sequence[str]) -> list[int]:
    """As by_words in the given neighbours.py."""
    shared = [len(as_words(query) & as_words(text)) for text in texts]
    return sorted(range(len(texts)), key=lambda index: -shared[index])


def as_words(text: str) -> set[str]:
    kept = "".join(char if char.isascii() and (char.isalnum() or char == "-") else " " for char in text.lower())
    return set(kept.split())


def words(count: int, of: int = 10**6) -> str:
    return " ".join(f"w{random.randrange(of)}" for _ in range(count))


def gauss(count: int) -> list[float]:
    return [random.gauss(0, 1) for _ in range(count)]


def rounded(vector: Sequence[float]) -> list[float]:
    return [round(value, 2) for value in vector]


def cosine(a: Sequence[float], b: Sequence[float]) -> float:
    return sum(x * y for x, y in zip(a, b, strict=True)) / math.sqrt(sum(x * x for x in a) * sum(y * y for y in b))


def near(said: Any, wanted: float, tolerance: float = 1e-3) -> bool:
    return isinstance(said, int | float) and not isinstance(said, bool) and abs(said - wanted) <= tolerance + 1e-9
