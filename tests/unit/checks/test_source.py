"""`from`: answers of a program and of a service, as the checks `retrieval` and `generation` get them."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from labctl.checks.base import Unmet
from labctl.checks.source import Source
from labctl.target import MAX_OUTPUT_BYTES, CannotLook, CommandResult, Request, Response, Unreachable
from labctl.testing.target import FakeTarget, answer, completion

QUESTIONS: list[tuple[str, Any]] = [("a", "why?"), ("b", "how?")]
ECHO = """\
import json, sys
for line in sys.stdin:
    asked = json.loads(line)
    print(json.dumps({"id": asked["id"], "said": sorted(asked), "input": asked["input"]}))
"""


def asking(target: FakeTarget, program: str, timeout_s: float = 60.0) -> list[Any]:
    (target.folder / "answer.py").write_text(program)
    return Source(command=[sys.executable, "answer.py"]).answers(target, QUESTIONS, timeout_s)


def test_a_program_reads_every_input_and_nothing_else_of_the_case(target: FakeTarget) -> None:
    assert asking(target, ECHO) == [
        {"id": "a", "said": ["id", "input"], "input": "why?"},
        {"id": "b", "said": ["id", "input"], "input": "how?"},
    ]


def test_answers_may_come_in_any_order_with_blank_lines_between(target: FakeTarget) -> None:
    program = ECHO.replace("in sys.stdin", "in reversed(list(sys.stdin))").replace("json.dumps(", "'\\n' + json.dumps(")
    assert [said["input"] for said in asking(target, program)] == ["why?", "how?"]


@pytest.mark.parametrize(
    ("program", "why"),
    [
        ('print(\'{"id": "a"}\')', "gave no answer for 1 of 2 inputs, for example id 'b'"),
        ("pass", "gave no answer for 2 of 2 inputs"),
        ('print(\'{"id": "a"}\\n\' * 2)', "answered id 'a' twice"),
        ('print(\'{"id": "z"}\')', "answered id 'z', which it was not asked"),
        ("print('Loading weights: 100%')", "wrote 'Loading weights: 100%': it is not JSON"),
        ("print('{\"id\": NaN}')", "it holds NaN"),
        ("print('[1]')", 'which is no object with the "id" of an input'),
        ("print('{\"id\": true}')", "which is no object"),
        ("raise KeyError('index')", "ended with 1: KeyError: 'index'"),
        ("import sys; sys.exit(3)", "ended with 3"),
        ("print('x' * 9_000_000)", "wrote more than the"),
        ("import sys; sys.stdout.buffer.write(b'\\xff\\xfe')", "is not JSON"),
    ],
)
def test_a_program_that_does_not_answer_fails_with_what_was_seen(target: FakeTarget, program: str, why: str) -> None:
    with pytest.raises(Unmet) as caught:
        asking(target, program)
    assert why in str(caught.value)


def test_a_program_that_hangs_is_ended_and_one_that_is_not_there_is_named(target: FakeTarget) -> None:
    with pytest.raises(Unmet, match=r"was still running after 0.5s"):
        asking(target, "import time; time.sleep(60)", timeout_s=0.5)
    with pytest.raises(Unmet, match="ended with 127"):
        Source(command=["no-such-program"]).answers(target, QUESTIONS, 5.0)


def test_a_service_is_asked_once_for_each_input(tmp_path: Path) -> None:
    asked: list[Request] = []

    def rag(request: Request) -> Response:
        asked.append(request)
        return answer({"text": json.loads(request.body or b"")["questions"][0]})

    target = FakeTarget(folder=tmp_path, answers={("rag", "POST", "/ask"): rag})
    source = Source(service="rag", path="/ask", body={"questions": ["$input"], "note": "of $input", "k": 3})
    assert source.answers(target, QUESTIONS, 30.0) == [{"text": "why?"}, {"text": "how?"}]
    assert json.loads(asked[0].body or b"") == {"questions": ["why?"], "note": "of $input", "k": 3}
    assert asked[0].headers["content-type"] == "application/json"


def test_an_input_in_a_path_is_percent_encoded_and_one_that_is_no_text_stays_a_value(tmp_path: Path) -> None:
    paths: list[str] = []

    def search(request: Request) -> Response:
        paths.append(request.path)
        return answer([])

    target = FakeTarget(folder=tmp_path, answers={("rag", "GET", "/search"): search})
    Source(service="rag", path="/search?q=$input&k=3").answers(target, [("a", "a b&c=ä?")], 30.0)
    assert parse_qs(urlsplit(paths[0]).query) == {"q": ["a b&c=ä?"], "k": ["3"]}
    request = Source(service="rag", body="$input").request_to("rag", {"context": [1]}, 1.0)
    assert json.loads(request.body or b"") == {"context": [1]}


def test_a_chat_completion_is_asked_at_temperature_0(tmp_path: Path) -> None:
    def model(request: Request) -> Response:
        body = json.loads(request.body or b"")
        assert (body["temperature"], body["max_tokens"], body["messages"][0]["content"]) == (0, 9, "Be brief.")
        return completion(body["messages"][1]["content"].upper())

    target = FakeTarget(folder=tmp_path, answers={("llm", "POST", "/v1/chat/completions"): model})
    chat = {"model": "m", "system": "Be brief.", "prompt": "Say: $input", "max_tokens": 9}
    source = Source.model_validate({"service": "llm", "chat": chat})
    assert source.answers(target, QUESTIONS, 30.0) == [{"text": "SAY: WHY?"}, {"text": "SAY: HOW?"}]


def test_who_does_not_answer_decides_between_failure_and_error(tmp_path: Path) -> None:
    target = FakeTarget(folder=tmp_path, learner_services=frozenset({"rag"}))
    with pytest.raises(Unreachable):
        Source(service="rag").answers(target, QUESTIONS, 5.0)
    with pytest.raises(CannotLook):
        Source(service="llm").answers(target, QUESTIONS, 5.0)


def test_a_service_that_refuses_or_takes_too_long_fails(tmp_path: Path) -> None:
    target = FakeTarget(
        folder=tmp_path,
        answers={("rag", "GET", "/"): answer({}, status=500), ("rag", "GET", "/text"): answer(text="hi")},
        service_logs={"rag": "KeyError: 'index'\n"},
    )
    with pytest.raises(Unmet, match=r"GET / answered 500; wanted 200: (.|\n)*KeyError: 'index'"):
        Source(service="rag").answers(target, QUESTIONS, 5.0)
    with pytest.raises(Unmet, match=r"the answer of rag to 'why\?' is not JSON"):
        Source(service="rag", path="/text").answers(target, QUESTIONS, 5.0)
    with pytest.raises(Unmet, match="0 of 2 inputs were answered within 0s"):
        Source(service="rag").answers(target, QUESTIONS, 0.0)


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({}, "exactly one of command or service"),
        ({"command": ["a"], "service": "b"}, "exactly one of command or service"),
        ({"command": ["a"], "path": "/"}, "belong to a service"),
        ({"service": "a", "chat": {"model": "m"}, "body": {}}, "not both"),
        ({"service": "a", "path": "ask"}, "pattern"),
        ({"command": []}, "at least 1"),
    ],
)
def test_a_mistake_in_a_lab_file_is_refused(settings: dict[str, Any], why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        Source.model_validate(settings)


@dataclass(frozen=True, slots=True, kw_only=True)
class Printing(FakeTarget):
    """A session in which every program prints the same."""

    printed: str = ""

    def run(
        self,
        command: Sequence[str],
        *,
        timeout_s: float,
        env: Mapping[str, str] | None = None,
        stdin: bytes = b"",
        max_output_bytes: int = MAX_OUTPUT_BYTES,
    ) -> CommandResult:
        return CommandResult(exit_code=0, stdout=self.printed, stderr="", duration_s=0.1)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["id", "text", "a"]) | st.text(), inner)
    ),
    max_leaves=8,
)
LINES = st.lists(JSON.map(json.dumps) | st.text(), max_size=4).map("\n".join)


@settings(deadline=None)
@given(printed=LINES)
def test_whatever_a_program_prints_is_an_answer_or_a_failure(printed: str) -> None:
    try:
        answers = Source(command=["x"]).answers(Printing(folder=Path(), printed=printed), QUESTIONS, 5.0)
    except Unmet:
        return
    assert [str(said["id"]) for said in answers] == ["a", "b"]


def garbage_of(check_of: Callable[..., Any], tmp_path: Path, kind: str, case: dict[str, Any], **settings: Any) -> Any:
    (tmp_path / "cases.jsonl").write_text(json.dumps({"id": "a", "input": "why?", **case}) + "\n")
    more = {"lab": str(tmp_path), "cases": "cases.jsonl", "value": {"ge": 0.5}, **settings}
    return check_of(kind, **{"from": {"service": "rag"}, **more})


@pytest.mark.parametrize(
    ("kind", "case", "more"),
    [
        ("retrieval", {"relevant": ["x"]}, {"select": "a"}),
        ("retrieval", {"relevant": ["x"]}, {"select": "a[].id"}),
        ("generation", {"expected": "x"}, {"select": "a", "metric": "f1"}),
        ("generation", {"expected": "x"}, {"metric": "exact"}),
    ],
)
def test_whatever_a_service_answers_comes_to_a_result(
    check_of: Callable[..., Any], tmp_path: Path, kind: str, case: dict[str, Any], more: dict[str, Any]
) -> None:
    check = garbage_of(check_of, tmp_path, kind, case, **more)

    @settings(deadline=None)
    @given(said=JSON)
    def comes_to_a_result(said: Any) -> None:
        result = check.run(FakeTarget(folder=tmp_path, answers={("rag", "GET", "/"): answer(said)}))
        assert result.message
        json.dumps(result.actual)

    comes_to_a_result()
