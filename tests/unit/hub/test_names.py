"""Names of labs as names of the Hub's servers."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from jupyterhub.slugs import is_valid_safe_slug

from labctl.hub.names import lab_of, server_name

LABS = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?", fullmatch=True)


@given(LABS)
def test_the_hub_takes_every_labs_name(lab: str) -> None:
    assert is_valid_safe_slug(server_name(lab))


@given(st.lists(LABS, unique=True, max_size=8))
def test_a_name_leads_back_to_its_lab(labs: list[str]) -> None:
    assert [lab_of(server_name(lab), labs) for lab in labs] == labs


def test_a_name_of_no_lab_leads_nowhere() -> None:
    assert lab_of("small-lab", ["other-lab"]) is None
