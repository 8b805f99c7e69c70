"""Programs that the session's own Python runs for a check: sources for `labctl.checks.probe`, never imported by labctl."""
