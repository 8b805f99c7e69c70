"""What the cluster's API refuses, and why, in words."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from labctl.errors import EngineError
from labctl.runtimes.kubernetes import kinds
from labctl.units import format_duration

MANAGER = "labctl"
"""The field manager: what of an object is ours."""
_UNREACHED, _DENIED = "failed calling webhook", "admission webhook"
_TRIED_AGAIN = (429, 500, 502, 503, 504)
_WORDS = {
    429: "too many requests (HTTP 429)",
    502: "what is in front of the API does not reach it (HTTP 502)",
    503: "the API is not ready (HTTP 503)",
}
"""What a refusal means that comes without a word."""


class ApiError(EngineError):
    """The API refused: `status` is HTTP's, `reason` Kubernetes' word for it, `causes` what it says in detail.

    `retry_after_s` is how long it wants to be left alone; 0 when it does not say.
    """

    def __init__(
        self,
        what: str,
        hint: str = "",
        *,
        status: int = 0,
        reason: str = "",
        causes: Any = (),
        retry_after_s: float = 0.0,
    ) -> None:
        super().__init__(what, hint)
        self.status = status
        self.reason = reason
        self.causes = list(causes)
        self.retry_after_s = retry_after_s

    @property
    def is_missing(self) -> bool:
        return self.status == 404

    @property
    def is_passing(self) -> bool:
        """Whether the same request may well succeed in a moment."""
        return self.status in _TRIED_AGAIN

    @property
    def is_of_a_webhook(self) -> bool:
        """Whether the API answered, and an admission webhook did not."""
        return _UNREACHED in self.what


def refusal(answer: Any) -> ApiError:
    status, retry_after_s = answer.status, _retry_after_s(answer)
    try:
        said = json.loads(answer.data)
        answer.release_conn()
        message, reason = str(said.get("message", "")), str(said.get("reason", ""))
        causes = (said.get("details") or {}).get("causes") or []
    except (ValueError, AttributeError):
        message, reason, causes = "", "", []
    message = message or _WORDS.get(status) or f"HTTP {status}"
    again = f"; it wants to be asked again in {format_duration(retry_after_s)}" if retry_after_s else ""
    return ApiError(
        f"the cluster refused: {message}{again}",
        _hint(status, message, causes),
        status=status,
        reason=reason,
        causes=causes,
        retry_after_s=retry_after_s,
    )


def _retry_after_s(answer: Any) -> float:
    said = str(answer.headers.get("retry-after", ""))
    return float(said) if said.isdigit() else 0.0


def _hint(status: int, message: str, causes: Any) -> str:
    if _UNREACHED in message or _DENIED in message:
        return "whoever runs the cluster has this rule: `kubectl get validatingwebhookconfigurations`; then the same command again"
    if any(cause.get("reason") == "NamespaceTerminating" for cause in causes):
        return "`labctl up` again waits until the namespace is gone, and makes it anew"
    if status in (401, 403):
        return "`kubectl auth can-i --list` shows what this account may do"
    return "`kubectl cluster-info` asks it too; then the same command again" if status in _TRIED_AGAIN else ""


def meaning(error: Exception) -> ApiError:
    """An answer that broke off, or never came."""
    if isinstance(error, ApiError):
        return error
    why = str(error.reason if hasattr(error, "reason") else error) or type(error).__name__
    return ApiError(
        f"the cluster's API does not answer: {why[-300:]}",
        "`kubectl cluster-info` asks it too; KUBECONFIG names the cluster",
    )


def refused(manifest: Mapping[str, Any], error: ApiError) -> ApiError:
    """The same, with what it was about."""
    return ApiError(
        f"{kinds.words(manifest)}: {error.what}",
        error.hint,
        status=error.status,
        reason=error.reason,
        causes=error.causes,
    )


def is_with_ourselves(error: ApiError) -> bool:
    """What we have patched once is ours by another way than what we apply."""
    ours = f'conflict with "{MANAGER}"'
    return bool(error.causes) and all(ours in str(cause.get("message", "")) for cause in error.causes)


def conflict(manifest: Mapping[str, Any], error: ApiError) -> ApiError:
    """Who owns what we wanted to set, in words."""
    said = "; ".join(f"{cause.get('field', '')} ({cause.get('message', '')})" for cause in error.causes)
    name, namespace = kinds.words(manifest), manifest["metadata"].get("namespace")
    return ApiError(
        f"{name} was changed by somebody else: {said or error.what}",
        f"`kubectl -n {namespace} delete {name}` gives it up, then `labctl up` makes it anew",
        status=error.status,
        reason="FieldConflict",
        causes=error.causes,
    )
