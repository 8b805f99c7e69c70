"""The ids that people, containers, folders and DNS labels share."""

from __future__ import annotations

import re


def learner_id(name: str) -> str:
    """`name` as the id that goes into session names, container names and DNS labels.

    >>> learner_id("Ada.Lovelace@example.org"), learner_id("李雷"), learner_id("a--b")
    ('ada-lovelace-example-org', 'u-674e-96f7', 'a-b')
    """
    ascii_name = name if name.isascii() else "u-" + "-".join(f"{ord(char):x}" for char in name)
    return re.sub(r"[^a-z0-9]+", "-", ascii_name.lower()).strip("-")[:32].strip("-") or "learner"


def session_id(lab: str, learner: str, cohort: str | None = None) -> str:
    """The one id of a learner's session of a lab: readable, and a DNS label.

    >>> session_id("stage2-finetune", "ada"), session_id("stage2-finetune", "ada", "autumn")
    ('stage2-finetune--ada', 'stage2-finetune--autumn--ada')
    """
    return "--".join(part for part in (lab, cohort, learner) if part)
