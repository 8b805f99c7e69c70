"""The Compose file that `render` writes: what is in it, letter by letter for our own labs, and what Compose's schema says of it.

`UPDATE_GOLDEN=1 pytest tests/unit/runtimes/docker/test_compose.py` writes the golden files anew. Where the schema is from: tests/golden/README.md.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from labctl.cli.render import compose_yaml, to_yaml
from labctl.errors import PreflightError
from labctl.gpus.inventory import Allocation, HeldGpu
from labctl.labs.catalog import builtin_folder, summaries
from labctl.labs.lab import load
from labctl.plan import Plan
from labctl.planning import declared_layout, plan
from labctl.runtimes.docker.compose import any_gpus, compose, planned_host, variables
from labctl.settings import Settings
from tests.conftest import LAB

WriteLab = Callable[..., Path]
GOLDEN = Path(__file__).resolve().parents[3] / "golden"
SCHEMA = json.loads((GOLDEN / "compose-spec.json").read_text())
OURS = [(row.id, profile) for row in summaries(()) for profile in load(row.id, ()).spec.profiles]
KEPT = [(lab, profile) for lab in ("stage1-inference-api", "stage2-finetune") for profile in ("cpu", "gpu")]
"""Those whose files are compared line by line: one with the learner's own service, one with a model and a GPU."""
TWO = """\
  other:
    image: debian
    ports: {http: 8000, admin: 8001}
    healthcheck: {http: /ready?a=1, port: admin, timeout: 90s}
    depends_on: [page]
"""


def rendered(folder: Path, chosen: Settings, *, gpus: Allocation | None = None, profile: str = "cpu") -> dict[str, Any]:
    """The file for the lab in `folder`."""
    return compose(*planned(folder, chosen, gpus=gpus, profile=profile))


def planned(folder: Path, chosen: Settings, *, gpus: Allocation | None = None, profile: str = "cpu") -> Any:
    lab = load(f"{folder}/", ())
    layout = declared_layout(lab)
    made: Plan = plan(lab, learner="ada", profile=profile, layout=layout, allocation=gpus)  # type: ignore[arg-type]
    return made, planned_host(made, chosen, 64)


def lab_with(page: str = "", *, more: str = "", top: str = "workspace: {image: debian}\n") -> str:
    """The small lab of the tests on containers, with more lines for its service `page` and more services."""
    text = LAB.replace("    owner: learner\n", f"    owner: learner\n    image: debian\n{page}{more}")
    return text.replace("services:\n", f"{top}services:\n")


@pytest.mark.parametrize(("lab", "profile"), OURS)
def test_our_labs_are_files_that_compose_accepts(lab: str, profile: str, chosen: Settings) -> None:
    text = compose_yaml(load(lab, ()), "ada", profile, replace(chosen, labs=()))  # type: ignore[arg-type]
    accepted(yaml.safe_load(text))


@pytest.mark.parametrize(("lab", "profile"), KEPT)
def test_a_lab_looks_as_a_compose_file_as_it_did(
    lab: str, profile: str, chosen: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 64)
    text = _without_places(compose_yaml(load(lab, ()), "ada", profile, replace(chosen, labs=())))  # type: ignore[arg-type]
    file = GOLDEN / "compose" / f"{lab}.{profile}.yaml"
    if os.environ.get("UPDATE_GOLDEN"):
        file.write_text(text, encoding="utf-8")
    assert text == file.read_text(encoding="utf-8")


def test_no_golden_file_is_left_over() -> None:
    assert {file.name for file in (GOLDEN / "compose").iterdir()} == {f"{lab}.{profile}.yaml" for lab, profile in KEPT}


def test_a_dollar_means_itself_and_a_secret_must_be_given(write_lab: WriteLab, chosen: Settings) -> None:
    text = lab_with('    environment: {A: "$HOME ${HOME} $$", B: "x{{ secret(\'a-b\') }}y$"}\n')
    page = rendered(write_lab(text=text), chosen)["services"]["page"]
    assert page["environment"]["A"] == "$$HOME $${HOME} $$$$"
    assert re.fullmatch(r"x\$\{LABCTL_SECRET_A_B:\?[^}]+\}y\$\$", page["environment"]["B"])


def test_ports_have_defaults_of_their_own_and_a_variable_each(write_lab: WriteLab, chosen: Settings) -> None:
    made = rendered(write_lab(text=lab_with(more=TWO)), chosen)
    assert made["services"]["ingress"]["ports"] == [
        "127.0.0.1:${LABCTL_PORT_PAGE_HTTP:-8000}:20000",
        "127.0.0.1:${LABCTL_PORT_OTHER_HTTP:-8002}:20001",
        "127.0.0.1:${LABCTL_PORT_OTHER_ADMIN:-8001}:20002",
    ]
    assert all("ports" not in service for name, service in made["services"].items() if name != "ingress")


