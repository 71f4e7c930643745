from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from rolewise.fleet.ray.cluster import Node
from rolewise.fleet.ray.environment import (
    build_environment,
    extend_search_path,
    read_search_path,
)
from rolewise.fleet.ray.placement import build_placement, find_shortage
from rolewise.fleet.runtime import VersionDefinition

NODES = (
    Node(id="a", resources={"cpu": 4.0, "memory_bytes": 1e9}, labels={"zone": "north"}),
    Node(id="b", resources={"cpu": 8.0, "gpu": 1.0}, labels={"zone": "south"}),
)


def version(**fields: Any) -> VersionDefinition:
    return VersionDefinition(
        role="worker", version="v1", content_hash="h", agent="m:a", config={}, **fields
    )


def test_resources_and_labels_become_actor_options() -> None:
    wanted = {"cpu": 0.5, "gpu": 1, "memory_bytes": 2e6, "arm": 1}
    assert build_placement(version(resources=wanted, labels={"zone": "south"})) == {
        "num_cpus": 0.5,
        "num_gpus": 1,
        "memory": 2_000_000,
        "resources": {"arm": 1},
        "label_selector": {"zone": "south"},
    }
    assert build_placement(version()) == {"num_cpus": 0}


@pytest.mark.parametrize(
    ("fields", "replicas", "words"),
    [
        ({"resources": {"cpu": 1.0}}, 3, ""),
        ({"resources": {"cpu": 1.0}}, 4, "4 more replicas want 4 cpu, 3 is free"),
        ({"resources": {"cpu": 9.0}}, 1, "no node has 9 cpu"),
        ({"resources": {"gpu": 1.0}, "labels": {"zone": "north"}}, 1, "no node has 1 gpu"),
        ({"labels": {"zone": "west"}}, 1, "no node has the labels {'zone': 'west'}"),
        ({"resources": {"cpu": 0.1}}, 30, ""),
        ({}, 100, ""),
    ],
)
def test_a_shortage_is_named(fields: dict[str, Any], replicas: int, words: str) -> None:
    found = find_shortage(version(**fields), replicas, nodes=NODES, available={"cpu": 3.0})
    assert found == words


def test_a_version_without_an_environment_shares_the_clusters() -> None:
    assert build_environment(version()) == {}
    given = {"env_vars": {"A": "1"}}
    assert build_environment(version(runtime_env=given)) == {"runtime_env": given}


def test_the_search_path_has_the_users_folders_only(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path), str(tmp_path / "missing")])
    found = read_search_path()
    assert str(tmp_path.resolve()) in found
    assert not any("site-packages" in folder or "missing" in folder for folder in found)


def test_a_search_path_is_added_once_and_last(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", ["/own"])
    extend_search_path(["/agents", "/own"])
    extend_search_path(["/agents"])
    assert sys.path == ["/own", "/agents"]
