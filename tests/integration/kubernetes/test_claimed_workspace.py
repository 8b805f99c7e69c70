"""Sessions whose workspace is a claim of a real cluster's storage: files go in and out, resets keep copies, purges leave nothing.

It needs what the conformance suite needs of a cluster (tests/conformance/engines.py), and a node that may mount folders of itself:
a volume for each claim is made by hand, so that no provisioner is asked for.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path, PurePosixPath
from typing import Any

import pytest

from labctl.errors import NotFoundError, UsageError
from labctl.runtimes.kubernetes import kinds, labels
from labctl.runtimes.kubernetes.api import Api
from labctl.sessions import workspace as workspaces
from labctl.sessions.copying import copy_in, copy_out
from labctl.sessions.end import down
from labctl.sessions.reset import reset
from labctl.sessions.up import UpRequest, prepare
from tests.conformance import labs
from tests.conformance.engines import KubernetesEngine
from tests.conformance.homes import Home

pytestmark = pytest.mark.kubernetes
CLASS = "labctl-test-by-hand"
SESSION = f"{labs.LAB}--ada"


class ClaimingEngine(KubernetesEngine):
    """The cluster as it is for people who share no folder with it."""

    def environ(self) -> dict[str, str]:
        return {**super().environ(), "LABCTL_WORKSPACE_VOLUME": "claim", "LABCTL_STORAGE_CLASS": CLASS}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    """A session that runs, with a volume for its claim."""
    engine = ClaimingEngine()
    if why := engine.missing():
        pytest.skip(why)
    home = Home(tmp_path_factory.mktemp("claimed"), engine)
    home.write({"web": labs.server()}, image=labs.IMAGE)
    api = Api(os.environ["KUBECONFIG"])
    by_hand = {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {"name": CLASS},
        "provisioner": "kubernetes.io/no-provisioner",
    }
    volumes = [by_hand, _volume(home)]
    for each in volumes:
        api.apply(each)
    try:
        home.up()
        yield home
    finally:
        for session in home.ctx.store.sessions():
            down(home.ctx, session, home.steps.append, purge=True)
        for each in volumes:
            api.delete(kinds.path_of(each))


@pytest.fixture
def run(made: Home) -> Callable[..., str]:
    """Runs Python as the learner would, in the session."""

    def python(code: str) -> str:
        result = made.target().run(["python3", "-c", code], timeout_s=60)
        assert result.exit_code == 0, result.stderr
        return result.stdout

    return python


def _volume(home: Home) -> dict[str, Any]:
    folder = home.folder / "volume"
    folder.mkdir()
    folder.chmod(0o777)  # a storage of its own gives it to the pod's group
    name = labels.namespace(SESSION, _home_id(home))
    spec = {
        "capacity": {"storage": "1Mi"},
        "accessModes": ["ReadWriteOnce"],
        "storageClassName": CLASS,
        "claimRef": {"namespace": name, "name": "workspace"},
        "hostPath": {"path": str(folder), "type": "Directory"},
    }
    return {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": f"test-{name}"}, "spec": spec}


def _home_id(home: Home) -> str:
    from labctl.runtimes.docker.labels import home_id

    return home_id(home.settings.home)


def test_the_session_says_where_its_files_are(made: Home) -> None:
    place = workspaces.of(made.ctx, made.session())
    assert place.folder is None
    assert place.is_there()
    assert place.owner() == SESSION
    assert made.status().to_json()["workspace"] == place.where
    assert place.where == f"volume `workspace` of namespace {labels.namespace(SESSION, _home_id(made))}"
    assert made.changes() == []
    with pytest.raises(UsageError, match="--workspace names a folder of this host"):
        prepare(made.ctx, UpRequest(lab=labs.LAB, learner="ada", workspace=made.folder / "mine"))


def test_files_go_in_and_come_out(made: Home, run: Callable[..., str], tmp_path: Path) -> None:
    content = os.urandom(3_000_000)
    (tmp_path / "in" / "deep").mkdir(parents=True)
    (tmp_path / "in" / "deep" / "data.bin").write_bytes(content)
    assert copy_in(made.ctx, made.session(), tmp_path / "in", "", force=False).where == "in"
    assert run("print(len(open('in/deep/data.bin', 'rb').read()))") == "3000000\n"
    run("import os; os.symlink('/etc/passwd', 'in/link'); open('in/deep/more.txt', 'w').write('more')")
    done = copy_out(made.ctx, made.session(), "in", str(tmp_path / "out"), force=False)
    assert done.left_out == ("in/link",)
    assert (tmp_path / "out/deep/data.bin").read_bytes() == content
    assert (tmp_path / "out/deep/more.txt").read_text() == "more"
    with pytest.raises(UsageError, match=r"in/deep/data\.bin is there already"):
        copy_in(made.ctx, made.session(), tmp_path / "in", "", force=False)
    with pytest.raises(NotFoundError, match="there is no nothing"):
        copy_out(made.ctx, made.session(), "nothing", str(tmp_path), force=False)


def test_reset_puts_the_starter_back_under_running_services_and_keeps_a_copy(
    made: Home, run: Callable[..., str], tmp_path: Path
) -> None:
    run("open('readme.txt', 'w').write('mine'); open('work.txt', 'w').write('a day')")
    before = made.identity("web")
    done = reset(made.ctx, made.session(), [])
    assert "readme.txt" in done.restored
    assert run("import os; print(open('readme.txt').read(), os.path.exists('work.txt'))") == "start here\n False\n"
    assert made.send("web", "GET", "/file/readme.txt") == b"start here\n"
    assert made.identity("web") == before
    copy = done.copy.split(" ")[0]
    copy_out(made.ctx, made.session(), f"{copy}/work.txt", str(tmp_path), force=False)
    assert (tmp_path / "work.txt").read_text() == "a day"
    assert "copies" not in run("import os; print(os.listdir('.'), os.listdir('..'))")


def test_the_state_changes_when_the_learner_writes(made: Home, run: Callable[..., str]) -> None:
    place = workspaces.of(made.ctx, made.session())
    with place.held():
        first = place.state()
        assert place.state() == first
        run("open('new.txt', 'w').write('x')")
        assert place.state() != first


def test_no_pod_of_ours_is_left(made: Home) -> None:
    workspaces.of(made.ctx, made.session()).state()
    api, namespace = Api(os.environ["KUBECONFIG"]), labels.namespace(SESSION, _home_id(made))
    deadline = time.monotonic() + 30
    while left := [pod["metadata"]["name"] for pod in api.items("Pod", namespace, labelSelector="labctl.role=keeper")]:
        assert time.monotonic() < deadline, left


def test_purge_leaves_nothing_and_down_alone_leaves_the_files(made: Home) -> None:
    api, namespace = Api(os.environ["KUBECONFIG"]), labels.namespace(SESSION, _home_id(made))
    session = made.session()
    down(made.ctx, session, made.steps.append)
    assert api.find("PersistentVolumeClaim", namespace, "workspace")
    ended = workspaces.of(made.ctx, made.session())
    assert ended.folder is None
    out = BytesIO()
    ended.pack(PurePosixPath("readme.txt"), out)
    assert b"start here" in out.getvalue()
    down(made.ctx, session, made.steps.append, purge=True)
    deadline = time.monotonic() + 180
    while api.find("Namespace", None, namespace):
        assert time.monotonic() < deadline, f"{namespace} is still there"
        time.sleep(0.5)
