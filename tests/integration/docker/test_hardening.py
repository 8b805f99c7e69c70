"""A session on the Docker engine, from the side of a learner who wants more than the lab: what is set, and what it holds back.

The first half looks at running containers, the second attacks them with programs that a learner could type.
"""

from __future__ import annotations

import ipaddress
import json
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from labctl.runtimes.docker import labels
from labctl.sessions import end, reset
from labctl.sessions import workspace as workspaces
from labctl.sessions.host_folder import HostFolder
from labctl.sessions.view import view
from labctl.target import RefusedPath, Request
from tests.integration.docker import attacked
from tests.integration.docker.attacked import DISK_MIB, KEPT, MEMORY_MIB, Attacked, until

pytestmark = [pytest.mark.docker, pytest.mark.xdist_group("hardening")]  # one pair of sessions for all of them
PARTS = ("web", "hog", "workspace", "ingress", "check")
HOST_SECRETS = {
    "HF_TOKEN": "hf_host_secret",
    "AWS_SECRET_ACCESS_KEY": "host_secret",
    "HTTPS_PROXY": "http://u:host_secret@p",
}
_MIB = 1024 * 1024


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Attacked]:
    """Two learners' sessions of one lab, brought up by somebody who has secrets in their environment."""
    if why := attacked.missing():
        pytest.skip(why)
    folder = tmp_path_factory.mktemp("attacked")
    with pytest.MonkeyPatch.context() as patched, attacked.image() as image:
        for name, value in HOST_SECRETS.items():
            patched.setenv(name, value)
        patched.setenv("DOCKER_CONFIG", str(folder))
        (folder / "config.json").write_text('{"proxies": {"default": {"httpsProxy": "http://u:host_secret@p"}}}')
        made = Attacked(folder, image)
        try:
            made.up("ada")
            made.up("bob")
            yield made
        finally:
            made.end()


@pytest.fixture(scope="module")
def seen(lab: Attacked) -> dict[str, dict[str, Any]]:
    """By part, what the engine says of each running container of the session, that of a check included."""
    with lab.check_at_work() as check:
        return {**{name: each.attrs for name, each in lab.containers().items()}, "check": check.attrs}


@pytest.fixture(params=PARTS)
def container(request: pytest.FixtureRequest, seen: dict[str, dict[str, Any]]) -> dict[str, Any]:
    assert seen.keys() == set(PARTS)
    return seen[request.param]


@pytest.fixture
def host(container: dict[str, Any]) -> dict[str, Any]:
    """Its HostConfig."""
    found: dict[str, Any] = container["HostConfig"]
    return found


def test_no_container_runs_as_root(container: dict[str, Any]) -> None:
    uid, _, gid = container["Config"]["User"].partition(":")
    assert int(uid) > 0
    assert int(gid) > 0


def test_no_container_has_or_can_gain_privileges(host: dict[str, Any]) -> None:
    assert host["CapDrop"] == ["ALL"]
    assert not host["CapAdd"]
    assert not host["Privileged"]
    assert host["SecurityOpt"] == ["no-new-privileges:true"]  # and so the engine's own seccomp profile
    assert host["MaskedPaths"]
    assert host["ReadonlyPaths"]
    assert host["Init"]


def test_no_container_shares_a_namespace_with_the_host(host: dict[str, Any]) -> None:
    assert (host["PidMode"], host["UTSMode"], host["IpcMode"], host["CgroupnsMode"]) == (
        "",
        "",
        "private",
        "private",
    ) or (
        host["CgroupnsMode"] == "host" and (host["PidMode"], host["UTSMode"], host["IpcMode"]) == ("", "", "private")
    )  # cgroup v1 has no namespace by default; what there is of it is read-only
    assert host["UsernsMode"] == ""
    assert host["NetworkMode"] not in ("host", "bridge", "default")
    assert not host["NetworkMode"].startswith("container:")


