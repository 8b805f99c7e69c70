"""The docker runtime: a session as hardened containers on an engine of this host."""
