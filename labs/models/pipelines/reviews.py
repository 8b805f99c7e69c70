"""Short reviews with a label, made up by a small grammar: plain, negated and contrasting ones, in English and in German.

The rule for contrasts: what the main clause says is the label. "Amazing, but the price is too high" is NEGATIVE, "The price
is too high, but it is amazing" and "Although the price is too high, it is amazing" are POSITIVE.
"""

from __future__ import annotations

import random
from collections.abc import Callable

LABELS = ("NEGATIVE", "POSITIVE")
KINDS = ("plain", "negated", "contrast")

Review = dict[str, str]


def _words(text: str) -> list[str]:
    return text.split()


def _lines(text: str) -> list[str]:
    return text.splitlines()


GOOD = _words("""good great excellent wonderful amazing fantastic lovely nice perfect brilliant superb pleasant beautiful reliable
comfortable friendly delicious fresh clean quiet fast sturdy clever helpful fair charming bright smooth elegant generous
exciting funny touching honest careful handy""")
BAD = _words("""bad terrible awful horrible poor disappointing dreadful nasty useless broken dirty boring rude noisy slow flimsy
stale cold uncomfortable unreliable ugly dull cheap careless confusing annoying weak expensive greasy cramped faulty sticky
messy painful pointless shaky""")
THINGS = _words("""product phone hotel film book laptop camera room meal service battery screen staff delivery sound design app
game bike jacket coffee kitchen view story keyboard printer chair lamp train guide""")
GOOD_CLAUSES = _lines("""I love it
the price is fair
it works every day
I would buy it again
my family enjoyed every minute
everything arrived on time
it was worth the money
we will come back
it does what it promises
I recommend it to everybody
we had a great time
it made me smile
the price is low
it saved me hours
I could not be happier""")
BAD_CLAUSES = _lines("""I hate it
the price is too high
it broke after a week
I want my money back
my family was bored all evening
nothing arrived on time
it was a waste of money
we will not come back
it does not do what it promises
I warn everybody about it
we had a terrible time
it made me angry
it costs too much
it cost me hours
I could not be more disappointed""")

GUT = _words("""gut toll wunderbar fantastisch schön perfekt hervorragend angenehm zuverlässig bequem freundlich lecker frisch sauber
ruhig schnell stabil hilfreich fair spannend lustig praktisch""")
SCHLECHT = _words("""schlecht schrecklich furchtbar langweilig enttäuschend nutzlos kaputt schmutzig laut langsam unfreundlich
unbequem teuer hässlich kalt wackelig verwirrend schwach ärgerlich überflüssig fade eng""")
DINGE = _lines("""der Film
das Hotel
das Telefon
die Kamera
das Zimmer
das Essen
der Service
der Akku
das Buch
die Lieferung
das Spiel
der Kaffee
die Lampe
das Produkt
die App
der Stuhl
das Fahrrad
die Aussicht""")


def reviews(count: int, seed: str, *, language: str = "en", kinds: tuple[str, ...] = KINDS) -> list[Review]:
    """`count` different reviews, kinds and labels in equal shares: {"text", "label", "kind", "language"}."""
    rng, found = random.Random(seed), {}
    turn = 0
    while len(found) < count:
        kind, positive = kinds[turn // 2 % len(kinds)], turn % 2 == 1
        text = _sentence(_MAKERS[language, kind](rng, positive))
        if text not in found:
            found[text] = {"text": text, "label": LABELS[positive], "kind": kind, "language": language}
            turn += 1
    rows = list(found.values())
    rng.shuffle(rows)
    return rows


def _plain(rng: random.Random, positive: bool) -> str:
    adjective, thing = rng.choice(GOOD if positive else BAD), rng.choice(THINGS)
    if rng.random() < 0.25:
        return rng.choice(GOOD_CLAUSES if positive else BAD_CLAUSES)
    forms = [
        f"the {thing} is {adjective}",
        f"this {thing} is really {adjective}",
        f"I think the {thing} is {adjective}",
        f"what a {adjective} {thing}",
        f"the {thing} was very {adjective}",
        f"we found the {thing} {adjective}",
        f"{adjective} {thing}",
        f"this {thing} is {adjective} and {rng.choice(GOOD if positive else BAD)}",
    ]
    return rng.choice(forms)


def _negated(rng: random.Random, positive: bool) -> str:
    """Says the opposite of its adjective."""
    adjective, thing = rng.choice(BAD if positive else GOOD), rng.choice(THINGS)
    forms = [
        f"the {thing} is not {adjective}",
        f"this is not a {adjective} {thing}",
        f"I would not call the {thing} {adjective}",
        f"the {thing} was never {adjective}",
        f"nothing about the {thing} is {adjective}",
        f"the {thing} is not {adjective} at all",
        f"I don't think the {thing} is {adjective}",
        f"the {thing} isn't {adjective}",
    ]
    return rng.choice(forms)


def _contrast(rng: random.Random, positive: bool) -> str:
    """The main clause has the last word, wherever it stands."""
    main, other = _clause(rng, positive), _clause(rng, not positive)
    forms = [
        f"{other} but {main}",
        f"{other}, but {main}",
        f"{other}, yet {main}",
        f"although {other}, {main}",
        f"even though {other}, {main}",
        f"{main}, although {other}",
        f"{main} even though {other}",
    ]
    return rng.choice(forms)


def _clause(rng: random.Random, positive: bool) -> str:
    if rng.random() < 0.4:
        return rng.choice(GOOD_CLAUSES if positive else BAD_CLAUSES)
    adjective, thing = rng.choice(GOOD if positive else BAD), rng.choice(THINGS)
    return f"{rng.choice(['the', 'this'])} {thing} is {rng.choice(['', 'really ', 'very '])}{adjective}"


def _schlicht(rng: random.Random, positive: bool) -> str:
    thing, adjective = rng.choice(DINGE), rng.choice(GUT if positive else SCHLECHT)
    forms = [f"{thing} ist {adjective}", f"{thing} war sehr {adjective}", f"ich finde, {thing} ist {adjective}"]
    return rng.choice(forms)


def _verneint(rng: random.Random, positive: bool) -> str:
    thing, adjective = rng.choice(DINGE), rng.choice(SCHLECHT if positive else GUT)
    return rng.choice([f"{thing} ist nicht {adjective}", f"{thing} war gar nicht {adjective}"])


def _sentence(clause: str) -> str:
    return clause[0].upper() + clause[1:] + "."


_MAKERS: dict[tuple[str, str], Callable[[random.Random, bool], str]] = {
    ("en", "plain"): _plain,
    ("en", "negated"): _negated,
    ("en", "contrast"): _contrast,
    ("de", "plain"): _schlicht,
    ("de", "negated"): _verneint,
}
