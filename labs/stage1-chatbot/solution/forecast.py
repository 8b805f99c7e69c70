"""Tries how long a name is remembered, and writes answers.yaml. Only the solution has it."""

import os
from pathlib import Path

import httpx
import yaml


def knows(n: int) -> bool:
    """Whether the name is still known after `n` exchanges about nothing."""
    with httpx.Client(base_url=os.environ["LABCTL_URL_APP"], timeout=300) as client:

        def say(text: str) -> str:
            answer = client.post("/chat", json={"conversation": f"forecast {n}", "message": text})
            return str(answer.raise_for_status().json()["reply"])

        say("My name is Ada.")
        for _ in range(n):
            say("How are you?")
        return "Ada" in say("What is my name?")


known = 0
while known < 30 and knows(known + 1):
    known += 1
Path("answers.yaml").write_text(yaml.safe_dump({"window": {"still_known": known}}))
