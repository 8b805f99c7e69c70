"""`labctl gpu export`: the real command, scraped by hand, by promtool and by a real Prometheus."""

from __future__ import annotations

import json
import shutil
import signal
import socket
import subprocess
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.integration.gpu_host import GpuHost, command
from tests.nvml.library import gpu, mig_slice

DEADLINE_S = 60
PANELS = {
    "GPU Temperature": 'max(DCGM_FI_DEV_GPU_TEMP{Hostname=~".+", gpu=~".+"}) by (Hostname, gpu, uuid)',
    "GPU Avg. Temp": 'avg(DCGM_FI_DEV_GPU_TEMP{Hostname=~".+", gpu=~".+"})',
    "GPU Power Usage": 'max(DCGM_FI_DEV_POWER_USAGE{Hostname=~".+", gpu=~".+"}) by (Hostname, gpu, uuid)',
    "GPU Power Total": 'sum(max(DCGM_FI_DEV_POWER_USAGE{Hostname=~".+", gpu=~".+"}) by (gpu))',
    "GPU SM Clocks": 'max(DCGM_FI_DEV_SM_CLOCK{Hostname=~".+", gpu=~".+"} * 1000000) by (Hostname, UUID, gpu)',
    "GPU Framebuffer Mem Used": 'max(DCGM_FI_DEV_FB_USED{Hostname=~".+", gpu=~".+"})'
    " by (Hostname, gpu, GPU_I_ID, GPU_I_PROFILE)",
}
"""What NVIDIA's dashboard asks (dcgm-exporter, grafana/dcgm-exporter-dashboard.json), every host and GPU chosen."""


@pytest.fixture
def host(home: Path, tmp_path_factory: pytest.TempPathFactory) -> GpuHost:
    host = GpuHost(home, tmp_path_factory.mktemp("nvml"))
    figures: dict[str, Any] = {
        "utilization_percent": 97,
        "power_mw": 688000,
        "energy_mj": 7200000,
        "temperature_c": 41,
        "sm_clock_mhz": 1980,
    }
    split: dict[str, Any] = {"mig_mode": 1, "mig": [mig_slice("MIG-1"), mig_slice("MIG-2")]}
    host.play(gpu("GPU-1", pci="0000:1b:00.0", **figures), gpu("GPU-2", **split))
    host.hold("alice", "GPU-1", "timeslice", 16)
    host.hold("bob", "GPU-1", "timeslice", 24)
    return host


