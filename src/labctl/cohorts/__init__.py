"""Many learners at once: who they are, what their class is to get, and how many of them fit."""
