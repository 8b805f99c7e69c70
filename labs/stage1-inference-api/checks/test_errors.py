"""Every error is JSON in one form, and none repeats what was sent."""

from __future__ import annotations

from typing import Any

import pytest

SECRET = "periwinkle"
CASES = {
    "an empty text": ("POST", "/analyze", {"text": ""}),
    "a text that is too long": ("POST", "/analyze", {"text": f"{SECRET} " * 300}),
    "a text that is a list": ("POST", "/analyze", {"text": [SECRET]}),
    "no text": ("POST", "/analyze", {"review": SECRET}),
    "a body that is no JSON": ("POST", "/analyze", f"text={SECRET}"),
    "a batch with an empty text": ("POST", "/analyze/batch", {"texts": [SECRET, ""]}),
    "the wrong method": ("GET", "/analyze", None),
    "an unknown path": ("POST", "/analyse", {"text": SECRET}),
}


@pytest.mark.parametrize("case", CASES)
def test_form(api: Any, case: str) -> None:
    method, path, body = CASES[case]
    response = api.send(method, path, body)
    kind = response.headers.get("content-type", "none")
    assert kind.startswith("application/json"), f"{case}: the content type is {kind}; wanted application/json"
    answer = api.json(response)
    error = answer.get("error") if isinstance(answer, dict) else None
    assert isinstance(error, dict), (
        f'{case}: the answer is {str(answer)[:200]}; wanted {{"error": {{"status", "message"}}}}'
    )
    status = response.status_code
    assert error.get("status") == status, (
        f"{case}: error.status is {error.get('status')!r}, the answer's status {status}"
    )
    message = error.get("message")
    assert isinstance(message, str), f"{case}: error.message is {message!r}; wanted a sentence"
    assert message.strip(), f"{case}: error.message is {message!r}; wanted a sentence"
    assert SECRET not in str(answer), f"{case}: the error repeats the text that was sent"
    assert "Traceback" not in str(answer), f"{case}: the error shows a traceback"
