"""Prints the learner's compressed contexts for questions of a manual nobody has seen. Runs in the session, with the models.

python -B contexts.py < {"seed": …, "questions": […], "budget": …}
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path.cwd()))
import compress
import corpus

given = json.load(sys.stdin)
sections = corpus.sections(given["seed"])
print(json.dumps([str(compress.compress(question, sections, given["budget"])) for question in given["questions"]]))
