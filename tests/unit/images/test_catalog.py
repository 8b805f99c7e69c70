"""Which images there are, and when their tags change."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from labctl import settings
from labctl.errors import LabFileError, NotFoundError, UsageError
from labctl.images import catalog
from labctl.images.catalog import Image
from labctl.settings import Settings

WriteImage = Callable[..., Image]


@pytest.fixture
def write_image(tmp_path: Path) -> WriteImage:
    """Write docker/NAME below `tmp_path`; it may be called again to change it."""

    def write(
        name: str, text: str = "summary: a test\nbase: debian\n", dockerfile: str = "ARG BASE_IMAGE=x\n"
    ) -> Image:
        folder = tmp_path / "docker" / name
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "image.yaml").write_text(text)
        (folder / "Dockerfile").write_text(dockerfile)
        return catalog.find(name, folder.parent)

    return write


def chosen_with(**environ: str) -> Settings:
    return settings.load({"USER": "ada", "HOME": "/nonexistent", **environ})


PLAIN = chosen_with()


@pytest.mark.parametrize("profile", ["cpu", "gpu"])
def test_every_image_of_the_project_has_a_reference_of_its_own(profile: str) -> None:
    references = [catalog.reference(image.title, profile, PLAIN) for image in catalog.images()]
    assert len(set(references)) == len(references) >= 7
    assert all(reference.startswith("labctl/") for reference in references)


def test_images_that_differ_between_profiles_say_so_in_the_tag() -> None:
    assert catalog.reference("docker/vllm", "cpu", PLAIN).startswith("labctl/vllm:cpu-")
    assert catalog.reference("docker/trainer", "gpu", PLAIN).startswith("labctl/trainer:gpu-")
    assert catalog.reference("docker/ingress", "gpu", PLAIN) == catalog.reference("docker/ingress", "cpu", PLAIN)


def test_a_reference_that_is_not_ours_stays_as_it_is() -> None:
    assert catalog.reference("grafana/grafana:12.2.0", "cpu", PLAIN) == "grafana/grafana:12.2.0"


def test_a_registry_takes_the_place_of_our_name() -> None:
    ours = catalog.reference("docker/ingress", "cpu", PLAIN)
    elsewhere = catalog.reference("docker/ingress", "cpu", chosen_with(LABCTL_REGISTRY="registry.example/labs/"))
    assert elsewhere == ours.replace("labctl/", "registry.example/labs/")


@pytest.mark.parametrize("name", ["docker/vlm", "docker/../labs", "docker/", "docker/shared"])
def test_an_unknown_image_names_the_ones_there_are(name: str) -> None:
    with pytest.raises(NotFoundError, match="no image named") as raised:
        catalog.reference(name, "cpu", PLAIN)
    assert "docker/ingress" in raised.value.hint


def test_the_tag_changes_with_the_files(write_image: WriteImage) -> None:
    before = catalog.digest(write_image("a"), "cpu", PLAIN)
    assert catalog.digest(write_image("a"), "cpu", PLAIN) == before
    assert catalog.digest(write_image("a", dockerfile="ARG BASE_IMAGE=y\n"), "cpu", PLAIN) != before


def test_the_tag_changes_with_the_environment(write_image: WriteImage) -> None:
    image = write_image("a", "summary: a test\nbase: python\nenv: {cpu: llm, gpu: llm-gpu}\n")
    assert catalog.digest(image, "cpu", PLAIN) != catalog.digest(image, "gpu", PLAIN)


def test_the_tag_changes_with_the_parent(write_image: WriteImage) -> None:
    write_image("parent")
    child = write_image("child", "summary: a test\nfrom: docker/parent\n")
    before = catalog.digest(child, "cpu", PLAIN)
    write_image("parent", dockerfile="ARG BASE_IMAGE=z\n")
    assert catalog.digest(child, "cpu", PLAIN) != before


def test_another_base_is_another_image_but_not_where_the_image_has_its_own(write_image: WriteImage) -> None:
    based = chosen_with(LABCTL_BASE_IMAGE="mine:1")
    ours, own = write_image("a"), write_image("b", "summary: a test\nbase: own\n")
    assert catalog.digest(ours, "cpu", based) != catalog.digest(ours, "cpu", PLAIN)
    assert catalog.base(ours, "cpu", based) == "mine:1"
    assert catalog.digest(own, "cpu", based) == catalog.digest(own, "cpu", PLAIN)
    assert catalog.base(own, "cpu", based) is None


def test_the_index_and_the_certificates_are_no_part_of_the_tag(
    write_image: WriteImage, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    image = write_image("a", "summary: a test\nbase: python\nenv: web\n")
    before = catalog.digest(image, "cpu", PLAIN)
    (tmp_path / "ca.pem").write_text("another")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    monkeypatch.setenv("PIP_INDEX_URL", "https://mirror.example/simple")
    assert catalog.digest(image, "cpu", PLAIN) == before


def test_a_mistake_in_an_image_file_is_named_with_its_place(write_image: WriteImage) -> None:
    with pytest.raises(LabFileError, match=r"image.yaml:2:1: bass: unknown key; did you mean 'base'"):
        write_image("a", "summary: a test\nbass: debian\n")


def test_a_profile_that_an_image_lacks_is_a_usage_error(write_image: WriteImage) -> None:
    image = write_image("a", "summary: a test\nbase: python\nenv: {cpu: llm}\n")
    with pytest.raises(UsageError, match="has no profile 'gpu'"):
        catalog.digest(image, "gpu", PLAIN)


def test_a_shared_folder_or_environment_that_is_not_there_is_named(write_image: WriteImage) -> None:
    with pytest.raises(NotFoundError, match=r"no folder .*nothing"):
        catalog.digest(write_image("a", "summary: a test\nshared: [nothing]\n"), "cpu", PLAIN)
    with pytest.raises(NotFoundError, match="no environment named 'nothing'"):
        catalog.digest(write_image("a", "summary: a test\nenv: nothing\n"), "cpu", PLAIN)