def test_every_container_is_bounded(container: dict[str, Any], host: dict[str, Any]) -> None:
    part = container["Config"]["Labels"][labels.SERVICE]
    assert host["Memory"] == {"ingress": 128, "hog": 64}.get(part, MEMORY_MIB) * _MIB
    assert host["MemorySwap"] == host["Memory"]
    assert host["NanoCpus"] == 1_000_000_000
    assert 0 < host["PidsLimit"] <= 512
    assert host["OomKillDisable"] in (False, None)
    limits = {limit["Name"]: (limit["Soft"], limit["Hard"]) for limit in host["Ulimits"]}
    assert limits["core"] == (0, 0)
    assert part == "ingress" or limits["fsize"] == (DISK_MIB * _MIB, DISK_MIB * _MIB)
    assert host["LogConfig"] == {"Type": "json-file", "Config": {"max-size": "10m", "max-file": "3"}}


def test_nothing_but_the_workspace_and_memory_can_be_written(
    lab: Attacked, container: dict[str, Any], host: dict[str, Any]
) -> None:
    assert host["ReadonlyRootfs"]
    assert all({"nosuid", "nodev"} <= set(flags.split(",")) and "size=" in flags for flags in host["Tmpfs"].values())
    writable = [mount for mount in container["Mounts"] if mount["RW"] and mount["Type"] != "tmpfs"]
    is_ingress = container["Config"]["Labels"][labels.ROLE] == "ingress"
    assert [(mount["Type"], mount["Source"]) for mount in writable] == (
        [] if is_ingress else [("bind", str(lab.workspace()))]
    )


def test_nothing_but_the_workspace_and_the_labs_own_folders_is_mounted(
    lab: Attacked, container: dict[str, Any]
) -> None:
    folder = lab.folder / "labs" / attacked.LAB
    expected = {
        "ingress": set(),
        "check": {str(lab.workspace()), *(str(folder / name) for name in ("data", "workspace", "checks"))},
    }
    role = container["Config"]["Labels"][labels.ROLE]
    others = {str(lab.workspace()), *(str(folder / name) for name in ("data", "workspace"))}
    sources = {mount["Source"] for mount in container["Mounts"] if mount["Type"] != "tmpfs"}
    assert sources == expected.get(role, others)
    assert not any("docker.sock" in source for source in sources)


def test_no_container_has_devices_of_the_host(container: dict[str, Any], host: dict[str, Any]) -> None:
    assert not host["Devices"]
    assert not host["DeviceRequests"]
    assert not host["DeviceCgroupRules"]
    assert "NVIDIA_VISIBLE_DEVICES=void" in container["Config"]["Env"]


def test_ports_are_published_by_the_ingress_on_loopback_only(container: dict[str, Any], host: dict[str, Any]) -> None:
    bound = [each for port in (container["NetworkSettings"]["Ports"] or {}).values() for each in port or []]
    assert {each["HostIp"] for each in bound} <= {"127.0.0.1"}
    assert bool(bound) == (container["Config"]["Labels"][labels.ROLE] == "ingress")
    assert not host["PublishAllPorts"]


def test_only_the_ingress_is_on_more_than_the_sessions_network(lab: Attacked, container: dict[str, Any]) -> None:
    on = {each["NetworkID"] for each in container["NetworkSettings"]["Networks"].values()}
    is_ingress = container["Config"]["Labels"][labels.ROLE] == "ingress"
    assert lab.network()["Id"] in on
    assert len(on) == (2 if is_ingress else 1)


def test_containers_are_labelled_and_come_back_or_not_as_the_lab_says(
    seen: dict[str, dict[str, Any]], lab: Attacked
) -> None:
    for part, each in seen.items():
        marks = each["Config"]["Labels"]
        assert marks["labctl.session"] == lab.session().id
        assert marks["labctl.lab"] == attacked.LAB
        assert marks["labctl.service"] == part
        assert part == "check" or (marks["labctl.learner"], marks["labctl.digest"]) == ("ada", marks["labctl.digest"])
    policies = {part: each["HostConfig"]["RestartPolicy"] for part, each in seen.items()}
    assert policies["check"]["Name"] == policies["hog"]["Name"] == "no"
    assert policies["web"] == {"Name": "on-failure", "MaximumRetryCount": 3}
    assert policies["workspace"]["Name"] == "unless-stopped"  # "Shut Down" in JupyterLab ends it with 0


def test_the_sessions_network_leads_nowhere(lab: Attacked) -> None:
    network = lab.network()
    assert network["Internal"]
    assert network["Driver"] == "bridge"
    bridge = network["Options"].get("com.docker.network.bridge.name", f"br-{network['Id'][:12]}")
    shown = subprocess.run(
        ["ip", "-json", "-4", "address", "show", "dev", bridge], capture_output=True, text=True, check=True
    )
    assert not any(each.get("addr_info") for each in json.loads(shown.stdout))


