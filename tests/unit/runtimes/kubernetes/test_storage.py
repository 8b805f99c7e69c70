"""The claims and volumes of a session."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest

from labctl.labs.lab import load
from labctl.plan import Plan
from labctl.planning import declared_layout, plan
from labctl.runtimes.kubernetes import storage as storages
from labctl.runtimes.kubernetes.storage import Storage

KEEPER = {storages.IMAGE: "debian", storages.USER: "1000:1000"}


@pytest.fixture
def small(write_lab: Callable[..., Path], home: Path) -> Plan:
    """A plan without models."""
    lab = load(f"{write_lab()}/", ())
    return plan(lab, learner="ada", profile="cpu", layout=declared_layout(lab))


def claims(made: Plan, storage: Storage) -> dict[tuple[str, str], Mapping[str, Any]]:
    """By kind and name; each is what the API's schema accepts."""
    found = list(storages.claims(made, storage, "ns", KEEPER))
    for each in found:
        kubernetes_validate.validate(each, "1.37", strict=True)
    assert [each["metadata"]["name"] for each in found if each["kind"] == "PersistentVolumeClaim"] == storages.names(
        made, storage
    )
    return {(each["kind"], each["metadata"]["name"]): each for each in found}


def test_a_workspace_is_a_claim_of_the_default_class_as_large_as_the_lab_s_disk(small: Plan) -> None:
    claim = claims(small, Storage())["PersistentVolumeClaim", "workspace"]
    assert "storageClassName" not in claim["spec"]
    assert claim["spec"]["resources"] == {"requests": {"storage": "16Mi"}}


def test_a_claim_notes_who_can_work_on_it_when_nothing_of_the_session_runs(small: Plan) -> None:
    assert claims(small, Storage())["PersistentVolumeClaim", "workspace"]["metadata"]["annotations"] == KEEPER


def test_a_storage_class_that_is_chosen_is_every_claim_s(small: Plan) -> None:
    found = claims(small, Storage(storage_class="fast"))
    assert [each["spec"]["storageClassName"] for each in found.values()] == ["fast"]


def test_a_folder_of_the_nodes_is_a_volume_that_only_this_claim_binds_and_that_outlives_it(small: Plan) -> None:
    found = claims(small, Storage(folder="/srv/ada"))
    volume = found["PersistentVolume", "labctl-ns"]["spec"]
    assert volume["hostPath"] == {"path": "/srv/ada", "type": "Directory"}
    assert volume["claimRef"] | {"apiVersion": "v1"} == {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "namespace": "ns",
        "name": "workspace",
    }
    assert volume["persistentVolumeReclaimPolicy"] == "Retain"
    claim = found["PersistentVolumeClaim", "workspace"]["spec"]
    assert (claim["storageClassName"], claim["volumeName"]) == ("", "labctl-ns")


def test_models_of_a_hub_are_another_volume_that_pods_only_read(small: Plan) -> None:
    storage = Storage(hub="/srv/models")
    found = claims(small, storage)
    assert found["PersistentVolume", "labctl-ns-hub-models"]["spec"]["hostPath"]["path"] == "/srv/models"
    (mount,), (volume,) = storages.hub_mounts(storage), storages.hub_volumes(storage)
    assert mount["readOnly"] is True
    assert volume["persistentVolumeClaim"]["readOnly"] is True


def test_without_models_of_a_hub_nothing_is_mounted_for_them() -> None:
    assert (storages.hub_mounts(Storage()), storages.hub_volumes(Storage())) == ([], [])


def test_learners_see_of_a_claim_only_its_files_and_not_the_copies_beside_them() -> None:
    assert storages.workspace_mount(Storage(), "/workspace")["subPath"] == "files"
    assert "subPath" not in storages.workspace_mount(Storage(folder="/srv/ada"), "/workspace")
