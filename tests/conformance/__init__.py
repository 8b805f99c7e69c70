"""One suite of behaviours for every runtime. See engines.py for what a runtime brings to it."""
