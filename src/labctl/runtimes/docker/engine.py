"""The engine of this host, connected when it is first asked."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from labctl.images.engine import EngineInfo, connect, engine_info, url_of

if TYPE_CHECKING:
    from docker import DockerClient

    from labctl.settings import Settings


class Engine:
    """`client` and `info` raise EngineError when no engine answers, PreflightError for one on another machine."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    @property
    def url(self) -> str:
        return url_of(self.settings)

    @cached_property
    def client(self) -> DockerClient:
        client = connect(self.settings)
        client.api.trust_env = False  # a fifth of a call's CPU time: no proxy is before a socket of this machine
        return client

    @cached_property
    def info(self) -> EngineInfo:
        return engine_info(self.client)