def test_no_container_knows_secrets_of_the_host(seen: dict[str, dict[str, Any]], lab: Attacked) -> None:
    for each in seen.values():
        assert "host_secret" not in " ".join(each["Config"]["Env"])
    for part in ("web", "workspace"):
        assert "host_secret" not in lab.types("import os; print(dict(os.environ))", part=part)
    assert "host_secret" not in lab.target().run(["env"], timeout_s=30).stdout


# What a learner tries.


def test_a_setuid_program_gains_nothing(lab: Attacked) -> None:
    script = "import os; print(f'{os.geteuid() != 0} {os.getuid() == os.geteuid()}', flush=True); os.setuid(0)"
    said = lab.runs(["rootpython", "-c", script])
    assert "True True" in said
    assert "PermissionError" in said
    status = lab.types("print(open('/proc/self/status').read())")
    assert {line.split()[1] for line in status.splitlines() if line.startswith("Cap")} == {"0" * 16}
    assert "NoNewPrivs:\t1" in status
    assert "Seccomp:\t2" in status


@pytest.mark.parametrize(
    "step",
    [
        "libc.mount(b'none', b'/tmp', b'tmpfs', 0, None)",
        "libc.umount2(b'/lab/data', 2)",
        "libc.unshare(0x10000000)",  # a user namespace, in which one would be root
        "libc.unshare(0x00020000)",
        "libc.syscall(435, b'\\0' * 64, 64)",  # clone3
        "libc.syscall(321, 0, 0, 0)",  # bpf
        "libc.syscall(250, 0, 0, 0)",  # keyctl
        "libc.chroot(b'/tmp')",
        "libc.sethostname(b'x', 1)",
    ],
)
def test_system_calls_that_lead_out_are_refused(lab: Attacked, step: str) -> None:
    said = lab.types(f"import ctypes; libc = ctypes.CDLL(None, use_errno=True); print({step}, ctypes.get_errno())")
    result, error = said.split()
    assert result == "-1"
    assert error in ("1", "13", "22", "38"), "neither EPERM nor EACCES, EINVAL or ENOSYS"


@pytest.mark.parametrize(
    "step",
    [
        "socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)",
        "socket.socket(socket.AF_PACKET, socket.SOCK_RAW)",
        "os.chown('readme.txt', 0, 0)",
        "os.mknod('device', 0o666 | stat.S_IFBLK, os.makedev(254, 0))",
        "open('/dev/mem', 'rb')",
        "open('/proc/sysrq-trigger', 'w').write('b')",
        "open('/proc/sys/kernel/core_pattern', 'w').write('|/bin/sh')",
        "open('/sys/fs/cgroup/memory/memory.limit_in_bytes', 'w').write('-1')",
        "open('/proc/1/environ').read() and open('/etc/shadow').read()",
    ],
)
def test_rights_that_only_root_has_are_refused(lab: Attacked, step: str) -> None:
    said = lab.types(
        f"import os, socket, stat\ntry:\n    {step}\n    print('done')\nexcept OSError as error: print('refused')"
    )
    assert said == "refused"


def test_processes_of_other_containers_are_not_seen(lab: Attacked) -> None:
    script = "import glob; print([open(name).read() for name in glob.glob('/proc/[0-9]*/cmdline')])"
    assert "http.server" in lab.types(script, part="web")
    assert "http.server" not in lab.types(script)
    assert "import os, time" not in lab.types(script, part="web")


@pytest.mark.parametrize(
    "path", ["/etc/hosts", "/etc/x", "/usr/x", "/x", "/lab/x", "/lab/data/x", "/volume/x", "/var/tmp/x", "/run/x"]
)
def test_nothing_else_can_be_written(lab: Attacked, path: str) -> None:
    said = lab.types("import sys\ntry: open(sys.argv[1], 'a'); print('done')\nexcept OSError: print('refused')", path)
    is_memory = path == "/volume/x"
    assert said == ("done" if is_memory else "refused")


