"""The cluster's API: requests, watches, streams. What the `kubernetes` package knows of contexts and credentials, without its models.

Who is turned away for a moment (429, 5xx, a server that restarts) asks again with growing pauses; who never got through does not.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from typing import Any
from urllib.parse import urlencode

from labctl.errors import EngineError
from labctl.runtimes.kubernetes import kinds
from labctl.runtimes.kubernetes.configured import HINT, is_configured, is_inside
from labctl.runtimes.kubernetes.refusals import (
    MANAGER,
    ApiError,
    conflict,
    is_with_ourselves,
    meaning,
    refusal,
    refused,
)

PATIENCE_S = 45.0
"""So long a server that has answered before is waited for."""
_WEBHOOK_S = 10.0
"""So long an admission webhook that does not answer: it may be gone for good."""
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.2, 5.0
_CONNECT_S, _ANSWER_S = 5.0, 60.0
_POOL = 64


class Api:
    """One cluster, as the current context of KUBECONFIG or the pod's own account names it. Threads may share it.

    `sent` counts requests. Methods raise ApiError, an EngineError.
    """

    def __init__(self, kubeconfig: str | None) -> None:
        self.kubeconfig = kubeconfig
        self.sent = 0
        self._has_answered = False

    @cached_property
    def configuration(self) -> Any:
        if not is_configured(self.kubeconfig):
            raise EngineError(
                f"no Kubernetes cluster is configured: {self.kubeconfig or 'KUBECONFIG'} names none", HINT
            )
        import kubernetes.client
        import kubernetes.config
        from kubernetes.config.config_exception import ConfigException

        made = kubernetes.client.Configuration()
        try:
            if is_inside():
                kubernetes.config.load_incluster_config(made)
            else:
                kubernetes.config.load_kube_config(self.kubeconfig, client_configuration=made)
        except (ConfigException, OSError, ValueError, TypeError) as error:
            raise EngineError(
                f"no Kubernetes cluster is configured: {error}",
                HINT,
            ) from error
        made.connection_pool_maxsize = _POOL
        return made

    @cached_property
    def _pool(self) -> Any:
        import kubernetes.client

        return kubernetes.client.ApiClient(self.configuration).rest_client.pool_manager

    def get(self, path: str, **query: Any) -> Any:
        return self.request("GET", path, query=query)

    def items(self, kind: str, namespace: str | None = None, **query: Any) -> list[dict[str, Any]]:
        """All objects of a kind, in a namespace or everywhere; `labelSelector`, `fieldSelector` choose."""
        found: list[dict[str, Any]] = []
        answer = self.get(kinds.path(kind, namespace), limit=500, **query)
        while True:
            found += answer["items"] or []
            more = answer["metadata"].get("continue")
            if not more:
                return found
            answer = self.get(kinds.path(kind, namespace), limit=500, **{"continue": more}, **query)

    def find(self, kind: str, namespace: str | None, name: str) -> dict[str, Any] | None:
        """The object; None when there is none."""
        try:
            found: dict[str, Any] = self.get(kinds.path(kind, namespace, name))
        except ApiError as error:
            if error.is_missing:
                return None
            raise
        return found

    def create(self, manifest: Mapping[str, Any]) -> dict[str, Any]:
        """Make an object that is not there yet."""
        where = kinds.path(manifest["kind"], manifest["metadata"].get("namespace"), version=manifest["apiVersion"])
        made: dict[str, Any] = self.request("POST", where, body=manifest, query={"fieldManager": MANAGER})
        return made

    def apply(self, manifest: Mapping[str, Any], *, force: bool = False) -> dict[str, Any]:
        """Server-side apply: make the object, or the fields of it that are ours, as the manifest says."""
        query = {"fieldManager": MANAGER, "force": "true" if force else "false"}
        try:
            applied: dict[str, Any] = self.request(
                "PATCH",
                kinds.path_of(manifest),
                query=query,
                body=manifest,
                content_type="application/apply-patch+yaml",
            )
        except ApiError as error:
            if error.reason == "AlreadyExists":  # another labctl has made it at this moment: now there is what to patch
                return self.apply(manifest, force=force)
            if error.status == 409 and error.reason == "Conflict":
                if not force and is_with_ourselves(error):
                    return self.apply(manifest, force=True)
                raise conflict(manifest, error) from error
            raise refused(manifest, error) from error
        return applied

    def merge(self, path: str, patch: Mapping[str, Any]) -> dict[str, Any]:
        """A JSON merge patch: None deletes a field."""
        patched: dict[str, Any] = self.request(
            "PATCH", path, body=patch, query={"fieldManager": MANAGER}, content_type="application/merge-patch+json"
        )
        return patched

    def strategic(self, path: str, patch: Mapping[str, Any]) -> dict[str, Any]:
        """A strategic merge patch: lists of things with names are merged by name."""
        content = "application/strategic-merge-patch+json"
        patched: dict[str, Any] = self.request(
            "PATCH", path, body=patch, query={"fieldManager": MANAGER}, content_type=content
        )
        return patched

    def delete(self, path: str, *, grace_s: int | None = None, **query: Any) -> bool:
        """Delete an object and what belongs to it; whether it was there."""
        options = {"propagationPolicy": "Background", **({} if grace_s is None else {"gracePeriodSeconds": grace_s})}
        try:
            self.request("DELETE", path, body={"kind": "DeleteOptions", "apiVersion": "v1", **options}, query=query)
        except ApiError as error:
            if error.is_missing:
                return False
            raise
        return True

    def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, Any] | None = None,
        body: Any = None,
        content_type: str = "application/json",
    ) -> Any:
        """The decoded answer."""
        return self._patiently(lambda: self._once(method, path, query or {}, body, content_type))

    def lines(self, path: str, *, silent_s: float | None = None, **query: Any) -> Iterator[bytes]:
        """The lines of an answer that goes on, as it comes; the answer is given up when the iterator is closed.

        One that says nothing for `silent_s` is an ApiError; None: it may be silent for ever.
        """
        answer = self._patiently(lambda: self._answer("GET", path, query, None, "", read_s=silent_s))
        rest = b""
        try:
            for piece in answer.stream(65536, decode_content=True):
                *whole, rest = (rest + piece).split(b"\n")
                yield from whole
            if rest:
                yield rest
        except Exception as error:
            raise meaning(error) from error
        finally:
            answer.close()

    def text(self, path: str, **query: Any) -> bytes:
        """An answer that is no JSON, whole."""
        answer = self._patiently(lambda: self._answer("GET", path, query, None, ""))
        try:
            data: bytes = answer.data
        finally:
            answer.release_conn()
        return data

    def websocket_url(self, path: str, query: Any) -> str:
        """The address of a stream."""
        return f"{self.configuration.host}{path}?{urlencode(query, doseq=True)}"

    def authorization(self) -> dict[str, str]:
        """The header that says who asks; empty for those that come with a certificate."""
        found = self.configuration.auth_settings().get("BearerToken")
        return {"authorization": found["value"]} if found and found.get("value") else {}

    def _patiently(self, ask: Any) -> Any:
        begun, pause_s = time.monotonic(), _FIRST_PAUSE_S
        while True:
            try:
                answer = ask()
            except ApiError as error:
                is_passing = error.is_passing or (error.status == 0 and self._has_answered)
                wait_s = error.retry_after_s + pause_s * random.uniform(0.7, 1.3)  # noqa: S311 - so that not all come back at once
                longest_s = _WEBHOOK_S if error.is_of_a_webhook else PATIENCE_S
                if not is_passing or time.monotonic() + wait_s > begun + longest_s:
                    raise
                time.sleep(wait_s)
                pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
            else:
                self._has_answered = True
                return answer

    def _once(self, method: str, path: str, query: Mapping[str, Any], body: Any, content_type: str) -> Any:
        answer = self._answer(method, path, query, body, content_type)
        try:
            return json.loads(answer.data)
        except Exception as error:
            raise meaning(error) from error
        finally:
            answer.release_conn()

    def _answer(
        self,
        method: str,
        path: str,
        query: Mapping[str, Any],
        body: Any,
        content_type: str,
        *,
        read_s: float | None = _ANSWER_S,
    ) -> Any:
        import urllib3

        self.sent += 1
        headers = {"accept": "application/json, */*", **self.authorization()}
        if content_type:
            headers["content-type"] = content_type
        try:
            answer = self._pool.request(
                method,
                f"{self.configuration.host}{path}{'?' + urlencode(query, doseq=True) if query else ''}",
                body=None if body is None else json.dumps(body),
                headers=headers,
                timeout=urllib3.Timeout(connect=_CONNECT_S, read=read_s),
                preload_content=False,
                retries=False,
            )
        except Exception as error:
            raise meaning(error) from error
        if answer.status >= 400:
            raise refusal(answer)
        return answer


@contextmanager
def stream_errors() -> Iterator[None]:
    """What a websocket meets, as ApiError."""
    try:
        yield
    except EngineError:
        raise
    except Exception as error:
        raise meaning(error) from error
