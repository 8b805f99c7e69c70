"""The service that answers: right, with its sources, and silent where the knowledge base is."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

SUPERSEDED = ("travel-2023", "remote-work-2022")
WANTED_RIGHT = 0.85
WANTED_REFUSED = 0.8
MAX_FALSE_REFUSALS = 0.1
MAX_WORDS = 55
MAX_SOURCES = 3


@pytest.fixture(scope="session")
def ask(service: Any) -> Any:
    """A function from a question to the service's answer, a dict with `answer`, `sources` and `refused`."""

    def asked(question: str) -> dict[str, Any]:
        response = service("rag").post("/ask", json={"question": question}, timeout=500)
        assert response.status_code == 200, f"POST /ask answered {response.status_code}: {response.text[:200]}"
        said = response.json()
        good = isinstance(said, dict) and isinstance(said.get("answer"), str) and isinstance(said.get("sources"), list)
        assert good, f"POST /ask answered {response.text[:200]}; wanted answer, sources and refused"
        assert isinstance(said.get("refused"), bool), f"refused is {said.get('refused')!r}; wanted true or false"
        return said

    return asked


def test_answers_are_right(ask: Any, lab: Path) -> None:
    cases = rows(lab, "heldout.jsonl")
    said = [ask(case["input"]) for case in cases]
    long = [answer for answer in said if len(answer["answer"].split()) > MAX_WORDS]
    assert not long, f"an answer has {len(long[0]['answer'].split())} words; wanted at most {MAX_WORDS}"
    wrong = [
        answer
        for case, answer in zip(cases, said, strict=True)
        if answer["refused"] or not any(text.lower() in answer["answer"].lower() for text in case["expected"])
    ]
    told = f"{len(cases) - len(wrong)} of {len(cases)} questions you do not have are answered rightly"
    shown = wrong[0]["answer"][:120] if wrong else ""
    assert len(wrong) <= (1 - WANTED_RIGHT) * len(cases), f"{told}; wanted {WANTED_RIGHT:.0%}; one answer was {shown!r}"


def test_sources_are_few_and_in_force(ask: Any, lab: Path) -> None:
    for answer in (ask(case["input"]) for case in rows(lab, "heldout.jsonl")):
        assert len(answer["sources"]) <= MAX_SOURCES, f"{len(answer['sources'])} sources for one answer"
        assert bool(answer["sources"]) != answer["refused"], "an answer needs a source, and a refusal has none"
        old = [id for id in answer["sources"] if id in SUPERSEDED]
        assert not old, f"an answer rests on {old[0]}, which is not in force any more"


def test_unanswerable_is_refused(ask: Any, lab: Path) -> None:
    nothing, answerable = rows(lab, "unanswerable.jsonl"), random.Random().sample(rows(lab, "heldout.jsonl"), 10)
    answered = [said["answer"] for said in map(ask, (case["input"] for case in nothing)) if not said["refused"]]
    told = f"{len(nothing) - len(answered)} of {len(nothing)} questions that nothing answers are refused"
    shown = answered[0][:120] if answered else ""
    assert len(answered) <= (1 - WANTED_REFUSED) * len(nothing), f"{told}; one got the answer {shown!r}"
    refused = sum(ask(case["input"])["refused"] for case in answerable)
    assert refused <= MAX_FALSE_REFUSALS * len(answerable), (
        f"{refused} of {len(answerable)} answerable ones are refused too"
    )


def test_a_new_document_is_found(ask: Any, service: Any) -> None:
    name, days = f"Quill{random.randrange(10**4)}", random.randrange(100, 999)
    question = f"For how many days is the permit of the {name} valid?"
    assert ask(question)["refused"], f"{question} is answered before any document says so"
    padding = " ".join(
        f"Paragraph {n} speaks of the colour of its case and of the box that it comes in." for n in range(12)
    )
    text = f"{padding} The permit of the {name} is valid for {days} days. {padding}"
    id = f"{name.lower()}-notes"
    for _ in range(2):  # the same document again must not stand in the index twice
        response = service("rag").post(
            "/documents", json={"id": id, "title": f"Notes on the {name}", "text": text}, timeout=400
        )
        assert response.status_code == 201, f"POST /documents answered {response.status_code}: {response.text[:200]}"
    said = ask(question)
    assert str(days) in said["answer"], f"after POST /documents the answer is {said['answer'][:120]!r}"
    assert said["sources"] == [id], f"its sources are {said['sources']}; wanted [{id!r}]"


def test_index_is_on_disk(ask: Any, workspace: Any, lab: Path, parameters: Mapping[str, Any]) -> None:
    ask("How long does the battery of the Brine last?")  # the index is built at the first question
    script = f"{parameters['lab']}/checks/index_holds.py"
    result = workspace.run("python", "-I", "-B", script, "data/index", "knowledge", timeout=400)
    last = (result.stderr.strip().splitlines() or [""])[-1]
    assert result.exit_code == 0, f"data/index does not open as a Chroma database with `knowledge`: {last[:200]}"
    holds = json.loads(result.stdout.strip().splitlines()[-1])
    names = [path.stem for path in (lab / "workspace" / "kb").glob("*.md")]
    missing = [name for name in names if name not in holds and name not in SUPERSEDED]
    assert not missing, (
        f"the index has no chunk of {missing[0]}: of each, metadata `document` must be its document's id"
    )
    old = [name for name in SUPERSEDED if name in holds]
    assert not old, f"the index holds {old[0]}, which is not in force any more"


def rows(lab: Path, name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (lab / "checks" / name).read_text(encoding="utf-8").splitlines()]