@contextmanager
def exporting(host: GpuHost, *args: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The exporter and its URL."""
    process = subprocess.Popen(
        command("gpu", "export", "--listen", "127.0.0.1:0", "--interval", "1s", *args),
        env=host.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        yield process, process.stdout.readline().strip()
    finally:
        process.kill()
        process.communicate()


def scrape(url: str) -> str:
    with urllib.request.urlopen(url, timeout=10) as answer:
        text: str = answer.read().decode()
    return text


def until(is_true: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + DEADLINE_S
    while time.monotonic() < deadline:
        found = is_true()
        if found:
            return found
        time.sleep(0.05)
    raise AssertionError("it did not become true in time")


def scraped(url: str, *words: str) -> str:
    """What it says once all of the words are in it."""
    text: str = until(lambda: (text := scrape(url)) and all(word in text for word in words) and text)
    return text


def test_figures_holders_and_slices_are_served(host: GpuHost) -> None:
    with exporting(host) as (_, url):
        text = scraped(url, "DCGM_FI_DEV_GPU_UTIL{")
    assert "labctl_gpu_inventory_up 1.0" in text
    assert 'pci_bus_id="00000000:1B:00.0"' in text
    assert text.count("\nlabctl_gpu_session_memory_bytes{") == 2
    assert 'session="tune--alice",sharing="timeslice"' in text
    assert text.count("\nDCGM_FI_DEV_FB_FREE{") == 3
    assert "python_info" not in text
    assert "process_cpu" not in text


def test_it_follows_the_gpus_and_drops_what_is_gone(host: GpuHost) -> None:
    with exporting(host) as (_, url):
        scraped(url, "DCGM_FI_DEV_GPU_UTIL{")
        host.play(errors={"nvmlInitWithFlags": 9})
        text = scraped(url, "labctl_gpu_inventory_up 0.0")
    assert "DCGM" not in text


def test_a_driver_that_hangs_does_not_hang_a_scrape(host: GpuHost) -> None:
    with exporting(host) as (_, url):
        scraped(url, "DCGM_FI_DEV_GPU_UTIL{")
        host.play(hangs=["nvmlInitWithFlags"])

        def age_s() -> float:
            lines = [line for line in scrape(url).splitlines() if line.startswith("labctl_gpu_inventory_age_seconds ")]
            return float(lines[0].split()[1])

        until(lambda: age_s() > 2)
        assert "DCGM_FI_DEV_GPU_UTIL{" in scrape(url)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_it_ends_at_once_when_told_to(host: GpuHost, number: signal.Signals, code: int) -> None:
    host.play(hangs=["nvmlInitWithFlags"])
    with exporting(host) as (process, url):
        scrape(url)
        process.send_signal(number)
        _, said = process.communicate(timeout=10)
    assert process.returncode == code, said
    assert "Traceback" not in said


def test_a_taken_port_is_one_clear_error(host: GpuHost) -> None:
    with exporting(host) as (_, url):
        place = url.removeprefix("http://").removesuffix("/metrics")
        found = host.labctl("gpu", "export", "--listen", place)
    assert found.returncode == 4
    assert f"{place} cannot be listened on: Address already in use" in found.stderr


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("--listen", "9400"), "'9400' is not HOST:PORT"),
        (("--listen", "127.0.0.1:99999"), "is not HOST:PORT"),
        (("--listen", "no-such-host.invalid:0"), "no host is named"),
        (("--interval", "soon"), "'soon' is not a duration"),
        (("--interval", "0.1s"), "too short"),
    ],
)
def test_bad_options_are_one_clear_error(host: GpuHost, args: tuple[str, str], words: str) -> None:
    found = host.labctl("gpu", "export", *args)
    assert found.returncode == 2
    assert words in found.stderr


def test_every_look_is_noted_for_idleness_and_the_ledger(host: GpuHost) -> None:
    with exporting(host):
        until(lambda: all(each.seen_at is not None for each in host.store.held()))


@pytest.mark.skipif(shutil.which("promtool") is None, reason="no promtool on PATH; sudo apt-get install prometheus")
def test_promtool_finds_nothing_to_say_of_our_own_names(host: GpuHost) -> None:
    with exporting(host) as (_, url):
        text = scraped(url, "DCGM_FI_DEV_GPU_UTIL{")
    said = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True, check=False)
    trouble = [line for line in (said.stdout + said.stderr).splitlines() if not line.startswith("DCGM_FI_DEV_")]
    assert trouble == []  # DCGM's names and labels are not Prometheus's own style


@pytest.mark.skipif(shutil.which("prometheus") is None, reason="no prometheus on PATH; sudo apt-get install prometheus")
def test_prometheus_answers_by_session(host: GpuHost, tmp_path: Path) -> None:
    with ExitStack() as stack:
        _, url = stack.enter_context(exporting(host))
        target = urllib.parse.urlsplit(url).netloc
        (tmp_path / "prometheus.yml").write_text(
            "global: {scrape_interval: 200ms}\n"
            f"scrape_configs: [{{job_name: gpus, static_configs: [{{targets: ['{target}']}}]}}]\n"
        )
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        process = subprocess.Popen(
            [
                *("prometheus", "--config.file=prometheus.yml", "--storage.tsdb.path=data", "--log.level=error"),
                f"--web.listen-address=127.0.0.1:{port}",
            ],
            cwd=tmp_path,
        )
        stack.callback(process.wait)
        stack.callback(process.terminate)

        def ask(query: str) -> list[dict[str, Any]]:
            try:
                answer = scrape(f"http://127.0.0.1:{port}/api/v1/query?query={urllib.parse.quote(query)}")
            except OSError:  # it is not there yet
                return []
            found: list[dict[str, Any]] = json.loads(answer)["data"]["result"]
            return found

        (share,) = until(lambda: ask('labctl_gpu_session_memory_bytes{session="tune--alice"}'))
        assert float(share["value"][1]) == 16 * 2**30
        joined = 'labctl_gpu_session_memory_bytes * on (UUID) group_left (modelName) DCGM_FI_DEV_GPU_UTIL{gpu="0"}'
        assert {each["metric"]["learner"] for each in ask(joined)} == {"alice", "bob"}
        (energy,) = ask("DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION")
        assert energy["metric"]["Hostname"]
        assert [title for title, query in PANELS.items() if not ask(query)] == []
