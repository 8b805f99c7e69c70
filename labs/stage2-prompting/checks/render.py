"""Asks the model with prompts that are data: renders each on each of its rows, and prints what came back, as JSON.

Runs in the session with `python -I`. Reads {"jobs": [{"prompt": a file or an object, "rows": [{…}]}]} from stdin. A learner's
template is run by Jinja2's sandbox; none of their code is.
"""

from __future__ import annotations

import json
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import yaml
from jinja2 import StrictUndefined, TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment

AT_ONCE = 8
MAX_TOKENS = 256


def main() -> None:
    jobs = json.load(sys.stdin)["jobs"]
    with httpx.Client(base_url=os.environ["LABCTL_URL_LLM"], timeout=300) as client:
        print(json.dumps([answer(client, job) for job in jobs]))


def answer(client: httpx.Client, job: dict[str, Any]) -> dict[str, Any]:
    """The prompt as it was read, what was sent for each row, and the replies (none when `dry`)."""
    try:
        prompt = read(job["prompt"])
        sent = [messages(prompt, row) for row in job["rows"]]
    except Unusable as why:
        return {"problem": str(why)}
    if job.get("dry"):
        return {"prompt": prompt, "sent": sent, "replies": []}
    with ThreadPoolExecutor(AT_ONCE) as pool:
        replies = list(pool.map(lambda turns: ask(client, turns, prompt), sent))
    return {"prompt": prompt, "sent": sent, "replies": replies}


class Unusable(Exception):
    """A prompt that cannot be sent, and why."""


def read(given: str | dict[str, Any]) -> dict[str, Any]:
    """The prompt with every field there."""
    if isinstance(given, str):
        try:
            loaded = yaml.safe_load(Path(given).read_text(encoding="utf-8"))
        except OSError:
            raise Unusable(f"there is no {given} yet") from None
        except (ValueError, yaml.YAMLError) as error:
            raise Unusable(f"{given} is no YAML: {' '.join(str(error).split())[:150]}") from None
    else:
        loaded = given
    if not isinstance(loaded, dict) or not isinstance(loaded.get("template"), str):
        raise Unusable(f"{given} has no template")
    if not isinstance(loaded.get("model"), str):
        raise Unusable(f"{given} does not say which model it is for")
    prompt = {"system": "", "examples": [], "max_tokens": 64, **loaded}
    tokens = prompt["max_tokens"]
    if not isinstance(prompt["examples"], list) or not isinstance(tokens, int) or not 0 < tokens <= MAX_TOKENS:
        raise Unusable(f"{given}: examples is to be a list, and max_tokens a number from 1 to {MAX_TOKENS}")
    return prompt


def messages(prompt: dict[str, Any], row: dict[str, Any]) -> list[dict[str, str]]:
    """The same that prompting.py of the workspace makes of it."""
    try:
        template = ImmutableSandboxedEnvironment(undefined=StrictUndefined).from_string(prompt["template"])
        text = template.render(examples=prompt["examples"], **row).strip()
    except TemplateError as error:
        raise Unusable(f"the template cannot be filled in: {error.message}") from None
    turns = [{"role": "system", "content": str(prompt["system"])}] if prompt["system"] else []
    return [*turns, {"role": "user", "content": text}]


def ask(client: httpx.Client, turns: list[dict[str, str]], prompt: dict[str, Any]) -> dict[str, Any]:
    body = {"model": prompt["model"], "messages": turns, "temperature": 0, "max_tokens": prompt["max_tokens"]}
    response = client.post("/v1/chat/completions", json=body)
    if response.status_code in (400, 404):
        return {"text": "", "prompt_tokens": 0, "completion_tokens": 0, "refused": response.text[:200]}
    answer = response.raise_for_status().json()
    used = answer["usage"]
    return {
        "text": answer["choices"][0]["message"]["content"].strip(),
        "prompt_tokens": used["prompt_tokens"],
        "completion_tokens": used["completion_tokens"],
    }


if __name__ == "__main__":
    main()