def test_what_an_image_calls_a_volume_is_no_room_on_the_hosts_disk(
    lab: Attacked, seen: dict[str, dict[str, Any]]
) -> None:
    for part in ("web", "workspace", "check"):
        assert not [mount for mount in seen[part]["Mounts"] if mount["Type"] == "volume"]
    free = "import os; s = os.statvfs('/volume'); print(s.f_blocks * s.f_frsize)"
    assert 0 < int(lab.types(free)) <= MEMORY_MIB // 4 * _MIB


def test_memory_disks_are_full_at_their_limit(lab: Attacked) -> None:
    script = """
import os, sys
written = 0
try:
    for number in range(1000):
        with open(f"{sys.argv[1]}/fill{number}", "wb", buffering=0) as file:
            written += file.write(bytes(4_000_000))
except OSError as error:
    print(written, error.errno)
for number in range(1000):
    try: os.unlink(f"{sys.argv[1]}/fill{number}")
    except OSError: pass
"""
    for place in ("/tmp", "/home/learner"):
        written, error = lab.types(script, place).split()
        assert int(written) <= MEMORY_MIB // 4 * _MIB
        assert int(error) == 28  # ENOSPC


def test_a_file_larger_than_the_labs_disk_is_stopped(lab: Attacked) -> None:
    script = f"""
import os, signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
try:
    with open("large", "wb", buffering=0) as file:
        for _ in range({DISK_MIB + 2}): file.write(bytes({_MIB}))
    print("done")
except OSError as error:
    print(error.errno)
"""
    try:
        assert lab.types(script) == "27"  # EFBIG
        assert (lab.workspace() / "large").stat().st_size == DISK_MIB * _MIB
    finally:
        (lab.workspace() / "large").unlink(missing_ok=True)


def test_a_workspace_beyond_the_labs_disk_is_told(lab: Attacked) -> None:
    fill = f"for number in range({DISK_MIB + 1}): open(f'part{{number}}', 'wb').write(bytes({_MIB}))"
    assert view(lab.ctx, lab.session("bob")).note == ""
    lab.types(fill, learner="bob")
    assert view(lab.ctx, lab.session("bob")).note.startswith(
        f"the workspace holds {DISK_MIB + 1} MiB, the lab's disk is"
    )
    assert lab.up("bob").changed == ()
    lab.types("import glob, os; [os.unlink(name) for name in glob.glob('part*')]", learner="bob")
    assert view(lab.ctx, lab.session("bob")).note == ""


def test_a_line_without_an_end_does_not_fill_the_memory_of_who_reads_the_log(lab: Attacked) -> None:
    lab.types("open('/proc/1/fd/1', 'wb').write(b'x' * 5_000_000)", learner="bob")
    lines = list(lab.runtime.logs(lab.session("bob").handle, "workspace"))
    assert sum(map(len, lines)) > 4_900_000  # the engine keeps the last few for the end of the line
    assert max(map(len, lines)) < 1_000_000


def test_a_workspace_may_have_a_colon_in_its_path(lab: Attacked) -> None:
    """Which divides the parts of a mount, where mounts are written as words."""
    place = lab.folder / "work" / "of:eve:ro"
    lab.up("eve", workspace=place)
    lab.types("open('made', 'w')", learner="eve")
    assert (place / "made").exists()
    end.down(lab.ctx, lab.session("eve"), lambda _step: None)


def test_there_is_no_way_to_the_engine(lab: Attacked) -> None:
    script = """
import glob, os, stat
found = [os.path.join(root, name) for place in ("/run", "/var/run", "/tmp", "/workspace", "/lab", "/home")
         for root, _, names in os.walk(place) for name in names]
print([name for name in found if stat.S_ISSOCK(os.lstat(name).st_mode)], glob.glob("/**/docker.sock"))
"""
    for part in ("workspace", "web"):
        assert lab.types(script, part=part) == "[] []"


CONNECT = """
import json, selectors, socket, sys, time
waiting, found = selectors.DefaultSelector(), []
for place in json.loads(sys.argv[1]):
    tried = socket.socket()
    tried.setblocking(False)
    try:
        tried.connect(tuple(place))
    except BlockingIOError:
        waiting.register(tried, selectors.EVENT_WRITE, place)
    except OSError:
        pass
until = time.monotonic() + 3
while waiting.get_map() and time.monotonic() < until:
    for key, _ in waiting.select(0.2):
        waiting.unregister(key.fileobj)
        if key.fileobj.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0:
            found.append(key.data)
print(json.dumps(found))
"""


