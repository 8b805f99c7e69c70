"""How GPUs, holders and links read."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from rich.console import Console

from labctl.cli import gpu_screen
from labctl.cli.gpu_watch import draw
from labctl.cli.status import held as held_in_status
from labctl.gpus.inventory import Gpu, GpuProcess, Health, Inventory, Link, LinkLevel, MigInstance, Sensors
from labctl.sessions.inventory import Part, Use, View, join
from labctl.store.records import Held, Waiting

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
GIB = 1024


def held(**values: Any) -> Held:
    known = {
        "session": "tune--alice",
        "lab": "tune",
        "learner": "alice",
        "uuid": "GPU-0",
        "name": "H100",
        "since": NOON,
    }
    return Held(**{**known, "sharing": "timeslice", "memory_mib": 16 * GIB, "total_mib": 80 * GIB, **values})


def view(*gpus: Gpu, held: list[Held] | None = None, links: tuple[Link, ...] = ()) -> View:
    return join(Inventory(source="test", gpus=gpus, links=links), held or [], [], [], NOON)


def a_gpu(index: int = 0, **values: Any) -> Gpu:
    known = {"memory_total_mib": 80 * GIB, "memory_free_mib": 79 * GIB}
    return Gpu(**{"index": index, "uuid": f"GPU-{index}", "name": "NVIDIA H100", **known, **values})


def linked(count: int, level: LinkLevel, *pairs: tuple[int, int]) -> list[str]:
    gpus = tuple(a_gpu(index) for index in range(count))
    links = tuple(Link(a=f"GPU-{a}", b=f"GPU-{b}", level=level) for a, b in pairs)
    return [cell.text for cell in gpu_screen.links(view(*gpus, links=links).inventory)]


def printed(view: View, capsys: pytest.CaptureFixture[str]) -> str:
    gpu_screen.show(view)
    return capsys.readouterr().out


def drawn(view: View, width: int = 100) -> str:
    console = Console(width=width, record=True, force_terminal=True, file=open("/dev/null", "w"))  # noqa: SIM115, PTH123
    with console.file:
        console.print(draw(view, 2.0, width))
    return console.export_text(styles=True)


@pytest.mark.parametrize(
    ("use", "words"),
    [
        (Use(held=held(), until=NOON), r"alice/tune 16 GiB, shared in turns, until \d\d:\d\d"),
        (Use(held=held(sharing="mps"), used_mib=4 * GIB), "alice/tune 16 GiB, shared through MPS, uses 4 GiB"),
        (Use(held=held(sharing="exclusive", memory_mib=None)), "alice/tune, a GPU of one's own"),
        (Use(held=held(purpose="job"), until=NOON), "alice/tune 16 GiB, shared in turns, for one job"),
        (Use(held=held(warned_at=NOON)), r"alice/tune 16 GiB, shared in turns, idle, warned at \d\d:\d\d"),
    ],
)
def test_a_holder_is_one_line(use: Use, words: str) -> None:
    assert re.fullmatch(words, gpu_screen.holder(use))


@pytest.mark.parametrize(
    ("process", "words"),
    [
        (GpuProcess(pid=7), "in use by a process (pid 7, owner unknown)"),
        (
            GpuProcess(pid=7, name="python", owner="bob", memory_mib=8 * GIB),
            "in use by python (pid 7, of bob, 8 GiB), outside labctl",
        ),
        (
            GpuProcess(pid=7, name="vllm", owner="bob", session="serve--bob"),
            "in use by vllm (pid 7, of bob), of serve--bob, which does not hold it",
        ),
    ],
)
def test_a_stranger_is_called_what_is_known_of_it(process: GpuProcess, words: str) -> None:
    assert gpu_screen.stranger(process) == words


@pytest.mark.parametrize(
    ("free_mib", "total_mib", "words"),
    [
        (79 * GIB, 80 * GIB, "79 of 80 GiB"),
        (81_000, 81_559, "79 of 80 GiB"),
        (512, 8 * GIB, "512 MiB of 8 GiB"),
        (int(7.8 * GIB), 8 * GIB, "7.8 of 8 GiB"),
        (0, 8 * GIB, "0 of 8 GiB"),
        (None, 8 * GIB, "? of 8 GiB"),
        (None, None, "?"),
    ],
)
def test_memory_is_short_and_never_says_more_than_there_is(
    free_mib: int | None, total_mib: int | None, words: str
) -> None:
    assert gpu_screen.free_of(free_mib, total_mib) == words


def test_gpus_that_are_all_linked_are_one_group() -> None:
    assert linked(4, "nvlink", (0, 1), (2, 3)) == ["NVLink: 0-1, 2-3"]
    assert linked(3, "nvlink", (0, 1), (1, 2), (0, 2)) == ["NVLink: 0-1-2"]
    assert linked(3, "nvlink", (0, 1), (1, 2)) == ["NVLink: 0-1, 1-2"]
    assert linked(2, "switch", (1, 0)) == ["one PCIe switch: 0-1"]


def test_gpus_without_fast_links_say_so_and_one_alone_says_nothing() -> None:
    assert linked(2, "system", (0, 1)) == [
        "no two GPUs share NVLink or a PCIe switch: what they send goes through the processor"
    ]
    assert linked(1, "nvlink") == []


def test_of_several_holders_the_table_names_one_and_counts_the_others() -> None:
    def shown(*learners: str) -> str:
        return gpu_screen.held_by(Part(uuid="GPU-0", uses=tuple(Use(held=held(learner=each)) for each in learners)))

    assert shown("alice", "bob", "carol") == "alice +2"
    assert shown("a-very-long-name", "bob") == "a-very… +1"


@pytest.mark.parametrize(
    ("gpu", "words"),
    [
        ({"name": "A100", "sharing": "timeslice", "memory_mib": 16 * GIB, "total_mib": 80 * GIB}, "A100 16 of 80 GiB, shared in turns"),
        ({"name": "NVIDIA A100", "sharing": "exclusive", "memory_mib": 80 * GIB, "total_mib": 80 * GIB}, "A100 80 GiB"),
        ({"name": "A100", "sharing": "exclusive", "memory_mib": None, "total_mib": None}, "A100"),
        ({"name": "A100 MIG 1g.10gb", "sharing": "mig", "memory_mib": 10 * GIB, "total_mib": 10 * GIB}, "A100 MIG 1g.10gb 10 GiB, a MIG slice"),
    ],
)  # fmt: skip
def test_status_says_the_share_of_a_gpu(gpu: dict[str, Any], words: str) -> None:
    assert held_in_status(gpu) == words


def test_what_is_unknown_is_a_question_mark(capsys: pytest.CaptureFixture[str]) -> None:
    unknown = view(a_gpu(memory_free_mib=None, memory_total_mib=None))
    assert re.search(r"0 +H100 +\? +\? +\? +ok", printed(unknown, capsys))
    assert "?" in drawn(unknown)


def test_a_name_with_commands_for_the_terminal_is_shown_and_not_obeyed(capsys: pytest.CaptureFixture[str]) -> None:
    evil = view(a_gpu(name="NVIDIA \x1b[2JEvil [red]one", processes=(GpuProcess(pid=1, name="\x1b[2Jrm"),)))
    for text in (printed(evil, capsys), drawn(evil)):
        assert "Evil [red]one" in text
        assert "\x1b[2J" not in text


def test_a_machine_without_gpus_says_why(capsys: pytest.CaptureFixture[str]) -> None:
    none = View(at=NOON, inventory=Inventory(source="test", problem="No NVIDIA driver is visible here."))
    assert printed(none, capsys) == "No NVIDIA driver is visible here.\n"
    assert "No NVIDIA driver is visible here." in drawn(none)


@pytest.mark.parametrize("width", [80, 100, 200])
def test_watch_fits_and_shows_figures_warnings_slices_and_the_line(width: int) -> None:
    felt = Sensors(utilization_percent=100, temperature_c=91, power_w=688.4)
    mig = (MigInstance(uuid="MIG-1", profile="1g.10gb", memory_total_mib=10 * GIB, memory_free_mib=9 * GIB),)
    seen = view(
        a_gpu(0, name="NVIDIA H100 80GB HBM3", sensors=felt, health=Health(reasons=("it is slowed down by heat",))),
        a_gpu(1, mig_enabled=True, mig=mig),
        held=[held(warned_at=NOON), held(learner="a-very-long-name", session="tune--b")],
    )
    waits = Waiting(
        session="serve--dan", lab="serve", learner="dan", place="", need={"count": 2, "memory_mib": 16 * GIB},
        since=NOON, seen_at=NOON + timedelta(seconds=1),
    )  # fmt: skip
    plain = re.sub(
        r"\x1b\[[0-9;]*m", "", drawn(View(at=NOON, inventory=seen.inventory, rows=seen.rows, waiting=(waits,)), width)
    )
    assert max(map(len, plain.splitlines())) <= width
    words = " ".join(plain.split())
    for expected in (
        "100%",
        "91 °C",
        "688 W",
        "└ 1g.10gb",
        "it is slowed down by heat",
        "idle, warned at",
        "1. dan/serve since",
    ):
        assert expected in words
    assert "(2 GPUs, 16 GiB)" in words
