"""What the planner is told of this host, and of labs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from labctl.cohorts.host import NeededImage, lab_need, look, needed_images
from labctl.cohorts.seats import plan_seats
from labctl.cohorts.spec import Cohort
from labctl.gpus.inventory import Gpu, Inventory
from labctl.labs.lab import load
from labctl.sessions.context import Context
from labctl.sessions.up import UpRequest, up
from labctl.settings import Settings
from labctl.testing.runtime import FakeRuntime


def test_a_host_is_seen_with_its_gpus(ctx: Context, engine: FakeRuntime) -> None:
    engine.inventory = Inventory(source="fake", gpus=(Gpu(index=0, uuid="GPU-0", name="H100"),))
    host, notes = look(ctx, "local")
    assert host.inventory == engine.inventory
    assert host.cores > 0
    assert host.memory_mib > 0
    assert host.disk_mib > 0
    assert notes == ()


def test_a_class_is_planned_though_the_engine_is_silent(ctx: Context, engine: FakeRuntime) -> None:
    engine.gone = True
    host, notes = look(ctx, "local")
    assert host.inventory.gpus == ()
    assert notes == ("GPUs could not be looked at: the fake engine is gone",)


@pytest.mark.usefixtures("home")
def test_sessions_that_run_already_are_mentioned(ctx: Context, write_lab: Callable[..., Path]) -> None:
    write_lab()
    up(ctx, UpRequest(lab="small-lab", learner="bob"), lambda _step: None)
    assert look(ctx, "local")[1] == ("1 session runs already; what they take is not counted as free",)


def test_a_lab_tells_its_sizes_and_in_containers_its_images(chosen: Settings) -> None:
    lab = load("stage1-inference-api")
    need = lab_need(lab, "docker")
    assert (need.lab, need.minutes, set(need.sizes)) == ("stage1-inference-api", 60, {"cpu", "gpu"})
    assert need.sizes["cpu"].memory_mib == lab.spec.profiles["cpu"].memory
    assert need.sizes["cpu"].images == ("docker/ingress", "docker/workspace")
    assert need.sizes["gpu"].images == ("docker/ingress", "docker/trainer")
    asked = need.sizes["gpu"].gpu
    assert asked is not None
    assert asked.memory_mib > 0
    assert lab_need(lab, "local").sizes["cpu"].images == ()


def test_images_are_named_even_where_no_engine_can_be_asked(ctx: Context) -> None:
    settings = replace(ctx.settings, docker_host="unix:///nowhere")
    cohort = Cohort(labs=["stage1-inference-api"], roster="r.csv")
    host, _ = look(ctx, "local")
    rounds = plan_seats(cohort, ["ada"], [lab_need(load("stage1-inference-api"), "docker")], host).rounds
    found = needed_images(settings, rounds, "docker")
    assert [each.name for each in found] == ["docker/ingress", "docker/workspace"]
    assert all(each.reference.startswith("labctl/") and each.present is None for each in found)
    assert needed_images(settings, (), "docker") == []
    assert NeededImage(name="x", reference="x").size_mib is None