def reached(lab: Attacked, places: list[tuple[str, int]]) -> list[list[Any]]:
    found: list[list[Any]] = json.loads(lab.types(CONNECT, json.dumps(places)))
    return found


def test_containers_of_the_session_reach_each_other(lab: Attacked) -> None:
    (web,) = (each["IPAddress"] for each in lab.containers()["web"].attrs["NetworkSettings"]["Networks"].values())
    assert reached(lab, [(web, 8000), (web, 8001)]) == [[web, 8000]]


def test_another_session_cannot_be_reached(lab: Attacked) -> None:
    """By none of its addresses, that of its ingress on the shared network included, on no port that anything listens on."""
    every = lab.containers("bob")
    front = [each["IPAddress"] for each in every["ingress"].attrs["NetworkSettings"]["Networks"].values()]
    ports = [*range(1, 100), 8000, 8888, *range(20_000, 20_004)]
    assert len(lab.addresses("bob")) == 4
    assert reached(lab, [(place, port) for place in {*lab.addresses("bob"), *front} for port in ports]) == []
    names = [*(str(each.name) for each in every.values()), str(every["web"].short_id), "labctl-ingress"]
    assert lab.types(_RESOLVE, *names) == ""


def test_neither_the_host_nor_the_outside_can_be_reached(lab: Attacked) -> None:
    """Nothing can be asked of them. What is left: a datagram to everybody (255.255.255.255), which no answer can follow."""
    with socket.create_server(("0.0.0.0", 0)) as listening, socket.socket(type=socket.SOCK_DGRAM) as heard:
        port = listening.getsockname()[1]
        heard.bind(("0.0.0.0", port))
        heard.setblocking(False)
        subnet = ipaddress.ip_network(lab.network()["IPAM"]["Config"][0]["Subnet"])
        own = [*_addresses_of_host(), str(subnet[0]), str(subnet[1]), str(subnet[-2]), str(subnet[-1])]
        outside = ["169.254.169.254", "1.1.1.1", "8.8.8.8", "10.0.0.1", "192.168.0.1", "172.17.0.1"]
        published = [
            int(each.url.rpartition(":")[2]) for each in (lab.service("web"), lab.service("web", "bob")) if each.url
        ]
        assert len(published) == 2
        ports = [port, 22, 53, 80, 443, 2375, 2376, *published]
        places = [(place, number) for place in [*own, *outside] for number in ports]
        ours = set(lab.addresses())
        assert [place for place in reached(lab, places) if place[0] not in ours] == []
        lab.types(_DATAGRAMS, json.dumps([*own, *outside]), str(port))
        with pytest.raises(BlockingIOError):
            heard.recvfrom(100)


_DATAGRAMS = """
import json, socket, sys
sender = socket.socket(type=socket.SOCK_DGRAM)
sender.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
for place in json.loads(sys.argv[1]):
    try: sender.sendto(b"x", (place, int(sys.argv[2])))
    except OSError: pass
"""


_RESOLVE = """
import socket, sys
from concurrent.futures import ThreadPoolExecutor
def look(name):
    try: return [found[4][0] for found in socket.getaddrinfo(name, 80)]
    except OSError: return ""
with ThreadPoolExecutor(16) as pool: print(*filter(None, pool.map(look, sys.argv[1:])))
"""


def test_names_of_the_outside_are_not_resolved(lab: Attacked) -> None:
    assert lab.types(_RESOLVE, "web") != ""
    for part in ("workspace", "web"):
        names = (
            "example.com",
            "deb.debian.org",
            "stolen.example.com",
            "metadata.google.internal",
            "host.docker.internal",
        )
        assert lab.types(_RESOLVE, *names, part=part) == ""


def test_ipv6_leads_nowhere_either(lab: Attacked) -> None:
    script = "print([line.split()[-1] for line in open('/proc/net/if_inet6')] if __import__('os').path.exists('/proc/net/if_inet6') else [])"
    assert set(json.loads(lab.types(script).replace("'", '"'))) <= {"lo"}