def test_names_that_are_one_as_a_variable_stay_two(write_lab: WriteLab, chosen: Settings) -> None:
    more = "  a-b: {image: debian, ports: {c: 1}}\n  a: {image: debian, ports: {b-c: 65535, d: 65535}}\n"
    found = variables(*planned(write_lab(text=lab_with(more=more)), chosen))
    assert [(name, number) for _, name, number in found[1:]] == [
        ("LABCTL_PORT_A_B_C", 1),
        ("LABCTL_PORT_A_B_C_2", 65535),
        ("LABCTL_PORT_A_D", 1024),
    ]


def test_health_is_asked_inside_at_the_port_and_path_of_the_lab(write_lab: WriteLab, chosen: Settings) -> None:
    health = rendered(write_lab(text=lab_with(more=TWO)), chosen)["services"]["other"]["healthcheck"]
    assert health["test"][:3] == ["CMD", "sh", "-c"]
    assert health["test"][4:] == ["8001", "/ready?a=1"]
    assert (health["interval"], health["timeout"], health["start_period"]) == ("1s", "3s", "90s")


def test_a_command_is_the_health_check_as_it_is(write_lab: WriteLab, chosen: Settings) -> None:
    text = lab_with('    healthcheck: {command: [test, -f, "$x"], interval: 2500ms}\n')
    health = rendered(write_lab(text=text), chosen)["services"]["page"]["healthcheck"]
    assert (health["test"], health["interval"]) == (["CMD", "test", "-f", "$$x"], "2500ms")


def test_an_image_s_own_health_check_never_speaks_for_the_lab(write_lab: WriteLab, chosen: Settings) -> None:
    made = rendered(write_lab(text=lab_with()), chosen)["services"]
    assert all(service["healthcheck"] == {"disable": True} for service in made.values())


@pytest.mark.parametrize(
    ("page", "condition", "written"),
    [
        ("", "service_healthy", "service_started"),
        ("    healthcheck: {tcp: true}\n", "service_healthy", "service_healthy"),
        ("", "service_completed_successfully", "service_completed_successfully"),
        ("    healthcheck: {tcp: true}\n", "service_started", "service_started"),
    ],
)
def test_what_must_be_true_of_another_service_is_what_compose_can_see(
    write_lab: WriteLab, chosen: Settings, page: str, condition: str, written: str
) -> None:
    more = f"  other: {{image: debian, depends_on: {{page: {{condition: {condition}}}}}}}\n"
    services = rendered(write_lab(text=lab_with(page, more=more)), chosen)["services"]
    assert services["other"]["depends_on"] == {"page": {"condition": written}}
    assert services["page"]["restart"] == ("no" if "completed" in condition else "on-failure:3")


def test_a_model_is_built_by_a_service_that_the_others_wait_for(chosen: Settings) -> None:
    made, host = planned(builtin_folder() / "stage2-finetune", chosen)
    services = compose(made, host)["services"]
    builder, folder = services["build-tiny"], Path(made.models[0].path).name
    assert (builder["network_mode"], builder["restart"]) == ("none", "no")
    assert builder["command"] == [f"/out/{folder}", making := f"/out/.{folder}.making", "python", "build.py", making]
    for name in ("vllm", "workspace"):
        assert services[name]["depends_on"] == {"build-tiny": {"condition": "service_completed_successfully"}}
        mounts = {volume["target"]: volume for volume in services[name]["volumes"]}
        assert mounts["/models"] == {"type": "bind", "source": "./models", "target": "/models", "read_only": True}


@pytest.mark.parametrize(
    ("uuids", "asked", "visible"),
    [(None, {"count": 2}, "0,1"), (["GPU-1", "MIG-2"], {"device_ids": ["GPU-1", "MIG-2"]}, "GPU-1,MIG-2")],
)
def test_gpus_are_reserved_for_services_and_hidden_from_the_ingress(
    write_lab: WriteLab, chosen: Settings, uuids: list[str] | None, asked: Mapping[str, Any], visible: str
) -> None:
    text = lab_with().replace("services:\n", "services:\n", 1).replace("  cpu:", "  gpu: {gpu: {count: 2}}\n  cpu:", 1)
    folder = write_lab(text=text)
    held = [HeldGpu(uuid=uuid, name="", memory_mib=None, sharing="exclusive") for uuid in uuids or ()]
    need = load(f"{folder}/", ()).spec.profiles["gpu"].gpu
    made = rendered(folder, chosen, gpus=Allocation(gpus=tuple(held)) if held else any_gpus(need), profile="gpu")
    accepted(made)
    page, way_in = made["services"]["page"], made["services"]["ingress"]
    assert page["deploy"]["resources"]["reservations"]["devices"] == [
        {"driver": "nvidia", **asked, "capabilities": ["gpu"]}
    ]
    assert page["environment"]["NVIDIA_VISIBLE_DEVICES"] == visible
    assert ("deploy" in way_in, way_in["environment"]["NVIDIA_VISIBLE_DEVICES"]) == (False, "void")


