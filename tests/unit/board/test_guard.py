"""What bounds requests and keeps forms and links our own."""

from __future__ import annotations

from html.parser import HTMLParser

from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st

from labctl.hub.board.guard import MAX_BODY_BYTES, Pace, form_token, inside
from labctl.hub.board.instructions import html
from labctl.hub.board.signed import opened, sign


def test_who_asks_too_often_waits_and_others_do_not() -> None:
    now = [0.0]
    pace = Pace(3, 60.0, lambda: now[0])
    assert [pace.wait_s("ada") for _ in range(4)] == [0, 0, 0, 20]
    assert pace.wait_s("bob") == 0
    now[0] = 20.0
    assert [pace.wait_s("ada"), pace.wait_s("ada")] == [0, 20]


def test_a_body_that_is_too_large_is_refused(client: TestClient) -> None:
    client.cookies.set("who", "teacher")
    answer = client.post("/services/board/class/message", data={"text": "x" * MAX_BODY_BYTES})
    assert answer.status_code == 413


@given(st.text(max_size=40), st.integers(0, 10_000), st.characters())
def test_a_changed_character_is_not_opened(who: str, place: int, other: str) -> None:
    text = sign(b"key", "seat", {"who": who}, until=100.0)
    assert opened(b"key", "seat", text, 99.0) == {"who": who}
    place %= len(text)
    changed = text[:place] + other + text[place + 1 :]
    assert changed == text or opened(b"key", "seat", changed, 99.0) is None
    assert opened(b"key", "other", text, 99.0) is None


@given(st.text(max_size=60))
def test_nobody_is_led_elsewhere(back: str) -> None:
    for tried in (back, f"/services/board/{back}", f"//{back}", f"https://{back}"):
        found = inside("/services/board/", tried)
        assert found.startswith("/services/board/")
        assert "\\" not in found
        assert "\n" not in found


def test_everybodys_forms_have_a_token_of_their_own() -> None:
    assert form_token(b"key", "ada") != form_token(b"key", "bob")
    assert form_token(b"key", "ada") != form_token(b"yek", "ada")


class Tags(HTMLParser):
    """Which tags and attributes are in a text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: list[tuple[str, str | None]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes += attrs


MADE = set("p em strong code pre ul ol li blockquote hr br a h2 h3 h4 h5 h6 s table thead tbody tr th td".split())  # noqa: SIM905
PIECES = st.sampled_from(
    [
        "<script>",
        "<img src=x onerror=y>",
        "javascript:",
        "data:text/html,",
        "[a](",
        "![b](",
        ")",
        "<",
        ">",
        '"',
        "`",
        "\n",
        *("# ", "| a |\n|--:|\n", "http://x", "&lt;", "*", "style=", "<!--", "<svg/onload=z>", "\t", "a"),
    ]
)


@given(st.lists(PIECES, max_size=30).map("".join))
def test_instructions_hold_nothing_that_runs_or_loads(text: str) -> None:
    found = Tags(html(text))
    assert found.tags <= MADE
    for name, value in found.attributes:
        assert name in {"href", "rel", "target", "class", "start", "title"}
        assert name != "href" or not (value or "").lower().startswith(("javascript:", "data:", "vbscript:"))
