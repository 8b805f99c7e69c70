"""One report with all four outcomes, and with text that tries to get out of every format."""

from __future__ import annotations

import pytest

from labctl.outcomes import CheckResult, CriterionResult, Outcome, Report


@pytest.fixture
def report() -> Report:
    return Report(
        lab="stage2-finetune",
        session="stage2-finetune--ada",
        learner="ada",
        runtime="local",
        profile="cpu",
        trust="self",
        started_at="2026-11-21T20:41:07+00:00",
        duration_s=42.4,
        criteria=(_passed(), _failed(), _unseen(), _skipped()),
        evidence={
            "lab_digest": "sha256:0f9c",
            "gpu": None,
            "note": "</script><script>alert(1)</script>\x1b[2J",
            "versions": {"vllm": "0.32.0"},
        },
    )


def _passed() -> CriterionResult:
    message = "out/adapter holds a LoRA adapter of rank 16; 2.1% of the weights are trainable"
    return CriterionResult(
        id="adapter-saved",
        source="2.2a",
        text="A LoRA adapter for the base model is saved in out/adapter",
        points=20,
        earned=20,
        outcome=Outcome.PASS,
        hint="TRL's SFTTrainer writes the adapter where output_dir points; see step 3.",
        checks=(CheckResult(kind="adapter", outcome=Outcome.PASS, message=message, duration_s=0.31),),
    )


def _failed() -> CriterionResult:
    answer = CheckResult(
        kind="chat",
        outcome=Outcome.FAIL,
        message="The answer to 'What is the capital of France?' is \x1b[31m[bold]巴黎是法国的首都[/bold]\x1b[0m\n<script>alert('答案')</script>",
        expected={"contains": "Paris", "model": "tuned"},
        actual="[red]巴黎是法国的首都[/red] \x1b]0;owned\x07\x9b2J & <b>more</b> \u202etxt.exe" + " la" * 200,
        duration_s=1.25,
        attempts=3,
    )
    shape = CheckResult(
        kind="json", outcome=Outcome.FAIL, message="loss.final is NaN; wanted < 1", expected={"lt": 1.0}, actual=float("nan")
    )  # fmt: skip
    listed = CheckResult(kind="http", outcome=Outcome.PASS, message="GET /v1/models answered 200", duration_s=0.02)
    return CriterionResult(
        id="behaviour-changed",
        source="2.2a",
        text="The tuned model answers in the trained style <script>alert(1)</script> [bold]not bold[/bold]",
        points=30,
        earned=0,
        outcome=Outcome.FAIL,
        hint="Compare the answers with the adapter on and off; see [step 4](README.md).",
        checks=(listed, answer, shape),
    )


def _unseen() -> CriterionResult:
    message = "service vllm did not accept a connection at 127.0.0.1:8000 within 30s"
    return CriterionResult(
        id="served-through-an-openai-compatible-endpoint",
        source="2.2d",
        text="The tuned model is served through an OpenAI-compatible API",
        points=40,
        earned=0,
        outcome=Outcome.ERROR,
        hint="Look at `labctl logs stage2-finetune vllm`.",
        checks=(CheckResult(kind="http", outcome=Outcome.ERROR, message=message, duration_s=30.0),),
    )


def _skipped() -> CriterionResult:
    return CriterionResult(
        id="compared",
        source="2.2c",
        text="Full fine-tuning and LoRA are compared by memory and loss",
        points=10,
        earned=0,
        outcome=Outcome.SKIP,
        hint="Run both, and write the figures into answers.yaml.",
    )
