"""The ids that people, containers, folders and DNS labels share."""

from __future__ import annotations

import re
import zlib

MAX_LEARNER_CHARS = 20
SECRET = re.compile(r"\$\{LABCTL_SECRET_([A-Z][A-Z0-9_]*)\}")
"""What stands in a plan for a secret that the runtime makes up for the session; group 1 is its name."""


def secret(name: str) -> str:
    """The text that stands for the session's secret `name` until a service starts.

    >>> secret("grafana-admin")
    '${LABCTL_SECRET_GRAFANA_ADMIN}'
    """
    text = "${LABCTL_SECRET_" + name.upper().replace("-", "_") + "}"
    if not SECRET.fullmatch(text):
        raise ValueError(f"{name!r} is no name of a secret; use lower-case words joined by dashes")
    return text


def learner_id(name: str) -> str:
    """`name` as the id, of at most 20 characters, that goes into session names, container names and DNS labels.

    A longer one is cut and ends with a checksum, so that two long names that begin alike stay two.

    >>> learner_id("Ada Lovelace"), learner_id("李雷"), learner_id("a--b")
    ('ada-lovelace', 'u-674e-96f7', 'a-b')
    >>> learner_id("ada.lovelace@example.org"), learner_id("ada.lovelace@example.com")
    ('ada-lovelac-da30c6c7', 'ada-lovelac-cc93baa1')
    """
    ascii_name = name if name.isascii() else "u-" + "-".join(f"{ord(char):x}" for char in name)
    id = re.sub(r"[^a-z0-9]+", "-", ascii_name.lower()).strip("-") or "learner"
    if len(id) <= MAX_LEARNER_CHARS:
        return id
    return f"{id[: MAX_LEARNER_CHARS - 9].strip('-')}-{zlib.crc32(id.encode()):08x}"


def session_id(lab: str, learner: str, cohort: str | None = None) -> str:
    """The one id of a learner's session of a lab: readable, and a DNS label.

    A label has at most 63 characters: a lab's id has at most 40, a learner's 20. A cohort's name takes from the same room.

    >>> session_id("stage2-finetune", "ada"), session_id("stage2-finetune", "ada", "autumn")
    ('stage2-finetune--ada', 'stage2-finetune--autumn--ada')
    """
    return "--".join(part for part in (lab, cohort, learner) if part)
