"""Who looks at the board."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Viewer:
    """`name` is the Hub's user. An `instructor` sees and does everything; `learner_id` is whom of the cohort's list the
    user is, None for somebody who is not on it."""

    name: str
    instructor: bool = False
    learner_id: str | None = None

    def may_see(self, learner: str) -> bool:
        """Whether what belongs to the learner with this id is theirs to see."""
        return self.instructor or (self.learner_id is not None and self.learner_id == learner)
