"""`lab new --from-compose`: every Compose file becomes a lab that is valid, or a clear refusal; what is lost is said."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from labctl.errors import LabFileError, UsageError
from labctl.labs.compose.convert import convert
from labctl.labs.compose.reading import read
from labctl.labs.lab import load_folder
from labctl.labs.scaffold import scaffold_from_compose
from labctl.plan import Plan
from labctl.planning import declared_layout, plan
from labctl.sessions.lint import problems

CORPUS = sorted((Path(__file__).parent / "compose").glob("*.yaml"))
Convert = Callable[..., tuple[dict[str, Any], list[str]]]


@pytest.fixture
def converted(tmp_path: Path) -> Convert:
    """The lab file and the notes, as lines, that a Compose file with these services becomes."""

    def run(services: str, top: str = "") -> tuple[dict[str, Any], list[str]]:
        file = tmp_path / "compose.yaml"
        file.write_text(f"{top}\nservices:\n{services}", encoding="utf-8")
        made, notes = scaffold_from_compose(f"lab-{len(list(tmp_path.iterdir()))}", tmp_path, file)
        assert problems(made) == []
        lab: dict[str, Any] = yaml.safe_load((made / "lab.yaml").read_text(encoding="utf-8"))
        return lab, [str(note) for note in notes]

    return run


def planned(made: Path) -> Plan:
    lab = load_folder(made)
    (profile,) = lab.spec.profiles
    return plan(lab, learner="ada", profile=profile, layout=declared_layout(lab))


@pytest.mark.parametrize("file", CORPUS, ids=lambda file: file.stem)
def test_real_files_become_valid_labs(tmp_path: Path, file: Path) -> None:
    made, notes = scaffold_from_compose("stage3-stack", tmp_path, file)
    assert problems(made) == []
    assert notes
    text = (made / "lab.yaml").read_text(encoding="utf-8")
    assert all(f"#   {note}\n" in text for note in notes)
    assert not [path for path in tmp_path.iterdir() if path != made]


def test_a_stack_keeps_its_images_commands_ports_health_and_dependencies(tmp_path: Path) -> None:
    file = next(file for file in CORPUS if file.stem == "web-postgres-redis")
    spec = planned(scaffold_from_compose("shop", tmp_path, file)[0])
    web, db, search = spec.service("web"), spec.service("db"), spec.service("search")
    assert web is not None
    assert db is not None
    assert search is not None
    assert web.command == ["gunicorn", "shop.wsgi:application", "--bind", "0.0.0.0:8000"]
    assert web.environment["DATABASE_URL"] == "postgresql://shop:shop@db:5432/shop"
    assert (web.ports, web.restart) == ({"http": 8000}, "always")
    assert {name: each.condition for name, each in web.depends_on.items()} == {
        "db": "service_healthy",
        "cache": "service_started",
    }
    assert db.healthcheck
    assert db.healthcheck.command == ["sh", "-c", "pg_isready -U shop"]
    assert db.healthcheck.timeout == 150
    assert (db.command, db.tmpfs) == ([], ["/var/lib/postgresql/data", "/var/run/postgresql"])
    assert search.healthcheck
    assert search.healthcheck.http == "/_cluster/health"
    assert (search.healthcheck.timeout, search.mem_limit) == (150, 2048)


def test_a_gpu_reservation_makes_a_gpu_profile(tmp_path: Path) -> None:
    file = next(file for file in CORPUS if file.stem == "vllm-monitoring")
    made, notes = scaffold_from_compose("serving", tmp_path, file)
    spec = planned(made)
    assert spec.gpu
    assert spec.gpu.count == 2
    assert spec.memory_mib == 16 * 1024 + 2 * 512
    vllm, grafana = spec.service("vllm"), spec.service("grafana")
    assert vllm is not None
    assert vllm.healthcheck
    assert vllm.healthcheck.timeout == 600
    assert vllm.command[:2] == ["--model", "Qwen/Qwen2.5-0.5B-Instruct"]
    assert "NVIDIA_VISIBLE_DEVICES" not in vllm.environment
    assert grafana is not None
    assert grafana.environment["GF_ALERT_TEMPLATE"] == (
        "{{ $labels.instance }} is {{ $value }} {% raw %} {# no comment #}"
    )
    assert not any("admin'" in str(note) for note in notes), "a default password is not repeated"


def test_urls_of_services_become_expressions_that_hold_for_plain_processes_too(converted: Convert) -> None:
    lab, _ = converted(
        "  a: {image: 'x:1', environment: {API: 'http://b:8080/v1', DB: 'http://b:99', BOTH: '{http://b:8080}'}}\n"
        "  b: {image: 'x:1', ports: [8080]}\n"
    )
    environment = lab["services"]["a"]["environment"]
    assert environment["API"] == "{{ url('b', 'http') }}/v1"
    assert environment["DB"] == "http://b:99"
    assert environment["BOTH"] == "{{ '{' }}{{ url('b', 'http') }}}"


def test_a_renamed_service_is_renamed_wherever_it_is_a_host(tmp_path: Path) -> None:
    file = next(file for file in CORPUS if file.stem == "version-2")
    made, notes = scaffold_from_compose("kafka", tmp_path, file)
    spec = planned(made)
    kafka, app = spec.service("kafka-1"), spec.service("consumer-app")
    assert kafka is not None
    assert app is not None
    assert spec.gpu
    assert kafka.environment["KAFKA_ZOOKEEPER_CONNECT"] == "zookeeper-1:2181"
    assert kafka.environment["KAFKA_ADVERTISED_LISTENERS"] == "PLAINTEXT://kafka-1:29092,HOST://localhost:9092"
    assert list(kafka.ports.values()) == [9092, 22, 3000, 7777, 80]
    assert list(kafka.depends_on) == ["zookeeper-1"]
    assert app.command[1:] == ["--brokers", "kafka-1:29092", "--host", "kafka-1", "kafka_1", "mail@kafka_1.example.org"]
    assert app.environment == {"DB_HOST": "kafka-1", "TOPIC": "kafka_1"}
    assert any("services.Consumer_App.environment.TOPIC: the service 'kafka_1' is kafka-1" in str(n) for n in notes)


def test_names_that_labctl_uses_itself_are_changed(tmp_path: Path) -> None:
    file = next(file for file in CORPUS if file.stem == "jupyter")
    spec = planned(scaffold_from_compose("notebook", tmp_path, file)[0])
    assert [service.name for service in spec.services] == ["workspace-service", "ingress-service"]
    ingress = spec.services[1]
    assert ingress.environment["UPSTREAM"] == "workspace-service:8888", "container_name is a host name too"
    assert ingress.environment["NOTEBOOK_URL"] == "http://workspace-service:8888/lab"


@pytest.mark.parametrize(
    ("text", "rendered", "note"),
    [
        ("${A}", "", "services.s.environment.X: ${A} has no default"),
        ("$A b", " b", "has no default"),
        ("${A:-1}${A-2}", "12", "${A} became its default '1' (and 1 more)"),
        ("${A:-${B:-x}}", "x", "${B} became its default 'x'"),
        ("${A:+set}", "", "has no default"),
        ("${A:?needed}", "", "has no default"),
        ("$$HOME $5 $", "$HOME $5 $", None),
        ("${", "${", "is no variable"),
        ("${A:-x", "${A:-x", "is no variable"),
        ("${API_TOKEN:-hunter2}", "hunter2", "${API_TOKEN} became its default:"),
        ("{{ x }} {% y %} {# z #}\\r\\n", "{{ x }} {% y %} {# z #}\r\n", None),
        ("${A:-" * 60 + "}" * 60, None, "is no variable"),
    ],
)
def test_variables_take_their_defaults(
    tmp_path: Path, converted: Convert, text: str, rendered: str | None, note: str | None
) -> None:
    _, notes = converted(f'  s: {{image: "x:1", environment: {{X: "{text}"}}}}\n')
    service = planned(next(path for path in tmp_path.iterdir() if path.is_dir())).services[0]
    assert rendered is None or service.environment["X"] == rendered
    assert note is None or any(note in line for line in notes), notes
    assert note is not None or not any("environment" in line for line in notes), notes


@pytest.mark.parametrize(
    ("test", "wanted"),
    [
        ("curl -f http://localhost:8080/health || exit 1", {"http": "/health", "port": "http"}),
        ('"curl --fail --silent localhost:8080/health?deep=1"', {"command": ["sh", "-c"]}),
        ('curl -fsS "http://localhost:8080/health?deep=1" > /dev/null || exit 1', {"http": "/health?deep=1"}),
        ("[CMD, curl, -f, 'http://127.0.0.1:9999']", {"http": "/", "port": "port-9999"}),
        ("[CMD, wget, -q, --spider, 'http://localhost/ok']", {"http": "/ok", "port": "port-80"}),
        ("[CMD, /usr/bin/wget, -qO-, 'http://0.0.0.0:8080/']", {"http": "/", "port": "http"}),
        ("[CMD, curl, -f, -o, /dev/null, 'http://localhost:8080/x']", {"http": "/x"}),
        ("[CMD, curl, -f, -X, POST, 'http://localhost:8080/x']", {"command": ["curl"]}),
        ("[CMD, curl, -f, -H, 'A: b', 'http://localhost:8080/x']", {"command": ["curl"]}),
        ("[CMD, curl, -f, 'https://localhost:8080/x']", {"command": ["curl"]}),
        ("[CMD, curl, -f, 'http://other:8080/x']", {"command": ["curl"]}),
        ("nc -z localhost 8080", {"tcp": True, "port": "http"}),
        ("[CMD-SHELL, 'nc -zv -w 2 127.0.0.1 8080 || exit 1']", {"tcp": True, "port": "http"}),
        ("nc -z localhost 8080 && test -f /ok", {"command": ["sh", "-c", "nc -z localhost 8080 && test -f /ok"]}),
        ("nc -uz localhost 8080", {"command": ["sh", "-c"]}),
        ("[CMD, redis-cli, ping]", {"command": ["redis-cli", "ping"]}),
        ("[CMD]", {}),
        ("[NONE]", {}),
        ("''", {}),
    ],
)
def test_health_tests_become_requests_connections_or_commands(
    converted: Convert, test: str, wanted: dict[str, Any]
) -> None:
    lab, _ = converted(f"  s:\n    image: x:1\n    ports: [8080]\n    healthcheck:\n      test: {test}\n")
    probe = lab["services"]["s"].get("healthcheck", {})
    got = {key: probe[key][: len(value)] if key == "command" else probe[key] for key, value in wanted.items()}
    assert got == wanted
    assert bool(probe) == bool(wanted)


@pytest.mark.parametrize(
    ("times", "seconds"),
    [
        ("", 90),
        ("interval: 1s, retries: 2", 60),
        ("interval: 1m30s, retries: 5, start_period: 40s", 490),
        ("interval: 10, retries: '6', start_period: 1h", 3660),
        ("interval: never", 90),
        ("interval: 30d, retries: 1000000", 30 * 86400),
    ],
)
def test_a_service_gets_the_time_that_compose_gives_it(converted: Convert, times: str, seconds: int) -> None:
    lab, _ = converted(f"  s: {{image: 'x:1', healthcheck: {{test: 'true', {times}}}}}\n")
    assert lab["services"]["s"]["healthcheck"]["timeout"] == f"{seconds}s"


@pytest.mark.parametrize(
    ("ports", "wanted", "note"),
    [
        ("['8080:80']", {"http": 80}, "the host's port 8080 (of 80) cannot be promised"),
        ("['127.0.0.1:8080:80/tcp', '[::1]:81:80']", {"http": 80}, "ports 8080 (of 80), 81 (of 80)"),
        ("[80, 81]", {"http": 80, "port-81": 81}, None),
        ("[22:22]", {"port-22": 22}, "22 (of 22)"),
        ("['3000-3005:3000-3005']", {"http": 3000}, "ports[0]: '3000-3005:3000-3005' is a range"),
        ("['53:53/udp']", None, "ports[0]: '53:53/udp' is no TCP port"),
        ("['', '0', '70000', abc, null, '1:2:3:x', []]", None, "is no port"),
        ("[{target: 5432, published: '5000', name: main}]", {"main": 5432}, "5000 (of 5432)"),
        ("[{target: 53, protocol: udp}]", None, "'53/udp' is no TCP port"),
        (
            "[{name: port-80, target: 1}, {name: port-80, target: 80}, 8080]",
            {"port-1": 1, "http": 80, "port-8080": 8080},
            None,
        ),
    ],
)
def test_ports_in_every_syntax(converted: Convert, ports: str, wanted: dict[str, int] | None, note: str | None) -> None:
    lab, notes = converted(f"  s: {{image: 'x:1', ports: {ports}}}\n")
    assert lab["services"]["s"].get("ports") == wanted
    assert note is None or any(note in line for line in notes), notes


@pytest.mark.parametrize(
    ("fields", "key", "wanted", "note"),
    [
        ("command: sleep 'a b'", "command", ["sleep", "a b"], None),
        ("command: [sleep, 5, true]", "command", ["sleep", "5", "true"], None),
        ("command: ''", "command", None, None),
        ("command: 'a \"b'", "command", ["a", '"b'], "cannot be split"),
        ("command: {a: b}", "command", None, "a mapping is no command"),
        ("entrypoint: /e.sh -x, command: [y]", "command", ["/e.sh", "-x", "y"], "s.entrypoint: '/e.sh -x' became"),
        ("restart: unless-stopped", "restart", "always", None),
        ("restart: 'on-failure:3'", "restart", "on-failure", "'on-failure:3' is not carried over as it is"),
        ("restart: 'no'", "restart", "no", None),
        ("restart: no, ports: [80]", "restart", None, "'no' is for what ends by itself"),
        ("deploy: {restart_policy: {condition: none}}", "restart", "no", None),
        ("stop_grace_period: 1m", "stop_grace_period", "60s", None),
        ("stop_grace_period: soon", "stop_grace_period", None, "s.stop_grace_period: 'soon' is not a duration"),
        ("mem_limit: 1.5gb", "mem_limit", "1536MiB", None),
        ("mem_limit: 1073741824", "mem_limit", "1024MiB", None),
        ("deploy: {resources: {limits: {memory: 100K}}}", "mem_limit", "1MiB", None),
        ("mem_limit: lots", "mem_limit", None, "s.mem_limit: 'lots' is no size"),
        ("tmpfs: [/run, '/tmp/x:size=1m']", "tmpfs", ["/run", "/tmp/x"], "'size=1m' are not carried over"),
        ("tmpfs: [/, a, /../b, '/{{ x }}']", "tmpfs", None, "is no folder in a container"),
        ("volumes: [data:/data]", "tmpfs", ["/data"], "s.volumes[0]: the volume 'data' is not carried over: /data is a tmpfs"),
        ("volumes: [/data]", "tmpfs", ["/data"], "a volume without a name"),
        ("volumes: ['./a:/b:ro']", "tmpfs", None, "s.volumes[0]: './a' on /b is not carried over"),
        ("volumes: [/var/run/docker.sock:/s]", "tmpfs", None, "is refused in a lab: who has the engine's socket"),
        ("environment: [A=1, B, 'c.d=2', '=3']", "environment", {"A": "1", "B": ""}, "environment[1]: takes its value"),
        ("environment: {A: yes, B: true, C: 0440, D: null, E: 1.50}", "environment", {"A": "yes", "B": "true", "C": "0440", "D": "", "E": "1.50"}, None),
        ("environment: {API_KEY: x}", "environment", {"API_KEY": "x"}, "write {{ secret('api-key') }}"),
        ("build: .", "image", "s:latest", "`docker build -t s …` it first"),
        ("image: docker/whale:1", "image", "docker.io/docker/whale:1", None),
        ("image: 'Not An Image'", "image", "s:latest", "'Not An Image' is no image"),
        ("image: 'a:${TAG}'", "image", "s:latest", "'a:' is no image"),
        ("image: redis", "image", "redis", "another image every week: pin it"),
        ("privileged: true", "privileged", None, "s.privileged: this is refused in a lab"),
        ("network_mode: host", "network_mode", None, "s.network_mode: 'host' is refused in a lab"),
        ("made_up: 1", "made_up", None, "s.made_up: is not carried over"),
    ],
)  # fmt: skip
def test_fields_of_a_service(converted: Convert, fields: str, key: str, wanted: Any, note: str | None) -> None:
    image = "" if fields.startswith("image") else "image: 'x:1', " if not fields.startswith("build") else ""
    lab, notes = converted(f"  s: {{{image}{fields}}}\n")
    assert lab["services"]["s"].get(key) == wanted
    assert note is None or any(note in line for line in notes), notes


@pytest.mark.parametrize(
    "fields", ["privileged: false", "x-a: 1", "init: true", "cap_drop: [ALL]", "pid: ''", "labels: [a]"]
)
def test_what_changes_nothing_is_not_noted(converted: Convert, fields: str) -> None:
    _, notes = converted(f"  s: {{image: 'x:1', {fields}}}\n", "x-b: {}\nversion: '3'\nname: n\nvolumes: {v: {}}")
    assert {line.partition(":")[0] for line in notes} == {"services"}


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (b"", "the file is empty"),
        (b"\x00\xff\xfe", "not UTF-8 text"),
        (b"services: {a: {image: 'b', command: \"\\0\"}}", "a text holds NUL"),
        (b"just words", "it holds no mapping"),
        (b"[1]", "it holds no mapping"),
        (b"{}", "there are no services"),
        (b"services: []", "there are no services"),
        (b"services: {a: 1}", "none of its services is a mapping"),
        (b"web: {image: nginx}", "as in Compose's first version"),
        (b"services: {a: &a {b: *a}}", "an alias that contains itself"),
        (b"services: " + b"[" * 200, "nested 200 levels deep"),
        (b"a: &a [x,x,x,x,x,x,x,x,x]\n" + b"".join(b"%c: &%c [%s]\n" % (98 + n, 98 + n, b",".join([b"*%c" % (97 + n)] * 9)) for n in range(8)), "more than 50000 values"),
        (b"# " + b"x" * 300_000, "larger than 256 KiB"),
        (b"services: !!python/object:os.system {}", "is not accepted"),
        (b"services: {a: {image: b, depends_on: [c]}, c: {image: d, depends_on: [a]}}", "goes round in a circle"),
        (b"services: {a: {image: b, command: '" + b"{{" * 6000 + b"'}}", "nested"),
    ],
)  # fmt: skip
def test_what_is_no_compose_file_is_refused_in_words(tmp_path: Path, text: bytes, why: str) -> None:
    file = tmp_path / "compose.yaml"
    file.write_bytes(text)
    with pytest.raises(LabFileError) as caught:
        scaffold_from_compose("mine", tmp_path / "labs", file)
    assert why in caught.value.what
    assert str(file) in caught.value.what
    assert caught.value.hint
    assert not (tmp_path / "labs").exists()


def test_a_missing_file_a_folder_and_a_taken_id_are_refused(tmp_path: Path) -> None:
    for place in (tmp_path / "nothing.yaml", tmp_path):
        with pytest.raises(LabFileError, match="cannot be read"):
            scaffold_from_compose("mine", tmp_path / "labs", place)
    (tmp_path / "labs" / "mine").mkdir(parents=True)
    with pytest.raises(UsageError, match="is there already"):
        scaffold_from_compose("mine", tmp_path / "labs", CORPUS[0])


def test_conversion_changes_nothing_of_what_it_is_given(tmp_path: Path) -> None:
    for file in CORPUS:
        data = read(file)
        before = json.dumps(data)
        assert convert(data, title="T", stage=1) == convert(data, title="T", stage=1)
        assert json.dumps(data) == before


def test_on_the_command_line(home: Path) -> None:
    def labctl(*args: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "labctl", "lab", *args]
        return subprocess.run(command, capture_output=True, text=True, check=False, env=dict(os.environ), timeout=120)

    stack = str(next(file for file in CORPUS if file.stem == "dangerous"))
    made = labctl("new", "stage3-mine", "--from-compose", stack)
    assert (made.returncode, made.stdout) == (0, f"{home}/labs/stage3-mine\n")
    assert "services.agent.privileged: this is refused in a lab" in made.stderr
    assert f"labctl up {home}/labs/stage3-mine --runtime docker" in made.stderr
    assert labctl("validate", made.stdout.strip()).returncode == 0
    as_json = json.loads(labctl("new", "stage3-again", "--from-compose", stack, "--json").stdout)
    assert as_json["path"] == f"{home}/labs/stage3-again"
    assert {"place", "what", "todo"} == set(as_json["notes"][0])
    (home / "empty.yaml").touch()
    refused = labctl("new", "stage3-more", "--from-compose", "empty.yaml")
    assert (refused.returncode, refused.stdout) == (7, "")
    assert "the file is empty" in refused.stderr
