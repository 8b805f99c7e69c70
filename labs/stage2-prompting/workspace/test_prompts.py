"""Step 5: the tests that a new version of the route prompt must pass before it goes live.

labctl exec stage2-prompting -- python -m unittest test_prompts

They judge the version that prompts/registry.yaml says is live, whatever its name, by what it does: other people's prompts
are tested with this file too, good ones (in other words, with other examples) and bad ones.
"""

from __future__ import annotations

import unittest


class RouteTest(unittest.TestCase):
    def test_something(self) -> None:
        # Yours: at least one test. Every desk should be found often enough, not only all desks together.
        self.skipTest("step 5: no tests yet")


if __name__ == "__main__":
    unittest.main()
