"""`host …`: machines that Ansible makes ready for labs."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from labctl.cli import screen
from labctl.cli.options import Json

if TYPE_CHECKING:
    from labctl.hosts.request import Request
    from labctl.sessions.context import Context

app = typer.Typer(help="Machines that Ansible makes ready for labs.", no_args_is_help=True)

_FORKS = 20
Inventory = Annotated[
    list[str] | None,
    typer.Option(
        "--inventory", "-i", metavar="FILE|HOST,", help="Ansible's inventory, or hosts with a comma behind each."
    ),
]
Limit = Annotated[
    list[str] | None, typer.Option("--limit", "-l", metavar="PATTERN", help="Only these hosts or groups.")
]
Role = Annotated[list[str] | None, typer.Option("--role", "--tags", metavar="ROLE", help="Only these roles.")]
Forks = Annotated[int, typer.Option("--forks", min=1, max=500, help="How many hosts at a time.")]
Connection = Annotated[
    str, typer.Option("--connection", "-c", metavar="ssh|local", help="How hosts are reached; local is this machine.")
]
User = Annotated[str, typer.Option("--user", "-u", metavar="NAME", help="Whom to log in as.")]
PrivateKey = Annotated[Path | None, typer.Option("--private-key", metavar="FILE", help="ssh's key.")]
SshArgs = Annotated[str, typer.Option("--ssh-common-args", metavar="TEXT", help="More for ssh, such as a jump host.")]
BecomePassword = Annotated[
    Path | None, typer.Option("--become-password-file", metavar="FILE", help="A file with the password for sudo.")
]
ConnectionPassword = Annotated[
    Path | None, typer.Option("--connection-password-file", metavar="FILE", help="A file with the password for ssh.")
]
VaultPassword = Annotated[
    list[Path] | None, typer.Option("--vault-password-file", metavar="FILE", help="A file with a vault's password.")
]
ExtraVars = Annotated[
    list[str] | None, typer.Option("--extra-vars", "-e", metavar="@FILE", help="Variables for all hosts, from a file.")
]
Playbook = Annotated[
    Path | None, typer.Option("--playbook", metavar="FILE", help="Another playbook than labctl's own.")
]
Diff = Annotated[bool, typer.Option("--diff", help="Show what would change in files.")]
Resume = Annotated[
    bool, typer.Option("--resume", help="Go on with the last run: from the role that failed, where it failed.")
]


@app.command("check")
def check(
    inventory: Inventory = None,
    limit: Limit = None,
    role: Role = None,
    forks: Forks = _FORKS,
    connection: Connection = "",
    user: User = "",
    private_key: PrivateKey = None,
    ssh_common_args: SshArgs = "",
    become_password_file: BecomePassword = None,
    connection_password_file: ConnectionPassword = None,
    vault_password_file: VaultPassword = None,
    extra_vars: ExtraVars = None,
    playbook: Playbook = None,
    diff: Diff = False,
    json: Json = False,
) -> int:
    """Say what each host lacks for labs; changes nothing."""
    from labctl.cli import host_request
    from labctl.cli.context import context

    request = host_request.made(
        check=True,
        playbook=playbook,
        inventory=inventory,
        limit=limit,
        roles=role,
        forks=forks,
        connection=connection,
        user=user,
        private_key=private_key,
        ssh_common_args=ssh_common_args,
        become_password_file=become_password_file,
        connection_password_file=connection_password_file,
        vault_password_files=vault_password_file,
        extra_vars=extra_vars,
    )
    return _run(context(), request, "check", diff=diff, json=json)


@app.command("prepare")
def prepare(
    inventory: Inventory = None,
    limit: Limit = None,
    role: Role = None,
    resume: Resume = False,
    forks: Forks = _FORKS,
    connection: Connection = "",
    user: User = "",
    private_key: PrivateKey = None,
    ssh_common_args: SshArgs = "",
    become_password_file: BecomePassword = None,
    connection_password_file: ConnectionPassword = None,
    vault_password_file: VaultPassword = None,
    extra_vars: ExtraVars = None,
    playbook: Playbook = None,
    json: Json = False,
) -> int:
    """Make hosts ready for labs. Doing it again does what is missing, and leaves alone what is there."""
    from labctl.cli import host_request
    from labctl.cli.context import context

    ctx = context()
    given: dict[str, Any] = {
        "playbook": playbook,
        "inventory": inventory,
        "limit": limit,
        "roles": role,
        "connection": connection,
        "user": user,
        "private_key": private_key,
        "ssh_common_args": ssh_common_args,
        "become_password_file": become_password_file,
        "connection_password_file": connection_password_file,
        "vault_password_files": vault_password_file,
        "extra_vars": extra_vars,
    }
    request = host_request.resumed(ctx, forks=forks, **given) if resume else host_request.made(forks=forks, **given)
    return _run(ctx, request, "prepare", diff=False, json=json)


def _run(ctx: Context, request: Request, verb: str, *, diff: bool, json: bool) -> int:
    """Play it, and say what came of it. The exit code."""
    from labctl.cli import host_screen
    from labctl.cli.host_watch import Watch
    from labctl.hosts import ansible, playbooks, remains, runs

    ansible.require()
    home = ctx.settings.home
    roles = playbooks.roles(request.playbook)
    with ExitStack() as held:
        if not request.check:
            held.enter_context(runs.alone(home, request))
        _tell_cleared(remains.clear(home), json=json)
        run = held.enter_context(runs.recorded(home, verb, request, ctx.now()))
        watch = held.enter_context(Watch(roles, request.roles, verb, json=json))
        run = runs.ended(run, ansible.play(run, watch.event, watch.interrupted))
    if problem := host_screen.refusal(run, watch.seen):
        raise problem
    if json:
        screen.answer(host_screen.as_line(run, watch.seen))
    else:
        host_screen.show(run, watch.seen, request.roles or roles, diff=diff)
    return host_screen.exit_code(run, watch.seen)


def _tell_cleared(ids: tuple[str, ...], *, json: bool) -> None:
    if ids and not json:
        screen.hint(f"ended what {', '.join(ids)} had left running, which was killed")
