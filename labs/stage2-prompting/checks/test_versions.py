"""Prompts under version control: what git remembers, tests that tell good from bad, and a rollback."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pytest
import yaml

from labctl.checks.answers import is_open, to_number

Row = dict[str, Any]
GIT = ("git", "-c", "safe.directory=*")
MAX_COMMITS = 60
GOOD_ENOUGH, GOOD_EACH = 0.85, 0.67
"""What a version must get right of the test rows, all and of each desk, before the learner's tests are to accept it."""
BAD_EACH = 0.34
"""A desk that gets no more than this is one that the learner's tests are to find."""


@pytest.fixture(scope="module")
def history(workspace: Any) -> list[str]:
    """The commits that touched prompts/, oldest first."""
    top = workspace.run(*GIT, "rev-parse", "--show-prefix")
    assert top.exit_code == 0, "the workspace is no git repository yet; `git init` makes it one"
    assert not top.stdout.strip(), (
        "the workspace lies inside another git repository; make one of its own with `git init`"
    )
    log = workspace.run(*GIT, "log", "--reverse", "--format=%H", "--", "prompts")
    commits = log.stdout.split() if log.exit_code == 0 else []
    assert commits, "no commit holds prompts/ yet"
    return commits[-MAX_COMMITS:]


@pytest.fixture(scope="module")
def trees(workspace: Any, history: Sequence[str]) -> list[dict[str, str]]:
    """For each commit, the blob of every file below prompts/."""
    found = []
    for commit in history:
        listed = workspace.run(*GIT, "ls-tree", "-r", commit, "--", "prompts").stdout.splitlines()
        found.append({path: head.split()[2] for head, _, path in (line.partition("\t") for line in listed)})
    return found


def test_versions_are_kept(workspace: Any, trees: Sequence[Mapping[str, str]]) -> None:
    last = trees[-1]
    for path in ("registry.yaml", "route/v1.yaml", "route/v2.yaml", "solve/v1.yaml", "solve/v2.yaml"):
        assert f"prompts/{path}" in last, f"prompts/{path} is not in the last commit"
    assert len(trees) >= 2, "one commit is no history: commit each version when it is there"
    changed = workspace.run(*GIT, "status", "--porcelain", "--", "prompts").stdout.strip()
    assert not changed, f"prompts/ holds what is not committed: {changed.splitlines()[0]}"
    contents = defaultdict(set)
    for tree in trees:
        for path, blob in tree.items():
            contents[path].add(blob)
    for path, blobs in contents.items():
        finished = [blob for blob in blobs if "TODO" not in workspace.run(*GIT, "cat-file", "blob", blob).stdout]
        assert path.endswith("registry.yaml") or len(finished) <= 1, (
            f"{path} was changed after it was committed; a version is written once, a change is a new version"
        )


def test_rolled_back(workspace: Any, trees: Sequence[Mapping[str, str]], data: Any, ask: Any, count_right: Any) -> None:
    live = list(released(workspace, trees))
    assert "v3" in live, "in no commit of prompts/registry.yaml was v3 the live version of route"
    when = live.index("v3")
    assert when > 0, "v3 was live in the first commit already; there was nothing to go back to"
    before = live[when - 1]
    assert live[-1] == before != "v3", f"live today: route {live[-1]}; before v3 it was {before}"
    assert live[-1] == "v2", f"route {live[-1]} is live; the few-shot version is v2"
    blob = next(
        (tree.get("prompts/route/v3.yaml") for tree in reversed(trees) if "prompts/route/v3.yaml" in tree), None
    )
    assert blob, "prompts/route/v3.yaml is in no commit"
    kept = yaml.safe_load(workspace.run(*GIT, "cat-file", "blob", blob).stdout)
    assert kept == data.proposal, "prompts/route/v3.yaml is not what your colleague proposed in incoming/v3.yaml"
    test = [{**row, "desks": data.names} for row in data.test]
    (found,) = ask((data.proposal, test))
    given = (yaml.safe_load(workspace.read_text("answers.yaml")) or {}).get("regression") or {}
    for key in ("v3_correct", "wrong_desks"):
        assert not is_open(given.get(key)), f"regression.{key} in answers.yaml is not answered yet"
    number, correct = to_number(given["v3_correct"]), count_right(found, test)
    assert number is not None, "regression.v3_correct in answers.yaml is no number"
    assert abs(number - correct) <= 2, (
        f"regression.v3_correct in answers.yaml is {number:g}, which is not what v3 gets right"
    )
    named = {word for word in str(given["wrong_desks"]).replace(",", " ").lower().split() if word != "and"}
    known = {(row["message"], row["desk"]) for row in data.proposal["examples"]}
    wanted = {desk for message, desk in known if data.source.topic_of(message) != data.desks[desk]}
    assert named == wanted, "regression.wrong_desks in answers.yaml: not the desks that v3 has the wrong examples for"


