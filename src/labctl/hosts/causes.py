"""What to do about the failures that everybody meets. Pure; the words are those of Ansible, ssh, apt and dnf."""

from __future__ import annotations

import re
from typing import NamedTuple


class Cause(NamedTuple):
    """A pattern in a task's message, and what to do about it."""

    pattern: re.Pattern[str]
    remedy: str


def _cause(pattern: str, remedy: str) -> Cause:
    return Cause(re.compile(pattern, re.IGNORECASE), remedy)


CAUSES = (
    _cause(
        r"incorrect sudo password|sorry, try again",
        "the password for sudo is wrong: --become-password-file FILE names a file with the right one",
    ),
    _cause(
        r"missing sudo password|a password is required|premature end of stream waiting for become",
        "sudo asks for a password: --become-password-file FILE names a file with it",
    ),
    _cause(r"is not in the sudoers|not allowed to execute", "this user may not become root: --user names one who may"),
    _cause(
        r"host key verification failed",
        "ssh does not know the host yet: `ssh HOST` once, compare its key, and accept it",
    ),
    _cause(
        r"permission denied \(|no supported authentication|invalid/incorrect (username/)?password",
        "ssh lets nobody in: --user and --private-key say who you are; try `ssh USER@HOST`",
    ),
    _cause(r"could not resolve hostname|name or service not known", "no such name: mend ansible_host in the inventory"),
    _cause(
        r"connection refused|connection timed out|no route to host|operation timed out",
        "the host does not answer: is it on, does sshd run, does a firewall stand between?",
    ),
    _cause(r"container \S+ is not running|no such container|is not running", "the container has ended: start it again"),
    _cause(
        r"could not get lock|lock-frontend|is another process using it|waiting for cache lock|yum lockfile|failed to lock apt",
        "another program is installing packages, often unattended upgrades: wait until it has ended",
    ),
    _cause(r"dpkg was interrupted", "packages were cut off half way: `sudo dpkg --configure -a` on the host"),
    _cause(r"no space left|not enough (free )?space|disk full", "the disk is full: free some space there"),
    _cause(
        r"certificate.verify.failed|self.signed certificate|unable to get local issuer",
        "TLS goes through an authority that the host does not know: set labctl_ca_certificates",
    ),
    _cause(r"proxy.*(407|refused)|407 proxy", "the proxy refuses: mend labctl_http_proxy"),
    _cause(
        r"temporary failure (in name )?resolv|failed to fetch|could not connect to|cannot download repomd",
        "the host reaches no package mirror: check its network, or set labctl_http_proxy",
    ),
    _cause(
        r"no python interpreters? found|/usr/bin/python3?: (not found|no such)",
        "the host has no Python 3: install python3 there",
    ),
    _cause(
        r"attempting to decrypt but no vault|decryption failed",
        "a vault is locked: --vault-password-file FILE names a file with its password",
    ),
    _cause(
        r"failed to create temporary directory",
        "nothing can be run there: is it on, is its disk full, may this user log in?",
    ),
)
"""The first that fits is told; the more particular ones stand first."""


def remedy(message: str) -> str:
    """What to do about it, one sentence; empty where nobody can say from the message alone."""
    return next((cause.remedy for cause in CAUSES if cause.pattern.search(message)), "")
