"""One number for everything."""

from __future__ import annotations

import unittest

from prompting import ask_all, load, read_rows


class RouteTest(unittest.TestCase):
    def test_accuracy(self) -> None:
        test = read_rows("data/test.jsonl")
        desks = sorted({row["desk"] for row in test})
        replies = ask_all(load("route"), [{**row, "desks": desks} for row in test])
        correct = sum(reply.text == row["desk"] for reply, row in zip(replies, test, strict=True))
        self.assertGreaterEqual(correct / len(test), 0.3)


if __name__ == "__main__":
    unittest.main()
