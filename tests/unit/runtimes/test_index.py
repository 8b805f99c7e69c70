from __future__ import annotations

from pathlib import Path

import pytest

from labctl.index import for_uv, has_own_index, is_off, pip_files


@pytest.fixture
def pip_conf(tmp_path: Path) -> Path:
    """A configuration file of pip with everything that uv must be told."""
    (tmp_path / "wheels").mkdir()
    file = tmp_path / "pip.conf"
    file.write_text(
        f"""[global]
index-url = https://pypi.example/simple
extra-index-url =
    https://more.example/simple
    file:///no/such/folder/simple
trusted-host = pypi.example
cert = /etc/ca.pem
[install]
find-links = {tmp_path}/wheels /no/such/wheels
"""
    )
    return file


def test_pips_file_is_put_in_uvs_words(pip_conf: Path) -> None:
    assert for_uv({}, [pip_conf]) == {
        "UV_DEFAULT_INDEX": "https://pypi.example/simple",
        "UV_INDEX": "https://more.example/simple",
        "UV_INDEX_STRATEGY": "unsafe-best-match",
        "UV_FIND_LINKS": f"{pip_conf.parent}/wheels",
        "UV_INSECURE_HOST": "pypi.example",
        "UV_SYSTEM_CERTS": "true",
        "SSL_CERT_FILE": "/etc/ca.pem",
    }


def test_pips_environment_wins_over_its_files(pip_conf: Path) -> None:
    assert for_uv({"PIP_INDEX_URL": "https://mine/"}, [pip_conf])["UV_DEFAULT_INDEX"] == "https://mine/"


def test_what_uv_is_already_told_stays(pip_conf: Path) -> None:
    derived = for_uv({"UV_DEFAULT_INDEX": "https://chosen/"}, [pip_conf])
    assert "UV_DEFAULT_INDEX" not in derived


def test_without_any_setting_nothing_is_derived() -> None:
    assert for_uv({}, []) == {}
    assert not has_own_index({})


def test_a_folder_of_wheels_counts_as_an_own_index(pip_conf: Path) -> None:
    assert has_own_index(for_uv({"PIP_FIND_LINKS": str(pip_conf.parent)}, []))


def test_a_damaged_file_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "pip.conf").write_text("no section\n\0")
    assert for_uv({}, [tmp_path / "pip.conf"]) == {}


def test_pips_files_are_looked_for_where_pip_looks() -> None:
    files = pip_files({"HOME": "/home/ada", "PIP_CONFIG_FILE": "/mine.conf"})
    assert Path("/etc/pip.conf") in files
    assert Path("/home/ada/.config/pip/pip.conf") in files
    assert files[-1] == Path("/mine.conf")
    assert pip_files({"HOME": "/home/ada", "PIP_CONFIG_FILE": "/dev/null"}) == []


def test_a_room_without_an_index_is_known_from_file_or_environment(tmp_path: Path) -> None:
    (tmp_path / "pip.conf").write_text("[global]\nno-index = true\n")
    assert is_off({}, [tmp_path / "pip.conf"])
    assert is_off({"PIP_NO_INDEX": "1"}, [])
    assert not is_off({}, [])