def test_a_lab_with_egress_has_a_network_that_leads_out(write_lab: WriteLab, chosen: Settings) -> None:
    made = rendered(write_lab(text=lab_with(top="egress: true\nworkspace: {image: debian}\n")), chosen)
    assert "internal" not in made["networks"]["lab"]
    assert "dns" not in made["services"]["page"]


def test_a_service_without_an_image_is_refused_by_name(write_lab: WriteLab, chosen: Settings) -> None:
    with pytest.raises(PreflightError, match="small-lab names no image for service page"):
        planned(write_lab(), chosen)
    text = lab_with(top="").replace("services:\n", "services: {}\nx:\n").partition("x:\n")
    alone = text[0] + "criteria: [{id: a, text: t, points: 1, hint: h, checks: [{file: {path: a}}]}]\n"
    with pytest.raises(PreflightError, match="names no image for its workspace"):
        planned(write_lab("alone", text=alone), chosen)


@pytest.mark.parametrize(
    "value", ["0o17", "0x1F", "1e5", "1:20", "yes", "null", "~", "", ".5", "- a", "a: b", "a #b", " "]
)
def test_text_is_text_to_every_reader_of_yaml(value: str) -> None:
    written = to_yaml({"key": value, "list": [value]})
    assert yaml.safe_load(written) == {"key": value, "list": [value]}
    assert re.search(r"key: ['\"]", written), written


def test_nothing_in_a_title_leaves_the_comment(write_lab: WriteLab, chosen: Settings) -> None:
    text = lab_with().replace("title: A small lab", 'title: "A\\nservices: {}\\x85x: 1\\L\\e[31mred"')
    written = compose_yaml(load(f"{write_lab(text=text)}/", ()), "ada", "cpu", chosen)
    assert list(yaml.safe_load(written)) == ["x-labctl", "services", "networks"]
    assert "\x1b" not in written


def test_the_file_is_written_whole_and_says_how_it_is_run(home: Path, write_lab: WriteLab) -> None:
    folder, file = write_lab(text=lab_with()), home / "compose.yaml"
    file.write_text("old")
    done = _labctl("render", f"{folder}/", "--format", "compose", "-o", str(file))
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    assert "docker compose up -d --wait" in file.read_text()
    assert sorted(path.name for path in home.glob("*compose*")) == ["compose.yaml"]
    accepted(yaml.safe_load(file.read_text()))


@pytest.mark.parametrize(("place", "code", "said"), [("", 2, "is a folder"), ("nowhere/file", 2, "is no folder")])
def test_a_place_where_no_file_can_be_is_refused(
    home: Path, write_lab: WriteLab, place: str, code: int, said: str
) -> None:
    done = _labctl("render", f"{write_lab(text=lab_with())}/", "-o", str(home / place))
    assert done.returncode == code
    assert said in done.stderr


def test_rendering_asks_no_engine(home: Path, write_lab: WriteLab) -> None:
    done = _labctl("render", f"{write_lab(text=lab_with())}/", "-f", "compose", DOCKER_HOST="unix:///nobody/there")
    assert done.returncode == 0, done.stderr


def accepted(made: Mapping[str, Any]) -> None:
    """Raises ValidationError when Compose's schema does not accept it."""
    jsonschema.Draft201909Validator(SCHEMA).validate(made)


def _without_places(text: str) -> str:
    """Paths, and what changes with every edit of an image, a model or the lab's files, have words in their place."""
    text = text.replace(str(builtin_folder()), "/LABS")
    text = re.sub(r"(labctl/[a-z]+:(?:cpu-|gpu-)?)[0-9a-f]{12}\b", r"\g<1>DIGEST", text)
    return re.sub(r"\btiny-[0-9a-f]{12}\b", "tiny-DIGEST", text)


def _labctl(*args: str, **environment: str) -> subprocess.CompletedProcess[str]:
    values = {**os.environ, **environment}
    command = [sys.executable, "-m", "labctl", *args]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=values, timeout=120)
