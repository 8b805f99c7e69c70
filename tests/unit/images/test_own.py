"""labctl itself in the context of its image."""

from __future__ import annotations

import tarfile
from pathlib import Path

from labctl import settings
from labctl.images import catalog, context, own

CHOSEN = settings.load({"USER": "ada", "HOME": "/nonexistent"})


def test_the_package_the_labs_and_the_images_are_there_and_nothing_made_from_them() -> None:
    names = [name for name, _ in own.files()]
    assert {"src/labctl/cli/main.py", "src/labctl/py.typed", "docker/labctl/Dockerfile", "labs/courses.yaml"} <= {
        *names
    }
    assert len(names) == len({*names})
    assert not [name for name in names if "__pycache__" in name or "/_data/" in name or "/." in name.rpartition("/")[0]]


def test_the_image_s_context_holds_labctl_with_what_makes_its_environment(tmp_path: Path) -> None:
    image = catalog.find("labctl")
    with context.pack(image, "cpu", tmp_path, {"HOME": "/nonexistent"}) as file, tarfile.open(fileobj=file) as tar:
        names = tar.getnames()
    assert {"src/labctl/__main__.py", "docker/shared/python/make-env.sh", "build/ca-bundle.crt"} <= {*names}
    assert len(names) == len({*names})


def test_its_tag_changes_with_labctl() -> None:
    image = catalog.find("labctl")
    without = image.spec.model_copy(update={"labctl": False})
    other = catalog.Image(name=image.name, folder=image.folder, spec=without)
    assert catalog.digest(image, "cpu", CHOSEN) != catalog.digest(other, "cpu", CHOSEN)
    assert own.digest() == own.digest()
