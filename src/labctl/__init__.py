"""Hands-on labs for LLM engineering on GPU environments."""

__version__ = "0.1.0"
