"""A request as arguments of ansible-playbook, and as it is kept."""

from __future__ import annotations

from pathlib import Path

from labctl.hosts.request import Request, from_json

WHOLE = Request(
    playbook=Path("/p/prepare.yml"),
    inventory=("/etc/hosts.ini", "gpu9,"),
    check=True,
    limit=("gpu1", "gpu2"),
    roles=("docker", "mig"),
    forks=7,
    connection="ssh",
    user="ada",
    private_key=Path("/k"),
    ssh_common_args="-J jump",
    become_password_file=Path("/sudo"),
    vault_password_files=(Path("/vault"),),
    extra_vars=(Path("/vars.yml"),),
)


def test_arguments_name_files_and_hold_no_secret() -> None:
    assert " ".join(WHOLE.arguments) == (
        "--inventory /etc/hosts.ini --inventory gpu9, --forks 7 --check --diff --limit gpu1,gpu2 --tags docker,mig "
        "--connection=ssh --user=ada --private-key=/k --ssh-common-args=-J jump --become-password-file=/sudo "
        "--vault-password-file=/vault --extra-vars=@/vars.yml"
    )


def test_what_is_not_given_is_no_argument() -> None:
    plain = Request(playbook=Path("/p"), inventory=("i",))
    assert plain.arguments == ("--inventory", "i", "--forks", "20")


def test_a_request_is_read_back_as_it_was_written() -> None:
    assert from_json(WHOLE.to_json()) == WHOLE
