"""Step 3: load out/adapter into the running vLLM under the name `triage`, and ask both models the same question.

labctl exec stage2-finetune -- python deploy.py
"""

from __future__ import annotations

import os
from pathlib import Path

import httpx

VLLM = os.environ["LABCTL_URL_VLLM"]
ADAPTER = Path("out/adapter").absolute()
QUESTION = "Triage the ticket: I was charged twice for the camera"


def deploy(client: httpx.Client) -> None:
    """Serve the adapter beside the base model; one that is served already gives way, so this may be run again."""
    # Yours: vLLM's docs, "Dynamically serving LoRA adapters". Say what vLLM answered when it refuses.
    raise NotImplementedError("step 3: deploy in deploy.py is yours to write")


def ask(client: httpx.Client, model: str, question: str) -> str:
    """The model's answer."""
    # Yours: POST /v1/chat/completions at temperature 0. The adapter's name is the model's name.
    raise NotImplementedError("step 3: ask in deploy.py is yours to write")


def main() -> None:
    with httpx.Client(base_url=VLLM, timeout=120) as client:
        deploy(client)
        served = [model["id"] for model in client.get("/v1/models").raise_for_status().json()["data"]]
        print(f"vLLM serves {', '.join(served)}; asked {QUESTION!r}:")
        for model in served:
            print(f"  {model}: {ask(client, model, QUESTION)}")


if __name__ == "__main__":
    main()