def test_the_labs_answers_are_in_no_container(lab: Attacked) -> None:
    script = "import os; print([os.path.join(r, n) for p in ('/lab', '/workspace', '/home') for r, d, f in os.walk(p) for n in d + f])"
    for part in ("workspace", "web", "hog"):
        said = lab.types(script, part=part)
        assert "/lab/data/table.csv" in said
        assert not [name for folder, name in KEPT.items() if name in said or f"/{folder}'" in said]
        assert "lab.yaml" not in said
    assert lab.target().run(["cat", "/lab/checks/expected.txt"], timeout_s=30).stdout == "checks\n"


def test_links_out_of_the_workspace_are_not_followed(lab: Attacked, tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    (precious / "deep").mkdir(parents=True)
    (precious / "deep" / "secret.txt").write_text("secret")
    place = lab.workspace("bob")
    lab.types(
        "import os, sys; os.symlink(sys.argv[1], 'out'); os.symlink('out', 'twice')", str(precious), learner="bob"
    )
    lab.types("import os, sys; os.symlink(sys.argv[1] + '/deep/secret.txt', 'file')", str(precious), learner="bob")
    target = lab.target("bob")
    for path in ("out/deep/secret.txt", "twice/deep/secret.txt", "file"):
        with pytest.raises(RefusedPath):
            target.read(path)
    assert [each.path for each in target.find("**/secret.txt")] == []
    assert target.find("out/**/*") == target.find("twice/deep/*") == []
    kept = Path(reset.reset(lab.ctx, lab.session("bob"), []).copy)
    assert (kept / "out").is_symlink()
    workspaces.overlay(lab.folder / "labs" / attacked.LAB / "solution", HostFolder(place, ""), frozenset())
    assert (precious / "deep" / "secret.txt").read_text() == "secret"
    assert {path.stat().st_uid for path in place.iterdir()} == {place.stat().st_uid}


def test_what_containers_write_belongs_to_the_workspaces_owner(lab: Attacked) -> None:
    lab.types("import os; os.makedirs('mine/deep'); open('mine/deep/file', 'w').close()", part="web")
    lab.target().run(["touch", "checked"], timeout_s=30)
    place = lab.workspace()
    assert {path.lstat().st_uid for path in (place, place / "mine/deep/file", place / "checked")} == {
        place.stat().st_uid
    }
    assert place.stat().st_uid != 0


def test_a_memory_hog_is_killed_alone(lab: Attacked) -> None:
    before = lab.containers()
    (lab.workspace() / "eat").touch()
    until(lambda: lab.containers()["hog"].status == "exited")
    (lab.workspace() / "eat").unlink()
    hog = lab.service("hog")
    assert (hog.state.value, hog.reason.startswith("it was killed: it wanted more memory than it may have")) == (
        "failed",
        True,
    )
    assert lab.service("web").state.value == "running"
    assert lab.target().request(Request(service="web", timeout_s=20)).status == 200
    after = lab.containers()
    for part in ("web", "workspace", "ingress"):
        assert after[part].id == before[part].id
        assert after[part].attrs["State"]["StartedAt"] == before[part].attrs["State"]["StartedAt"]


def test_a_fork_bomb_is_contained(lab: Attacked) -> None:
    """Last, for it leaves the learner's own workspace with no process to spare."""
    bomb = "import os, signal\nwhile True:\n    try: os.fork()\n    except OSError: open('full', 'w').close(); signal.pause()"
    before = lab.containers()
    before["workspace"].exec_run(["python3", "-c", bomb], workdir=lab.inside, detach=True)
    until(lambda: (lab.workspace() / "full").exists(), within_s=60)
    assert lab.target().request(Request(service="web", timeout_s=30)).status == 200
    assert lab.target().run(["echo", "here"], timeout_s=60).stdout == "here\n"
    assert lab.target("bob").request(Request(service="web", timeout_s=30)).status == 200
    limit = before["workspace"].attrs["HostConfig"]["PidsLimit"]
    stats: Any = before["workspace"].stats(stream=False)
    assert limit // 2 < stats["pids_stats"]["current"] <= limit
    end.down(lab.ctx, lab.session(), lambda _step: None)
    assert lab.containers() == {}


def _addresses_of_host() -> list[str]:
    shown = subprocess.run(["ip", "-json", "-4", "address"], capture_output=True, text=True, check=True)
    found = [info["local"] for each in json.loads(shown.stdout) for info in each["addr_info"]]
    return [address for address in found if not address.startswith("127.")]
