"""Locust changes sockets and threads of whatever process imports it: only its own does."""

collect_ignore = ["locustfile.py"]
