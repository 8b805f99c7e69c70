"""The local runtime against real supervisord, real processes and real ports."""
