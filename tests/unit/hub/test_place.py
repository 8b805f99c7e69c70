"""Whether a Hub stands apart from its proxy."""

from __future__ import annotations

import pytest

from labctl.errors import PreflightError
from labctl.hub.place import Place, place

APART = {
    "LABCTL_HUB_PROXY": "http://proxy-api:8001/",
    "LABCTL_HUB_ADDRESS": "10.1.2.3",
    "LABCTL_HUB_URL": "http://hub.labs.svc:8081",
    "CONFIGPROXY_AUTH_TOKEN": "secret",
}


@pytest.mark.parametrize("proxy", ["", "/usr/bin/configurable-http-proxy", "chp", "http:"])
def test_a_program_is_no_place(proxy: str) -> None:
    assert place({**APART, "LABCTL_HUB_PROXY": proxy}) is None


def test_an_address_is() -> None:
    assert place(APART) == Place(
        proxy_api="http://proxy-api:8001", address="10.1.2.3", sessions_url="http://hub.labs.svc:8081"
    )


@pytest.mark.parametrize("name", ["LABCTL_HUB_ADDRESS", "LABCTL_HUB_URL", "CONFIGPROXY_AUTH_TOKEN"])
def test_what_is_missing_is_named_and_no_secret_is_told(name: str) -> None:
    with pytest.raises(PreflightError) as raised:
        place({**APART, name: ""})
    assert name in raised.value.what
    assert "secret" not in raised.value.what


def test_an_address_that_is_none_is_refused() -> None:
    with pytest.raises(PreflightError, match="'hub:8081', which is no address"):
        place({**APART, "LABCTL_HUB_URL": "hub:8081"})
