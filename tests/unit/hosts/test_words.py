"""What a task's result says, in words."""

from __future__ import annotations

import re
from typing import Any

import pytest

from labctl.hosts import playbooks
from labctl.hosts.causes import CAUSES, remedy
from labctl.hosts.words import diff_of, message_of


@pytest.mark.parametrize(
    ("result", "words"),
    [
        ({"msg": "No package matching 'x'"}, "No package matching 'x'"),
        ({"msg": "non-zero return code", "rc": 1, "stderr": "a\nb\n"}, "it ended with 1: a\nb"),
        ({"msg": "MODULE FAILURE\nSee stdout", "module_stderr": "Killed"}, "Killed"),
        ({"censored": "hidden", "msg": "x"}, "what it says is hidden, because it may hold a secret (no_log)"),
        (
            {
                "msg": "The following modules failed to execute: ansible.legacy.setup.",
                "failed_modules": {
                    "setup": {"msg": "MODULE FAILURE", "rc": 127, "module_stderr": "python3: not found"}
                },
            },
            "it ended with 127: python3: not found",
        ),
        (
            {"msg": "Error executing command.", "rc": 2, "cmd": "sysctl -e x"},
            "sysctl cannot be run: No such file or directory",
        ),
        ({}, "it does not say why"),
        (
            {"msg": "One or more items failed", "results": [{"item": "a"}, {"item": "b", "failed": True, "msg": "no"}]},
            "b: no",
        ),
    ],
)
def test_a_failure_is_told_in_the_tasks_own_words(result: dict[str, Any], words: str) -> None:
    assert message_of(result) == words


def test_a_change_is_told_as_a_diff() -> None:
    assert (
        diff_of({"diff": {"before": "a\n", "after": "b\n", "before_header": "f"}})
        == "--- f\n+++ after\n@@ -1 +1 @@\n-a\n+b"
    )
    assert diff_of({"diff": [{"prepared": "more"}, {"before": "", "after": ""}]}) == "more"
    assert diff_of({"changed": True}) == ""


@pytest.mark.parametrize(
    ("message", "advice"),
    [
        ("Incorrect sudo password", "--become-password-file"),
        ("Missing sudo password", "--become-password-file"),
        (
            "Failed to lock apt for exclusive operation: Could not get lock /var/lib/dpkg/lock-frontend",
            "another program",
        ),
        ("Failed to connect to the host via ssh: ssh: connect to host x port 22: Connection refused", "sshd"),
        ("Could not resolve hostname gpu1: Name or service not known", "ansible_host"),
        ("Host key verification failed.", "ssh HOST"),
        ("ada@gpu1: Permission denied (publickey).", "--private-key"),
        ("[Errno 28] No space left on device", "disk is full"),
        ("SSL: CERTIFICATE_VERIFY_FAILED certificate verify failed", "labctl_ca_certificates"),
        ("something else", ""),
    ],
)
def test_what_everybody_meets_comes_with_a_remedy(message: str, advice: str) -> None:
    told = remedy(message)
    assert advice in told
    assert bool(told) == bool(advice)


def test_remedies_name_variables_that_there_are() -> None:
    defaults = (playbooks.builtin_folder() / "roles" / "settings" / "defaults" / "main.yml").read_text()
    known = set(re.findall(r"^(labctl_\w+):", defaults, re.MULTILINE))
    named = {name for cause in CAUSES for name in re.findall(r"labctl_\w+", cause.remedy)}
    assert named
    assert named <= known
