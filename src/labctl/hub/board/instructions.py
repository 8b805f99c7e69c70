"""A lab's instructions as HTML. The text is the lab author's: it may format, and neither run nor load anything."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from markdown_it import MarkdownIt
from markdown_it.token import Token
from markupsafe import Markup

from labctl.labs.lab import Lab


@dataclass(frozen=True, slots=True)
class Instructions:
    """A text, and the language that it is in."""

    html: Markup
    language: str


def instructions(lab: Lab, language: str) -> Instructions | None:
    """The README of the lab in the reader's language where there is one, else in English; None for a lab without any."""
    for code, name in ((language, f"README.{language}.md"), ("en", "README.md")):
        path = lab.path / name
        if path.is_file():
            return Instructions(html(path.read_text(encoding="utf-8", errors="replace")), code)
    return None


def html(text: str) -> Markup:
    r"""Markdown as HTML: tags in it are shown as text, links lead out with no trace, pictures are their words. A title in
    the first line is left out: the page has it.

    >>> html("# A title\n\n## A & <script>b</script>").strip()
    Markup('<h3>A &amp; &lt;script&gt;b&lt;/script&gt;</h3>')
    >>> html("[x](javascript:alert(1))").strip()
    Markup('<p>[x](javascript:alert(1))</p>')
    """
    tokens = _parser().parse(text)
    if tokens and tokens[0].tag == "h1":
        del tokens[:3]
    for token in tokens:
        _lower(token)
        for child in token.children or ():
            _tame(child)
    return Markup(_parser().renderer.render(tokens, _parser().options, {}))  # noqa: S704 the parser escapes all text


def _lower(token: Token) -> None:
    """The page has a heading of the first rank already."""
    if token.type in ("heading_open", "heading_close"):
        token.tag = f"h{min(6, int(token.tag[1]) + 1)}"
    if "style" in token.attrs:  # how a table's column is aligned; the page's policy lets no element have a style
        token.attrs["class"] = str(token.attrs.pop("style")).removeprefix("text-align:")


def _tame(token: Token) -> None:
    if token.type == "link_open":
        token.attrSet("rel", "noopener noreferrer")
        token.attrSet("target", "_blank")
    elif token.type == "image":
        token.type, token.tag, token.content = "text", "", f"[{token.content}]"


@cache
def _parser() -> MarkdownIt:
    return MarkdownIt("commonmark", {"html": False, "linkify": False}).enable(["table", "strikethrough"])
