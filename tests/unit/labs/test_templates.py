"""Templates of lab files: what they may say, and that nothing in one takes long, much memory, or an unforeseen exception."""

from __future__ import annotations

import time

import pytest

from labctl.labs.templates import MAX_RENDERED_CHARS, BadTemplate, render


@pytest.mark.parametrize(
    ("text", "rendered"),
    [
        ("plain $ {text}", "plain $ {text}"),
        ("{{ vars.n * 3 }}-{{ 2 ** 10 }}-{{ 7 % 4 }}", "21-1024-3"),
        ("{{ 'nice ' * 3 }}", "nice nice nice "),
        ("{{ 3 * 'ab' }}", "ababab"),
        ("{{ none or '' }}{{ 'a' if vars.n > 5 else 'b' }}", "a"),
        ("{{ port('http') }}{# a comment #}", "http!"),
        ("{{ vars.name | upper }}", "ADA"),
        ("{{ vars['name'] ~ 1 }}", "ada1"),
    ],
)
def test_expressions_over_what_labctl_hands_in_are_filled_in(text: str, rendered: str) -> None:
    context = {"vars": {"n": 7, "name": "ada"}, "port": lambda name: f"{name}!"}
    assert render(text, context) == rendered


@pytest.mark.parametrize(
    "text",
    [
        "{{ 9**(9**9) }}",
        "{{ 9**9**9**9 }}",
        "{{ 10**29 * 10**29 * 10**29 }}",
        "{{ 'x' * 10**9 }}",
        "{{ 10**9 * 'x' }}",
        "{{ ('x' * 99999) * 99999 }}",
        "{{ [1] * 10**9 }}",
        "{{ [[[1] * 99999] * 99999] }}",
        "{{ '%999999999d' % 1 }}",
        "{{ '%999999999d' | format(1) }}",
        "{{ '{:>999999999}'.format(1) }}",
        "{{ 'x'.ljust(10**9) }}",
        "{{ 'x' | center(10**9) }}",
        "{{ 'aa' | replace('a', 'aaaa') }}",
        "{{ 'x' * 99999 }}{{ 'x' * 99999 }}",
        "{% for a in 'x' * 99999 %}{% for b in 'x' * 99999 %}{% endfor %}{% endfor %}",
        "{% set x = 1 %}",
        "{{ vars.items() }}",
        "{{ vars.__class__ }}",
        "{{ self }}{{ self() }}",
        "{{ nothing.at.all }}",
        "{{ port() }}",
        "{{ port.__globals__ }}",
        "{{ " + "(" * 4000 + "1" + ")" * 4000 + " }}",
        "{{ " + "[" * 4000 + "]" * 4000 + " }}",
        "{{ " + "-" * 9000 + "1 }}",
        "{{ " + "not " * 2000 + "1 }}",
        "{{ 1" + " + 1" * 2000 + " }}",
        "{{ vars" + ".a" * 4000 + " }}",
        "{{ 1 if " * 1000 + "1",
        "{{ 'x' | int(1, 2, 3, 4) }}",
        "{{ 1 | upper(2) }}",
        "{{ 10 ** -10 ** 5 | float | nothing }}",
        "{{ }}",
    ],
    ids=lambda text: text[:40],
)
def test_a_template_that_asks_too_much_is_refused_at_once(text: str) -> None:
    started = time.monotonic()
    with pytest.raises(BadTemplate) as caught:
        render({"a": [text]}, {"vars": {"n": 7}, "port": lambda name: name})
    assert caught.value.loc == ("a", 0)
    assert len(caught.value.why) < 1000
    assert time.monotonic() - started < 30


def test_a_text_may_be_repeated_up_to_the_limit() -> None:
    assert len(render(f"{{{{ 'x' * {MAX_RENDERED_CHARS} }}}}", {})) == MAX_RENDERED_CHARS
