"""Conversations made up by a small grammar, in which later answers depend on what was said before: a name, a town, a colour.

There are 180 names and 96 towns, each as likely as any other, so the model has to look them up in the conversation.
"""

from __future__ import annotations

import random

Message = dict[str, str]


def _words(text: str) -> list[str]:
    return text.split()


COLOURS = ["green", "blue", "red", "yellow", "grey", "white", "black", "silver", "orange", "pink", "purple", "brown"]
NAME_STARTS, NAME_ENDS = "Ba Do Fe Ga Ha Je Ko Lu Mi Na Pe Ro Sa Ti Va Zo", "den mar vik sund ger pol bert wig zig fan"
TOWN_STARTS, TOWN_ENDS = "Ald Ber Cam Dun Els Fre Gra Hol Kar Mor Nor Wes", "burg stad ville ford wick haven heim brook"
NAMES = _words(
    "Ada Bruno Clara David Emma Frank Greta Hugo Julia Jonas Karen Leo Martin Olga Peter Rosa Simon Tara Victor Yusuf"
)
OWN_NAMES = _words("Juno Pixel Robin Atlas Echo Nova Felix Iris Orion Luna Max Sunny")
MADE_UP = [start + end for start in _words(NAME_STARTS) for end in _words(NAME_ENDS)]
TOWNS = [start + end for start in _words(TOWN_STARTS) for end in _words(TOWN_ENDS)]

FACTS = {"name": [*NAMES, *MADE_UP], "town": TOWNS, "colour": COLOURS}
TELL = {
    "name": ["My name is {}.", "I am {}.", "Call me {}.", "Hello, I am {}.", "Hi, my name is {}."],
    "town": ["I live in {}.", "My home is in {}.", "I live in {} now."],
    "colour": ["My favourite colour is {}.", "I like {} best.", "The colour I love is {}."],
}
CORRECT = {
    "name": ["Sorry, my name is {}.", "No, I am {}.", "Actually, call me {}."],
    "town": ["Actually, I live in {}.", "No, I live in {}."],
    "colour": ["No, my favourite colour is {}.", "Actually, I like {} best."],
}
REPLY = {"name": "Hello {}.", "town": "I would like to see {}.", "colour": "A nice colour, {}."}
ASK = {
    "name": ["What is my name?", "Do you know my name?", "Who am I?"],
    "town": ["Where do I live?", "Which town do I live in?"],
    "colour": ["What is my favourite colour?", "Which colour do I like?"],
}
KNOWN = {"name": "Your name is {}.", "town": "You live in {}.", "colour": "Your favourite colour is {}."}
UNKNOWN = {
    "name": "You have not told me your name.",
    "town": "You have not told me where you live.",
    "colour": "You have not told me your favourite colour.",
}
SMALL_TALK = {
    "How are you?": "I am fine, thank you.",
    "Tell me a joke.": "Why do bees hum? They forgot the words.",
    "Thank you.": "You are welcome.",
    "Good morning.": "Good morning to you.",
    "It is raining.": "Then let us stay inside.",
    "What can you do?": "I remember what you tell me.",
    "I am tired.": "Then have a rest.",
    "Goodbye.": "See you soon.",
    "I like music.": "So do I.",
    "What day is it?": "I have no calendar.",
}
WHO = ["Who are you?", "What is your name?", "What are you called?"]
PUZZLED = "I do not understand that."


def dialogue(rng: random.Random, exchanges: int) -> list[Message]:
    """A system message and `exchanges` questions with their answers."""
    own, known = rng.choice(OWN_NAMES), {}
    messages = [{"role": "system", "content": f"You are {own}, a friendly companion."}]
    for _ in range(exchanges):
        said, answer = _exchange(rng, own, known)
        messages += [{"role": "user", "content": said}, {"role": "assistant", "content": answer}]
    return messages


def told_apart(rng: random.Random) -> list[Message]:
    """A conversation in which a name is asked for after a town was told, and perhaps after the name was corrected."""
    own, person, place = rng.choice(OWN_NAMES), rng.choice(MADE_UP), rng.choice(TOWNS)
    said = [(f"My name is {person}.", f"Hello {person}."), ("How are you?", SMALL_TALK["How are you?"])]
    said += [(f"I live in {place}.", f"I would like to see {place}."), ("It is raining.", SMALL_TALK["It is raining."])]
    if rng.random() < 0.5:
        person = rng.choice(MADE_UP)
        said += [(f"Sorry, my name is {person}.", f"Hello {person}.")]
    said += [("What is my name?", f"Your name is {person}.")]
    messages = [{"role": "system", "content": f"You are {own}, a friendly companion."}]
    for text, answer in said:
        messages += [{"role": "user", "content": text}, {"role": "assistant", "content": answer}]
    return messages


def _exchange(rng: random.Random, own: str, known: dict[str, str]) -> tuple[str, str]:
    """What is said and answered next; `known` is brought up to date."""
    chance, fact = rng.random(), rng.choice(list(TELL))
    if chance < (0.3 if known else 0.6):
        said = rng.choice(CORRECT[fact] if fact in known else TELL[fact])
        known[fact] = rng.choice(FACTS[fact])
        return said.format(known[fact]), REPLY[fact].format(known[fact])
    if chance < 0.7:
        if known and rng.random() < 0.7:  # what was told is worth more questions than what was not
            fact = rng.choice(list(known))
        answer = KNOWN[fact].format(known[fact]) if fact in known else UNKNOWN[fact]
        return rng.choice(ASK[fact]), answer
    if chance < 0.78:
        return rng.choice(WHO), f"I am {own}."
    if chance < 0.95:
        return rng.choice(list(SMALL_TALK.items()))
    return " ".join(rng.choice(MADE_UP).lower() for _ in range(rng.randint(1, 6))), PUZZLED
