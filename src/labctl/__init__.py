"""Hands-on labs for LLM engineering on GPU environments."""
