"""Chunks, neighbours and the grid. Runs outside the session; what a learner wrote runs in there, and only its output is read."""

from __future__ import annotations

import itertools
import json
import math
import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

GRID = [(20, 0), (20, 6), (60, 0), (60, 20), (180, 0), (180, 60)]
FIGURES = ("chunks", "recall_at_3", "words_at_3", "recall_in_180")
LEFT_OUT = 4
NOISE_QUESTIONS = 2
"""Two settings that differ by so many questions of 28 are as good as each other."""


def test_split_covers_the_text(workspace: Any, parameters: Mapping[str, Any]) -> None:
    asked = [
        {"text": words(count), "size": size, "overlap": overlap}
        for count, size, overlap in [
            (1, 5, 2),
            (37, 10, 0),
            (40, 10, 0),
            (41, 10, 4),
            (22, 10, 4),
            (9, 10, 9),
            (60, 7, 6),
        ]
    ]
    for one, answer in zip(asked, split(workspace, parameters, asked), strict=True):
        text, size, overlap = one["text"].split(), one["size"], one["overlap"]
        told = f"{len(text)} words, size {size}, overlap {overlap}"
        chunks = [str(chunk).split() for chunk in answer.get("chunks") or []]
        assert chunks, f"{told}: no chunks"
        assert max(map(len, chunks)) <= size, f"{told}: a chunk has more than {size} words"
        assert all(len(chunk) == size for chunk in chunks[:-1]), f"{told}: a chunk before the last is not full"
        whole = chunks[0] + [word for chunk in chunks[1:] for word in chunk[overlap:]]
        laps = all(
            later[:overlap] == earlier[-overlap:] if overlap else True for earlier, later in itertools.pairwise(chunks)
        )
        assert laps, f"{told}: a chunk does not begin with the last {overlap} words of the one before it"
        assert whole == text, f"{told}: without the overlaps the chunks do not give the text back"
        assert len(chunks) == 1 or len(chunks[-1]) > overlap, f"{told}: the last chunk lies wholly in the one before it"


def test_split_refuses_nonsense(workspace: Any, parameters: Mapping[str, Any]) -> None:
    asked = [{"text": words(9), "size": size, "overlap": overlap} for size, overlap in [(4, 4), (4, 5), (4, -1)]]
    empty, *refused = split(workspace, parameters, [{"text": " \n ", "size": 4, "overlap": 1}, *asked])
    assert empty.get("chunks") == [], "a text without words must give no chunk"
    for one, answer in zip(asked, refused, strict=True):
        assert "refused" in answer, f"size {one['size']}, overlap {one['overlap']}: wanted a ValueError"


def test_neighbours_by_hand(workspace: Any, parameters: Mapping[str, Any]) -> None:
    chance = random.Random()
    vectors = [[chance.gauss(0, 1) * scale for _ in range(6)] for scale in (1, 0.1, 30, 2, 0.5, 8, 0.01, 4)]
    query = [chance.gauss(0, 3) for _ in range(6)]
    pairs = [[query, vector] for vector in vectors] + [[query, [-2 * value for value in query]]]
    given = {"pairs": pairs, "query": query, "vectors": vectors, "k": 5}
    answer = ran(workspace, parameters, "nearest.py", given, isolated=False, timeout=120)
    for (a, b), said in zip(pairs, answer["cosines"], strict=True):
        assert math.isclose(said, cosine(a, b), abs_tol=1e-6), f"cosine is {said:.4f} where {cosine(a, b):.4f} is right"
    order = sorted(range(len(vectors)), key=lambda index: -cosine(query, vectors[index]))[:5]
    assert answer["nearest"] == order, (
        "nearest does not give the rows with the highest cosine: vectors differ in length"
    )
    assert answer["by_meaning"] == order, "by_meaning does not give the texts nearest by what kb.embed says"


def test_words_against_meaning(workspace: Any, lab: Path, parameters: Mapping[str, Any]) -> None:
    recorded = workspace.read_json("out/neighbours.json")
    cases = json.loads((lab / "workspace" / "paraphrases.json").read_text(encoding="utf-8"))
    queries = [(kind, case["query"], case["text"]) for kind in ("paraphrases", "codes") for case in cases[kind]]
    given = {"texts": cases["texts"], "queries": [[query, index] for _, query, index in queries]}
    by_meaning = ran(workspace, parameters, "measured.py", given)
    by_words = [index in found_by_words(query, cases["texts"])[:3] for _, query, index in queries]
    for kind in ("paraphrases", "codes"):
        of_kind = [number for number, query in enumerate(queries) if query[0] == kind]
        said = recorded.get(kind) or {}
        for search, found in (("words", by_words), ("meaning", by_meaning)):
            measured = sum(found[number] for number in of_kind) / len(of_kind)
            assert near(said.get(search), measured, 0.5 / len(of_kind)), (
                f"out/neighbours.json: {kind}.{search} is {said.get(search)}, measured again {measured:.2f}"
            )
        better = answers(workspace, "neighbours").get(f"better_for_{kind}")
        wanted = "meaning" if said["meaning"] > said["words"] else "words"
        assert better == wanted, (
            f"neighbours.better_for_{kind} in answers.yaml is {better!r}; your figures say otherwise"
        )


