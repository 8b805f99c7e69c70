"""A callback plugin of Ansible: begins no further task once somebody has asked for the end. Loaded by Ansible, not by labctl."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: labctl_stop
type: aggregate
short_description: Ends a run between two tasks
description:
  - Interrupts the run before its next task once the file exists that LABCTL_HOST_STOP names.
"""


class CallbackModule(CallbackBase):  # type: ignore[misc, no-any-unimported, unused-ignore]
    """Asked before each task, when no host has begun it: nothing is cut off in the middle."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "labctl_stop"
    CALLBACK_NEEDS_ENABLED = True

    def v2_playbook_on_task_start(self, task: Any, is_conditional: bool) -> None:
        _end_when_asked()

    def v2_playbook_on_handler_task_start(self, task: Any) -> None:
        _end_when_asked()


def _end_when_asked() -> None:
    file = os.environ.get("LABCTL_HOST_STOP")
    if file and Path(file).exists():
        os.kill(os.getpid(), signal.SIGINT)
