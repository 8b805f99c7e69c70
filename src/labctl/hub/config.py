"""The Hub's configuration, as a file that can be read, kept and run without labctl. Pure."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from labctl.hub.folder import HubFolder
from labctl.hub.place import Place
from labctl.store.url import engine_url

TEMPLATES = Path(__file__).with_name("templates")
_ENDING_WITH_HUB = (sys.executable, "-m", "labctl.hub.orphans")


@dataclass(frozen=True, slots=True, kw_only=True)
class Portal:
    """What is served: `file` is the cohort's, `url` the public address, `proxy` the path of configurable-http-proxy, unless it
    is one that runs already (`place`).
    """

    folder: HubFolder
    file: Path
    host: str
    port: int
    proxy: str
    ports: dict[str, int]
    instructors: Sequence[str] = ()
    database_url: str | None = None
    title: str = ""
    labs: Sequence[Mapping[str, str | int]] = ()
    """`server`, `title` and `minutes` of each lab, for the pages."""
    place: Place | None = None
    """Where the Hub stands apart from its proxy; None beside it, on one host."""
    more: Path | None = None
    """Configuration of one's own, read last."""

    @property
    def url(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"


def configuration(portal: Portal) -> str:
    """jupyterhub_config.py."""
    parts = [_HEAD, _places(portal), _sessions(portal), _people(portal), _caretaker(portal)]
    return "\n".join([*parts, _board(portal), _more(portal.more)])


_HEAD = '''\
"""JupyterHub for one cohort. Written by `labctl hub serve`, anew each time: put what is yours into a file for --config."""

import os

c = get_config()  # noqa: F821
'''


def _places(portal: Portal) -> str:
    database = engine_url(portal.database_url) if portal.database_url else f"sqlite:///{portal.folder.database}"
    root = portal.folder.root
    return f"""\
{_apart(portal, portal.place) if portal.place else _beside(portal)}
c.JupyterHub.hub_port = {portal.ports["hub"]}
c.JupyterHub.db_url = {database!r}
c.JupyterHub.cookie_secret_file = {str(root / "cookie_secret")!r}
c.JupyterHub.template_paths = [{str(TEMPLATES)!r}]
c.JupyterHub.template_vars = {_words(portal)!r}
c.JupyterHub.cleanup_servers = False
"""


def _beside(portal: Portal) -> str:
    return f"""\
# Where it listens, and what lies behind: the Hub and the proxy's own interface are for this host only.
c.JupyterHub.bind_url = {portal.url!r}
c.JupyterHub.hub_ip = "127.0.0.1"

# The proxy ends with the Hub, also when the Hub is killed; learners' sessions do not.
c.ConfigurableHTTPProxy.command = {[*_ENDING_WITH_HUB, portal.proxy]!r}
c.ConfigurableHTTPProxy.api_url = "http://127.0.0.1:{portal.ports["proxy"]}"
c.ConfigurableHTTPProxy.pid_file = {str(portal.folder.root / "proxy.pid")!r}
c.JupyterHub.cleanup_proxy = True
"""


def _apart(portal: Portal, place: Place) -> str:
    return f"""\
# The proxy runs by itself and goes on without the Hub; what both say is authenticated by CONFIGPROXY_AUTH_TOKEN.
c.JupyterHub.bind_url = {portal.url!r}
c.JupyterHub.hub_ip = ""
c.JupyterHub.hub_connect_ip = {place.address!r}
c.Spawner.hub_connect_url = {place.sessions_url!r}
c.ConfigurableHTTPProxy.should_start = False
c.ConfigurableHTTPProxy.api_url = {place.proxy_api!r}
c.JupyterHub.last_activity_interval = 20  # a proxy that was restarted knows no session until the Hub looks
c.JupyterHub.cleanup_proxy = False
"""


def _words(portal: Portal) -> dict[str, object]:
    """What the pages say."""
    return {
        "cohort_title": portal.title or portal.folder.cohort,
        "labs": [dict(lab) for lab in portal.labs],
    }


def _sessions(portal: Portal) -> str:
    return f"""\
# A learner's lab is a named server, and a named server a session of labctl.
c.JupyterHub.spawner_class = "labctl.hub.spawner.LabctlSpawner"
c.JupyterHub.allow_named_servers = True
c.LabctlSpawner.cohort = {str(portal.file)!r}
c.LabctlSpawner.door = {"" if portal.place else str(portal.folder.door)!r}
c.Spawner.start_timeout = 1800  # the first of a class waits for images and environments
c.Spawner.http_timeout = 60
c.Spawner.default_url = "/lab"
c.Spawner.poll_interval = 10
c.JupyterHub.concurrent_spawn_limit = 64  # labctl itself starts so many at a time as the host can
c.JupyterHub.shutdown_on_logout = False
"""


def _people(portal: Portal) -> str:
    handler = {"folder": str(portal.folder.root)}
    return f"""\
# Who comes in: whoever has an invite link (`labctl hub invite`), and whoever another authenticator lets in, if you choose
# one in a file for --config. Only who is on the cohort's list can start anything.
from labctl.hub.authenticator import InviteHandler
from labctl.hub.notice_handler import NoticeHandler

c.JupyterHub.authenticator_class = "labctl.hub.authenticator.InviteAuthenticator"
c.JupyterHub.extra_handlers = [("/invite", InviteHandler, {handler!r}), (r"/notice/([a-z0-9-]+)", NoticeHandler)]
c.InviteAuthenticator.folder = {str(portal.folder.root)!r}
c.Authenticator.auth_refresh_age = 60
c.Authenticator.allow_all = True
c.Authenticator.delete_invalid_users = False

# What they may do: learners what is their own; instructors whatever concerns the cohort.
c.JupyterHub.load_groups = {{"instructor": {{"users": {sorted(portal.instructors)!r}}}}}
c.JupyterHub.load_roles = [
    {{"name": "user", "scopes": ["self", "access:services!service=board"]}},
    {{
        "name": "instructor",
        "groups": ["instructor"],
        "scopes": [
            *("self", "admin-ui", "admin:users", "admin:servers", "access:servers", "list:users", "read:hub"),
            "access:services!service=board",
        ],
    }},
]
"""


def _caretaker(portal: Portal) -> str:
    command = [*_ENDING_WITH_HUB, sys.executable, "-m", "labctl.hub.caretaker", str(portal.file)]
    return f"""\
# What expires is ended, idle GPUs go back, reserved sessions are made up for.
# Services get labctl's settings of the Hub's environment, and where they and the cluster are found; nothing else.
def is_theirs(name):
    return name in ("HOME", "KUBECONFIG") or name.startswith(("LABCTL_", "KUBERNETES_SERVICE_"))


labctl = {{name: value for name, value in os.environ.items() if is_theirs(name)}}
c.JupyterHub.services = [{{"name": "caretaker", "command": {command!r}, "environment": labctl}}]
"""


def _board(portal: Portal) -> str:
    command = [*_ENDING_WITH_HUB, sys.executable, "-m", "labctl.hub.board"]
    host = portal.place.address if portal.place else "127.0.0.1"
    url = f"http://[{host}]" if ":" in host else f"http://{host}"
    return f"""\
# The board: everybody's progress for instructors, one's own for learners. It is where people arrive.
c.JupyterHub.services.append(
    {{
        "name": "board",
        "url": "{url}:{portal.ports["board"]}",
        "command": {command!r},
        "environment": {{**labctl, "LABCTL_HUB_COHORT": {str(portal.file)!r}}},
        "oauth_no_confirm": True,
    }}
)
c.JupyterHub.load_roles.append(
    {{
        "name": "board",
        "services": ["board"],
        "scopes": ["list:users", "read:users:name", "read:users:groups", "read:servers", "read:roles:users"],
    }}
)
c.JupyterHub.default_url = "/services/board/"
"""


def _more(file: Path | None) -> str:
    yours = f"# What is yours.\nload_subconfig({str(file)!r})  # noqa: F821\n\n" if file else ""
    return f"""\
{yours}# The page to log in has no form where there are only links.
c.JupyterHub.template_vars["by_invite_only"] = str(c.JupyterHub.authenticator_class).endswith("InviteAuthenticator")
"""
