"""pip's settings in uv's words: uv does not read pip's configuration, and a company's mirror is usually written there."""

from __future__ import annotations

import configparser
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import unquote, urlsplit

_SECTIONS = ("global", "install")


def for_uv(environ: Mapping[str, str] | None = None, files: list[Path] | None = None) -> dict[str, str]:
    """Variables for uv that say what pip's environment and files say; nothing that `UV_*` in `environ` already says."""
    environ = os.environ if environ is None else environ
    pip = _pip_settings(environ, pip_files(environ) if files is None else files)
    indexes = _present(pip.get("extra-index-url", "").split())
    derived = {
        "UV_FIND_LINKS": ",".join(_present(pip.get("find-links", "").split())),
        "UV_INDEX": " ".join(indexes),
        # pip takes the best version of all indexes; uv's default would stop at the first one that has the package
        "UV_INDEX_STRATEGY": "unsafe-best-match" if indexes else "",
        "UV_DEFAULT_INDEX": pip.get("index-url", ""),
        "UV_INSECURE_HOST": " ".join(pip.get("trusted-host", "").split()),
        "UV_SYSTEM_CERTS": "true" if _has_ca(environ, pip) else "",
        "SSL_CERT_FILE": environ.get("SSL_CERT_FILE", pip.get("cert", "")),
    }
    return {name: value for name, value in derived.items() if value and name not in environ}


def has_own_index(uv: Mapping[str, str]) -> bool:
    """Whether packages come from somewhere that the user chose, rather than from PyPI alone."""
    return any(uv.get(name) for name in ("UV_FIND_LINKS", "UV_INDEX", "UV_DEFAULT_INDEX", "UV_INDEX_URL"))


def is_off(environ: Mapping[str, str] | None = None, files: list[Path] | None = None) -> bool:
    """Whether pip is told to use no index, only `find-links`; uv has a flag for that, and no variable."""
    environ = os.environ if environ is None else environ
    pip = _pip_settings(environ, pip_files(environ) if files is None else files)
    return pip.get("no-index", "").lower() in ("1", "true", "yes", "on")


def pip_files(environ: Mapping[str, str]) -> list[Path]:
    """pip's configuration files, later ones win; they need not exist."""
    home = _home(environ)
    site = [Path(folder) / "pip" for folder in (environ.get("XDG_CONFIG_DIRS") or "/etc/xdg").split(":")]
    user = Path(environ.get("XDG_CONFIG_HOME") or home / ".config") / "pip"
    folders = [*site, Path("/etc"), home / ".pip", user, Path(sys.prefix)]
    named = environ.get("PIP_CONFIG_FILE")
    if named == os.devnull:
        return []
    return [folder / "pip.conf" for folder in folders] + ([Path(named)] if named else [])


def _home(environ: Mapping[str, str]) -> Path:
    try:
        return Path(environ.get("HOME") or Path.home())
    except RuntimeError:  # no HOME and no passwd entry, as in containers that run under any uid
        return Path("/nonexistent")


def _pip_settings(environ: Mapping[str, str], files: list[Path]) -> dict[str, str]:
    parser = configparser.RawConfigParser(strict=False)
    for file in files:
        try:
            parser.read(file, encoding="utf-8")
        except (configparser.Error, UnicodeDecodeError, OSError):  # pip would complain; uv need not fail for it
            continue
    sections = [section for section in _SECTIONS if parser.has_section(section)]
    settings = {name.replace("_", "-"): value for section in sections for name, value in parser.items(section)}
    prefix = "PIP_"
    named = {
        name[len(prefix) :].lower().replace("_", "-"): value
        for name, value in environ.items()
        if name.startswith(prefix)
    }
    return {**settings, **{name: value for name, value in named.items() if value}}


def _present(places: list[str]) -> list[str]:
    """`places` without folders of this host that do not exist: pip passes over them, uv would stop."""
    return [place for place in places if _local(place) is None or Path(_local(place) or "").exists()]


def _local(place: str) -> str | None:
    if place.startswith("file:"):
        return unquote(urlsplit(place).path)
    return None if "://" in place else place


def _has_ca(environ: Mapping[str, str], pip: Mapping[str, str]) -> bool:
    names = ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
    return bool(pip.get("cert")) or any(environ.get(name) for name in names)
