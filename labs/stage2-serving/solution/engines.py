"""Step 5: ask vLLM and llama.cpp the same questions, and write both answers to out/engines.json.

labctl exec stage2-serving -- python engines.py
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import httpx

VLLM, LLAMA = os.environ["LABCTL_URL_VLLM"], os.environ["LABCTL_URL_LLAMA"]
OUT = Path("out")
TOWNS = (Path(__file__).parent / "data" / "towns.txt").read_text().split()
PROMPTS = [f"When was {town} founded?" for town in TOWNS[:10]] + [f"Tell me about {town}." for town in TOWNS[:2]]


def ask(url: str, prompt: str) -> str:
    """The greedy answer of the engine at `url`, at most 48 tokens; both speak the same API and call the model base."""
    body = {"model": "base", "messages": [{"role": "user", "content": prompt}], "temperature": 0, "max_tokens": 48}
    answer = httpx.post(f"{url}/v1/chat/completions", json=body, timeout=120).raise_for_status()
    return str(answer.json()["choices"][0]["message"]["content"]).strip()


def wait_for(url: str, seconds: float = 120) -> None:
    """Come back when the engine at `url` answers; llama.cpp takes a moment to load a file that was just written."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            httpx.get(f"{url}/v1/models", timeout=10).raise_for_status()
        except httpx.HTTPError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.5)
        else:
            return


def main() -> None:
    wait_for(LLAMA)
    found = [{"prompt": prompt, "vllm": ask(VLLM, prompt), "llama": ask(LLAMA, prompt)} for prompt in PROMPTS]
    for row in found:
        print("same  " if row["vllm"] == row["llama"] else "DIFFER", row)
    OUT.mkdir(exist_ok=True)
    (OUT / "engines.json").write_text(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
