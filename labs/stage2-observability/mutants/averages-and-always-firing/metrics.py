"""The metrics of the gateway. Each is defined once, here; gateway.py moves them."""

from __future__ import annotations

from prometheus_client import Counter, Histogram


BUCKETS = Histogram.DEFAULT_BUCKETS

REQUESTS = Counter("llm_requests", "Requests to /ask by how they ended", ["status"])
TOKENS = Counter("llm_tokens", "Tokens as vLLM counted them", ["type"])
REQUEST_SECONDS = Histogram("llm_request_seconds", "From a request's arrival to its last token")
FIRST_TOKEN_SECONDS = Histogram(
    "llm_time_to_first_token_seconds", "From a request's arrival to the first piece of text"
)
for status in ("ok", "error"):
    REQUESTS.labels(status)  # 0 from the start: a series that is born with its first error has no rate then
for kind in ("input", "output"):
    TOKENS.labels(kind)
