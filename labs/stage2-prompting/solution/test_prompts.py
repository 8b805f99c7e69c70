"""Step 5: the tests that a new version of the route prompt must pass before it goes live.

labctl exec stage2-prompting -- python -m unittest test_prompts
"""

from __future__ import annotations

import unittest
from collections import defaultdict

from examples import same
from prompting import ask_all, load, read_rows

WANTED, WANTED_OF_EACH = 0.75, 0.5


class RouteTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        cls.prompt, cls.test = load("route"), read_rows("data/test.jsonl")
        cls.desks = sorted({row["desk"] for row in cls.test})

    def test_the_message_and_the_desks_are_sent(self) -> None:
        sent = self.prompt.messages(message="where is order 4711", desks=self.desks)[-1]["content"]
        self.assertIn("where is order 4711", sent)
        for desk in self.desks:
            self.assertIn(desk, sent)

    def test_no_test_message_is_an_example(self) -> None:
        for example in self.prompt.examples:
            self.assertFalse([row["id"] for row in self.test if same(row["message"], example["message"])])

    def test_every_desk_is_found(self) -> None:
        replies = ask_all(self.prompt, [{**row, "desks": self.desks} for row in self.test])
        hits = defaultdict(list)
        for reply, row in zip(replies, self.test, strict=True):
            hits[row["desk"]].append(reply.text == row["desk"])
        for desk, found in hits.items():
            self.assertGreaterEqual(sum(found) / len(found), WANTED_OF_EACH, f"messages for {desk}")
        self.assertGreaterEqual(sum(map(sum, hits.values())) / len(self.test), WANTED)


if __name__ == "__main__":
    unittest.main()
