"""Grading: the criteria of a plan against a target, in the order their needs ask for."""

from __future__ import annotations

from labctl.grading.grader import grade

__all__ = ["grade"]
