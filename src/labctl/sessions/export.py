"""GPUs for Prometheus: DCGM exporter's names where the meaning is the same, and who holds what, which it does not know."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from labctl.errors import LabctlError, PreflightError, UsageError
from labctl.sessions import metrics
from labctl.sessions.context import Context
from labctl.sessions.inventory import View, observed
from labctl.store.records import Held

if TYPE_CHECKING:
    from wsgiref.simple_server import WSGIServer

    from labctl.runtimes.base import Runtime


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """What one look found, at `at` on the monotonic clock. `problem` says why it found nothing."""

    at: float
    view: View | None = None
    ledger: Sequence[Held] = ()
    problem: str | None = None


class Exporter(Collector):
    """Answers every scrape with the last snapshot: a driver that hangs cannot hang a scrape."""

    def __init__(self, hostname: str) -> None:
        self._hostname = hostname
        self._last: Snapshot | None = None

    def show(self, snapshot: Snapshot) -> None:
        """From now on this is answered."""
        self._last = snapshot

    def collect(self) -> Iterator[Metric]:
        last = self._last
        age_s = None if last is None else time.monotonic() - last.at
        yield from metrics.inventory(is_up=last is not None and last.problem is None, age_s=age_s)
        if last is not None and last.view is not None:
            yield from metrics.families(last.view, last.ledger, self._hostname)


def serve(
    ctx: Context,
    runtime: Runtime,
    listen: tuple[str, int],
    interval_s: float,
    *,
    announce: Callable[[str], None],
    tell: Callable[[str], None],
) -> NoReturn:
    """Serve until an exception ends it, as Ctrl-C's does; it looks every `interval_s` seconds.

    `announce` gets the URL, `tell` whatever keeps it from looking. Raises PreflightError when the port is taken, UsageError for a host that is none of this machine's.
    """
    exporter = Exporter(socket.gethostname())
    registry = CollectorRegistry(auto_describe=False)
    registry.register(exporter)
    server = _open(listen, registry)
    try:
        host = f"[{listen[0]}]" if ":" in listen[0] else listen[0]
        announce(f"http://{host}:{server.server_port}/metrics")
        told = None
        while True:
            began = time.monotonic()
            snapshot = _look(ctx, runtime)
            exporter.show(snapshot)
            if snapshot.problem not in (None, told):
                tell(str(snapshot.problem))
            told = snapshot.problem
            time.sleep(max(0.0, began + interval_s - time.monotonic()))
    finally:
        server.shutdown()
        server.server_close()


def _open(listen: tuple[str, int], registry: CollectorRegistry) -> WSGIServer:
    host, port = listen
    try:
        server, _ = start_http_server(port, host, registry)
    except socket.gaierror as error:
        raise UsageError(f"--listen: no host is named {host!r}", "for example --listen 127.0.0.1:9400") from error
    except OSError as error:
        raise PreflightError(
            f"{host}:{port} cannot be listened on: {error.strerror}",
            "choose another: --listen 127.0.0.1:9401; `ss -ltnp` shows who listens where",
        ) from error
    return server


def _look(ctx: Context, runtime: Runtime) -> Snapshot:
    try:
        view = observed(ctx, runtime.gpus())
        ledger = ctx.store.held(released=True)
    except LabctlError as error:
        return Snapshot(at=time.monotonic(), problem=error.what)
    return Snapshot(at=time.monotonic(), view=view, ledger=ledger, problem=view.inventory.problem)
