"""Whatever a Compose file says: a lab that is valid, or a refusal in words."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import event, given, settings
from hypothesis import strategies as st

from labctl.errors import LabFileError
from labctl.labs.compose.leftovers import ADVICE, CARRIED, GIVEN, REFUSED
from labctl.labs.compose.texts import as_template
from labctl.labs.lab import load_folder
from labctl.labs.scaffold import scaffold_from_compose
from labctl.labs.templates import render
from labctl.planning import declared_layout, plan
from labctl.sessions.lint import problems

_WORDS = st.sampled_from(
    [
        *(
            "web",
            "my_db",
            "DB",
            "workspace",
            "http://web:80/",
            "my_db:5432",
            "80",
            "1-2",
            "8080:80",
            "53/udp",
            "5s",
            "1g",
        ),
        *(
            "./a:/b",
            "v:/c",
            "/d",
            "A=1",
            "${A:-b}",
            "${",
            "$$",
            "{{",
            "{%",
            "{#",
            "}}",
            "a\r\nb\n",
            "curl localhost:80",
        ),
        *(
            "CMD",
            "CMD-SHELL",
            "nc -z localhost 1",
            "no",
            "yes",
            "always",
            "",
            " ",
            "'",
            "x:1",
            "é\u2028",
            "a" * 300,
            "-",
        ),
    ]
)
_SCALARS = (
    _WORDS
    | st.text(max_size=12)
    | st.integers(-(2**63), 2**63)
    | st.booleans()
    | st.none()
    | st.floats(allow_nan=False)
)
_KEYS = _WORDS | st.sampled_from(
    [
        *("test", "interval", "retries", "start_period", "disable", "condition", "required", "target", "published"),
        *("protocol", "source", "type", "name", "resources", "limits", "memory", "cpus", "reservations", "devices"),
        *("driver", "count", "capabilities", "device_ids", "restart_policy", "aliases", "<<"),
    ]
)
_VALUES = st.recursive(
    _SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_KEYS, inner, max_size=4), max_leaves=12
)
_SERVICE = st.dictionaries(st.sampled_from(sorted(CARRIED | GIVEN | REFUSED.keys() | ADVICE.keys())) | _KEYS, _VALUES)
_NAMES = _WORDS | st.text(max_size=50)
_TOPS = st.sampled_from(["networks", "volumes", "secrets", "include", "x-a", "made-up"]) | _WORDS
_TOP = st.dictionaries(_TOPS, _VALUES, max_size=2)
_SERVICES = st.dictionaries(_NAMES, st.one_of(_SERVICE, _SERVICE, _VALUES), min_size=1, max_size=4)


def made_from(data: Any, folder: Path) -> Path:
    file = folder / "compose.yaml"
    file.write_text(yaml.safe_dump(data), encoding="utf-8")
    return scaffold_from_compose("mine", folder, file)[0]


@settings(max_examples=150, deadline=None)
@given(top=_TOP, services=_SERVICES)
def test_any_mapping_becomes_a_valid_lab_or_a_refusal(top: dict[str, Any], services: Any) -> None:
    with tempfile.TemporaryDirectory() as folder:
        try:
            made = made_from({**top, "services": services}, Path(folder))
        except LabFileError as error:
            event(error.what.partition(": ")[2][:40])
        else:
            event("a lab")
            assert problems(made) == []


@settings(max_examples=80, deadline=None)
@given(texts=st.lists(st.text(max_size=40) | _WORDS, min_size=1, max_size=4))
def test_texts_arrive_as_they_were_written(texts: list[str]) -> None:
    words = [text.replace("$", "").replace("http://web:80", "") for text in texts]
    data = {"services": {"web": {"image": "x:1", "ports": [80], "command": words, "environment": {"A": words[0]}}}}
    with tempfile.TemporaryDirectory() as folder:
        try:
            made = made_from(data, Path(folder))
        except LabFileError as error:
            assert "NUL or half a character" in error.what or "not YAML" in error.what  # noqa: PT017 - else hypothesis shall say so
            return
        lab = load_folder(made)
        service = plan(lab, learner="ada", profile="cpu", layout=declared_layout(lab)).services[0]
    assert service.command == words
    assert service.environment == {"A": words[0]}


@given(pieces=st.lists(st.tuples(st.booleans(), st.text("{}%#\r\n a'\"-", max_size=12)), max_size=5))
def test_a_template_renders_to_what_it_was_made_of(pieces: list[tuple[bool, str]]) -> None:
    values = {f"v{number}": text for number, (_, text) in enumerate(pieces)}
    template = as_template([(is_value, f"v{n}" if is_value else text) for n, (is_value, text) in enumerate(pieces)])
    assert render(template, values) == "".join(values.values())


@pytest.mark.parametrize("count", [1, 60])
def test_many_services_with_long_names_stay_apart(tmp_path: Path, count: int) -> None:
    services = {f"{'long_' * 12}{number}": {"image": "x:1", "ports": [80]} for number in range(count)}
    lab = load_folder(made_from({"services": services}, tmp_path))
    assert len(lab.spec.services) == count
    assert problems(lab.path) == []
