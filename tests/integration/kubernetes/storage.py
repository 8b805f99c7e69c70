"""Storage for tests: a class of volumes that are folders of this machine, for clusters that have no provisioner of their own."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from labctl.runtimes.kubernetes import kinds
from labctl.runtimes.kubernetes.api import Api


@contextmanager
def storage_class(api: Api, folder: Path, volumes: int) -> Iterator[str]:
    """A class with so many volumes below `folder`; everything is gone afterwards."""
    name = f"labctl-test-{uuid.uuid4().hex[:8]}"
    api.create(
        {
            "apiVersion": "storage.k8s.io/v1",
            "kind": "StorageClass",
            "metadata": {"name": name},
            "provisioner": "kubernetes.io/no-provisioner",
            "volumeBindingMode": "Immediate",
        }
    )
    names = [f"{name}-{number}" for number in range(volumes)]
    for each in names:
        place = folder / each
        place.mkdir(parents=True)
        place.chmod(0o777)  # pods run as a user that this one need not be
        api.create(_volume(each, name, place))
    try:
        yield name
    finally:
        for each in names:
            api.delete(kinds.path("PersistentVolume", None, each))
        api.delete(kinds.path("StorageClass", None, name))


def _volume(name: str, storage_class: str, place: Path) -> dict[str, Any]:
    spec = {
        "capacity": {"storage": "100Gi"},
        "accessModes": ["ReadWriteOnce"],
        "persistentVolumeReclaimPolicy": "Retain",
        "storageClassName": storage_class,
        "hostPath": {"path": str(place), "type": "Directory"},
    }
    return {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": name}, "spec": spec}
