"""Step 1: the metrics of the gateway. Each is defined once, here; gateway.py moves them.

| name | type | labels | what |
|---|---|---|---|
| llm_requests_total | counter | status: ok or error | requests to /ask that were tried, by how they ended |
| llm_tokens_total | counter | type: input or output | tokens, as vLLM counted them |
| llm_request_seconds | histogram | | from the request's arrival to the last token, answered requests only |
| llm_time_to_first_token_seconds | histogram | | from the request's arrival to the first piece of text |
"""

from __future__ import annotations

# from prometheus_client import Counter, Histogram

# TODO step 1: define the four. The library's default buckets are meant for web pages: what do you need to tell a first token
# after 20 ms from one after 60 ms, and an answer of 8 seconds from one of 12?
