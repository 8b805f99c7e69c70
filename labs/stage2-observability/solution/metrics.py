"""The metrics of the gateway. Each is defined once, here; gateway.py moves them."""

from __future__ import annotations

from prometheus_client import Counter, Histogram

# From one token of a small model to an answer that nobody waits for any more; each bound about 1.6 times the last.
BUCKETS = (0.01, 0.02, 0.035, 0.06, 0.1, 0.16, 0.25, 0.4, 0.65, 1, 1.6, 2.5, 4, 6.5, 10, 16, 25, 40, 60)

REQUESTS = Counter("llm_requests", "Requests to /ask by how they ended", ["status"])
TOKENS = Counter("llm_tokens", "Tokens as vLLM counted them", ["type"])
REQUEST_SECONDS = Histogram("llm_request_seconds", "From a request's arrival to its last token", buckets=BUCKETS)
FIRST_TOKEN_SECONDS = Histogram(
    "llm_time_to_first_token_seconds", "From a request's arrival to the first piece of text", buckets=BUCKETS
)
for status in ("ok", "error"):
    REQUESTS.labels(status)  # 0 from the start: a series that is born with its first error has no rate then
for kind in ("input", "output"):
    TOKENS.labels(kind)