def test_tests_tell_good_from_bad(workspace: Any, data: Any, ask: Any, parameters: Mapping[str, Any]) -> None:
    """The learner's tests, run against two good versions and three bad ones that they have not seen."""
    import json

    test = [{**row, "desks": data.names} for row in data.test]
    good, bad = candidates(data)
    found = dict(zip([*good, *bad], ask(*((prompt, test) for prompt in [*good.values(), *bad.values()])), strict=True))
    sound = [name for name in good if is_good(found[name], test)][:2]
    broken = [name for name in bad if is_bad(found[name], test)]
    if not sound or len(broken) < 2:
        pytest.skip("the model does not tell this lab's good prompts from its bad ones; nothing can be judged")
    chosen = {name: {**good, **bad}[name] for name in [*sound, *broken]}
    script = f"{parameters['lab']}/checks/suite.py"
    done = workspace.run("python", "-I", "-B", script, stdin=json.dumps({"versions": chosen}), timeout=900)
    assert done.exit_code == 0, f"the tests could not be run: {done.stderr.strip()[-300:]}"
    results = json.loads(done.stdout)
    for name in sound:
        assert results[name]["code"] == 0, (
            f"test_prompts.py refuses a good version ({name}): {results[name]['said'].strip()[-300:]}"
        )
    for name in broken:
        assert results[name]["code"] not in (0, None), f"test_prompts.py lets a bad version through: {name}"


def candidates(data: Any) -> tuple[dict[str, Row], dict[str, Row]]:
    """Good versions (one of them may come out badly by chance) and bad ones, by what is done in them."""
    chance = random.Random(f"{data.desks}")
    used = {row["message"] for row in [*data.pool, *data.test]}
    sets = [data.source.messages(dict(data.desks), chance, 2, used) for _ in range(3)]
    base = {**data.proposal, "description": "x"}
    good = {
        f"other words, examples {number}": {**base, "system": "You sort the post of a shop.", "examples": examples}
        for number, examples in enumerate(sets, start=1)
    }
    one, other = chance.sample(data.names, 2)
    swap = {one: other, other: one}
    swapped = [{**row, "desk": swap.get(row["desk"], row["desk"])} for row in sets[0]]
    renamed = [{**row, "desk": other if row["desk"] == one else row["desk"]} for row in sets[0]]
    bad = {
        "two desks have each other's examples": {**base, "examples": swapped},
        "one desk's examples say another desk": {**base, "examples": renamed},
        "no examples": {**base, "examples": []},
    }
    return good, bad


def by_desk(found: Row, rows: Sequence[Row]) -> dict[str, float]:
    """The share of each desk's messages that were sent there."""
    hits: dict[str, list[bool]] = defaultdict(list)
    for reply, row in zip(found["replies"], rows, strict=True):
        hits[row["desk"]].append(reply["text"] == row["desk"])
    return {desk: sum(each) / len(each) for desk, each in hits.items()}


def is_good(found: Row, rows: Sequence[Row]) -> bool:
    shares = by_desk(found, rows).values()
    return min(shares) >= GOOD_EACH and sum(shares) / len(shares) >= GOOD_ENOUGH


def is_bad(found: Row, rows: Sequence[Row]) -> bool:
    return min(by_desk(found, rows).values()) <= BAD_EACH


def released(workspace: Any, trees: Sequence[Mapping[str, str]]) -> Iterator[str]:
    """The live version of route in each commit."""
    for tree in trees:
        blob = tree.get("prompts/registry.yaml")
        text = workspace.run(*GIT, "cat-file", "blob", blob).stdout if blob else ""
        try:
            registry = yaml.safe_load(text)
        except yaml.YAMLError:
            registry = None
        yield str(registry.get("route")) if isinstance(registry, dict) else ""
