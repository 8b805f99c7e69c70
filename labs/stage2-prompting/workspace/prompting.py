"""Prompts as files, and the model behind its endpoint. Given: read it once, everything of yours goes through it.

    prompts/registry.yaml          which version of each prompt is live
    prompts/<name>/<version>.yaml  one version: description, model, system, template (Jinja2), examples, max_tokens
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import yaml
from jinja2 import StrictUndefined
from jinja2.sandbox import SandboxedEnvironment

URL = os.environ["LABCTL_URL_LLM"]
PROMPTS = Path(__file__).parent / "prompts"
AT_ONCE = 8

Row = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """One version of a prompt. `examples` is for the template, which may show them or not."""

    description: str
    model: str
    template: str
    system: str = ""
    examples: list[Row] = field(default_factory=list)
    max_tokens: int = 64

    def messages(self, **values: Any) -> list[dict[str, str]]:
        """What is sent. Raises jinja2.UndefinedError for a name that the template uses and nobody gave."""
        template = SandboxedEnvironment(undefined=StrictUndefined).from_string(self.template)
        turns = [{"role": "system", "content": self.system}] if self.system else []
        return [*turns, {"role": "user", "content": template.render(examples=self.examples, **values).strip()}]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What the model said, and what it cost."""

    text: str
    prompt_tokens: int
    completion_tokens: int


def live(name: str) -> str:
    """The version of the prompt that is live, for example `v1`."""
    return str(yaml.safe_load((PROMPTS / "registry.yaml").read_text())[name])


def load(name: str, version: str | None = None) -> Prompt:
    """A version of a prompt; the live one when none is given."""
    return Prompt(**yaml.safe_load((PROMPTS / name / f"{version or live(name)}.yaml").read_text()))


def ask_all(prompt: Prompt, rows: Sequence[Mapping[str, Any]], temperature: float = 0) -> list[Reply]:
    """The model's reply for each row, whose fields are the template's values. Eight requests are under way at a time."""
    with httpx.Client(base_url=URL, timeout=300) as client, ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(lambda row: _ask(client, prompt, row, temperature), rows))


def read_rows(path: str) -> list[Row]:
    """The rows of a JSONL file."""
    return [json.loads(line) for line in Path(path).read_text().splitlines()]


def _ask(client: httpx.Client, prompt: Prompt, row: Mapping[str, Any], temperature: float) -> Reply:
    body = {
        "model": prompt.model,
        "messages": prompt.messages(**row),
        "temperature": temperature,
        "max_tokens": prompt.max_tokens,
    }
    answer = client.post("/v1/chat/completions", json=body).raise_for_status().json()
    used = answer["usage"]
    return Reply(
        text=answer["choices"][0]["message"]["content"].strip(),
        prompt_tokens=used["prompt_tokens"],
        completion_tokens=used["completion_tokens"],
    )
