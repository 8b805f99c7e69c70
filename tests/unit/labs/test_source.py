"""YAML files from strangers: every bad one is refused in words, quickly, and nothing is executed."""

from __future__ import annotations

from pathlib import Path

import pytest

from labctl.errors import LabFileError
from labctl.labs.source import MAX_FILE_BYTES, Place, read_source


def written(tmp_path: Path, content: str | bytes) -> Path:
    path = tmp_path / "lab.yaml"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def test_every_path_knows_its_line_and_column(tmp_path: Path) -> None:
    source = read_source(written(tmp_path, "a: 1\nb:\n  - x: yes\n    y: [p, q]\n"))
    assert source.data == {"a": 1, "b": [{"x": True, "y": ["p", "q"]}]}
    assert source.place(("b", 0, "y", 1)) == Place(line=4, column=12)
    assert source.place(("b", 0, "missing")) == Place(line=3, column=5)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("", "the file is empty"),
        ("# only a comment\n", "the file is empty"),
        ("a: [1, 2", "not YAML"),
        ("a: b: c", "not YAML"),
        (b"\xff\xfe\x00binary", "not UTF-8 text"),
        ("a: \x00", "not YAML"),
        ("a: 1\na: 2\n", "the key 'a' is given twice"),
        ("a: &x [*x]\n", "an alias that contains itself"),
        ("? [1, 2]\n: b\n", "a key must be a word"),
        ("a: !!python/object/apply:os.system ['true']\n", "not accepted"),
        ("a: !!binary aGk=\n", "not accepted"),
        ("a: " + "[" * 1_000_000, "larger than 256 KiB"),
        ("a: " + "[" * 100_000, "levels deep"),
        ("a: " + "{b: " * 5_000, "levels deep"),
        ("- " * 60_000 + "x", "levels deep"),
        ("a: " + "x" * (MAX_FILE_BYTES + 1), "larger than 256 KiB"),
    ],
)
def test_a_bad_file_is_refused_in_words(tmp_path: Path, content: str | bytes, why: str) -> None:
    with pytest.raises(LabFileError, match=r"lab\.yaml") as caught:
        read_source(written(tmp_path, content))
    assert why in caught.value.what
    assert caught.value.hint


def test_aliases_that_multiply_are_refused_before_they_fill_the_memory(tmp_path: Path) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 10)]
    with pytest.raises(LabFileError, match="more than 50000 values"):
        read_source(written(tmp_path, "\n".join(lines)))


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(LabFileError, match="cannot be read: No such file"):
        read_source(tmp_path / "nothing.yaml")
    with pytest.raises(LabFileError, match="cannot be read: Is a directory"):
        read_source(tmp_path)


def test_deep_indentation_is_refused(tmp_path: Path) -> None:
    nested = "\n".join("  " * depth + "a:" for depth in range(400))
    with pytest.raises(LabFileError, match="levels deep"):
        read_source(written(tmp_path, nested))