def test_grid(workspace: Any, lab: Path, parameters: Mapping[str, Any]) -> None:
    rows = grid(workspace)
    drawn = random.Random().sample(GRID, 2)
    asked = [{"text": text, "size": s, "overlap": o} for s, o in GRID for _, _, text in in_force(lab)]
    answered = iter(split(workspace, parameters, asked))
    chunks = {
        setting: [[id, title, chunk] for id, title, _ in in_force(lab) for chunk in next(answered).get("chunks") or []]
        for setting in GRID
    }
    for setting in GRID:
        assert rows[setting].get("chunks") == len(chunks[setting]), (
            f"out/grid.json: {setting} has other chunks than split"
        )
    settings = [{"size": size, "chunks": chunks[size, overlap]} for size, overlap in drawn]
    given = {"settings": settings, "questions": questions(lab, parameters["session"])}
    for setting, measured in zip(drawn, ran(workspace, parameters, "measured.py", given), strict=True):
        for figure in FIGURES:
            allowed = 0.5 / len(given["questions"]) if figure.startswith("recall") else 0.02 * measured[figure]
            assert near(rows[setting].get(figure), measured[figure], allowed), (
                f"out/grid.json: {figure} of (size, overlap) {setting} is {rows[setting].get(figure)}, "
                f"measured again {measured[figure]:.3f}"
            )


def test_setting_is_well_chosen(workspace: Any, lab: Path, parameters: Mapping[str, Any]) -> None:
    rows, chosen = grid(workspace), answers(workspace, "chunks")
    setting = (chosen.get("size"), chosen.get("overlap"))
    assert setting in rows, (
        f"chunks.size and chunks.overlap in answers.yaml are {setting}; wanted a setting of the grid"
    )
    noise = NOISE_QUESTIONS / len(questions(lab, parameters["session"]))
    best = max(row["recall_in_180"] for row in rows.values())
    mine = rows[setting]["recall_in_180"]
    assert mine >= best - noise - 1e-6, (
        f"{setting} finds {mine:.2f} with 180 words in the prompt, another setting {best:.2f}: that is more than chance"
    )


def test_trade_off_in_numbers(workspace: Any, lab: Path, parameters: Mapping[str, Any]) -> None:
    rows, said = grid(workspace), answers(workspace, "chunks")
    plain, lapped, large = rows[60, 0], rows[60, 20], rows[180, 60]
    asked = len(questions(lab, parameters["session"]))
    wanted = {
        "extra_chunks_percent": (100 * (lapped["chunks"] / plain["chunks"] - 1), 1.0),
        "prompt_ratio": (large["words_at_3"] / lapped["words_at_3"], 0.1),
        "lost_without_overlap": (asked * (lapped["recall_at_3"] - plain["recall_at_3"]), 0.01),
    }
    wrong = [key for key, (value, tolerance) in wanted.items() if not near(said.get(key), value, tolerance)]
    assert not wrong, f"chunks.{', chunks.'.join(wrong)} in answers.yaml: not what out/grid.json comes to"


def split(workspace: Any, parameters: Mapping[str, Any], asked: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    return ran(workspace, parameters, "split.py", asked, isolated=False, timeout=60)


def ran(
    workspace: Any,
    parameters: Mapping[str, Any],
    script: str,
    given: Any,
    *,
    isolated: bool = True,
    timeout: float = 400,
) -> Any:
    """What a script of this folder prints in the session, for `given` on its stdin."""
    flags = ["-I", "-B"] if isolated else ["-B"]
    path = f"{parameters['lab']}/checks/{script}"
    result = workspace.run("python", *flags, path, stdin=json.dumps(given), timeout=timeout)
    last = (result.stderr.strip().splitlines() or ["nothing"])[-1]
    assert result.exit_code == 0, f"your code ended with an error: {last[:300]}"
    try:
        return json.loads(result.stdout.strip().splitlines()[-1])
    except (ValueError, IndexError):
        pytest.fail(f"your code printed {result.stdout[:200]!r} besides what it returned")


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


def found_by_words(query: str, texts: Sequence[str]) -> list[int]:
    """As by_words in the given neighbours.py."""
    shared = [len(as_words(query) & as_words(text)) for text in texts]
    return sorted(range(len(texts)), key=lambda index: -shared[index])


def as_words(text: str) -> set[str]:
    kept = "".join(char if char.isascii() and (char.isalnum() or char == "-") else " " for char in text.lower())
    return set(kept.split())


def words(count: int) -> str:
    return " ".join(f"w{random.randrange(10**6)}" for _ in range(count))


def cosine(a: Sequence[float], b: Sequence[float]) -> float:
    return sum(x * y for x, y in zip(a, b, strict=True)) / math.sqrt(sum(x * x for x in a) * sum(y * y for y in b))


def near(said: Any, wanted: float, tolerance: float = 1e-3) -> bool:
    return isinstance(said, int | float) and not isinstance(said, bool) and abs(said - wanted) <= tolerance + 1e-9
