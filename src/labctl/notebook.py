"""JupyterLab in a session, behind a portal that says who may come in. A runtime knows no portal, and starts what this says."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict, Field

PREFIX_VARIABLE = "JUPYTERHUB_SERVICE_PREFIX"
SOCKET = "hub.sock"


class Notebook(BaseModel):
    """`prefix` is the path under which the portal serves it; `environment` what its server is told, secrets only named.

    `secrets` are their values by name, which no plan holds. `mark` is another one when any of it is. `door` is a folder of
    this host with a socket, `hub.sock`, on which the portal listens too: for containers that reach nothing else.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    prefix: str
    environment: dict[str, str]
    secrets: dict[str, str] = Field(default={}, exclude=True, repr=False)
    mark: str
    door: str = ""


def notebook(environment: Mapping[str, str], secret_names: frozenset[str], door: str = "") -> Notebook:
    """A notebook with the `environment` of `jupyterhub-singleuser`, of which the values of `secret_names` are kept apart."""
    secrets = {name: value for name, value in environment.items() if name in secret_names}
    named = {name: f"${{LABCTL_SECRET_{name}}}" if name in secrets else value for name, value in environment.items()}
    text = json.dumps(dict(environment), sort_keys=True)
    return Notebook(
        prefix=environment[PREFIX_VARIABLE],
        environment=named,
        secrets=secrets,
        door=door,
        mark=hashlib.sha256(text.encode()).hexdigest()[:16],
    )
