"""What services see of the user's environment."""

from __future__ import annotations

from labctl.runtimes.local.environment import of_host


def test_nothing_but_what_is_named_is_taken_over() -> None:
    seen = of_host({"HOME": "/home/ada", "AWS_SECRET_ACCESS_KEY": "secret", "LC_ALL": "C", "PATH": "/evil"})
    assert seen["HOME"] == "/home/ada"
    assert seen["LC_ALL"] == "C"
    assert "AWS_SECRET_ACCESS_KEY" not in seen
    assert "/evil" not in seen["PATH"]


def test_a_proxy_is_not_asked_for_the_loopback_interface() -> None:
    seen = of_host({"https_proxy": "http://proxy:3128", "NO_PROXY": "intranet"})
    assert seen["no_proxy"] == seen["NO_PROXY"] == "intranet,127.0.0.1,localhost"
    assert "no_proxy" not in of_host({"HOME": "/"})
