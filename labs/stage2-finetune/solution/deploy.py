"""Load out/adapter into the running vLLM under the name `triage`, and ask both models the same question.

labctl exec stage2-finetune -- python deploy.py
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import httpx

VLLM = os.environ["LABCTL_URL_VLLM"]
ADAPTER = Path("out/adapter").absolute()
QUESTION = "Triage the ticket: I was charged twice for the camera"


def deploy(client: httpx.Client) -> None:
    """Serve the adapter beside the base model; one that is served already gives way, so this may be run again."""
    client.post("/v1/unload_lora_adapter", json={"lora_name": "triage"})
    answer = client.post("/v1/load_lora_adapter", json={"lora_name": "triage", "lora_path": str(ADAPTER)})
    if answer.is_error:
        sys.exit(f"vLLM refused the adapter ({answer.status_code}): {answer.text}")


def ask(client: httpx.Client, model: str, question: str) -> str:
    """The model's answer."""
    body = {"model": model, "messages": [{"role": "user", "content": question}], "temperature": 0, "max_tokens": 48}
    answer = client.post("/v1/chat/completions", json=body).raise_for_status()
    return str(answer.json()["choices"][0]["message"]["content"]).strip()


def main() -> None:
    with httpx.Client(base_url=VLLM, timeout=120) as client:
        deploy(client)
        served = [model["id"] for model in client.get("/v1/models").raise_for_status().json()["data"]]
        print(f"vLLM serves {', '.join(served)}; asked {QUESTION!r}:")
        for model in served:
            print(f"  {model}: {ask(client, model, QUESTION)}")


if __name__ == "__main__":
    main()
