"""The shipped fleet files load, and every version in them is one that starts."""

from __future__ import annotations

import importlib
import itertools
from pathlib import Path

import pytest

from rolewise.agents import load_agent
from rolewise.fleet.spec import FleetSpec, load_fleet

CONFIGS = sorted((Path(__file__).parents[3] / "configs").glob("*.yaml"))


@pytest.fixture(params=CONFIGS, ids=lambda path: path.stem)
def spec(request: pytest.FixtureRequest) -> FleetSpec:
    return load_fleet(request.param)


def test_there_are_the_three_examples() -> None:
    names = {path.stem for path in CONFIGS}
    assert {"supply-chain", "replay-retail", "replay-airline"} <= names


def test_every_version_loads_with_its_config(spec: FleetSpec) -> None:
    for role in spec.roles.values():
        for version in role.versions.values():
            assert load_agent(version.agent, version.config).accepts


def test_the_entry_role_takes_every_task_of_the_workload(spec: FleetSpec) -> None:
    assert spec.workload is not None
    module, _, name = spec.workload.source.partition(":")
    source = getattr(importlib.import_module(module), name)
    entry = spec.roles[spec.entry[0]]
    for version in entry.versions.values():
        accepts = load_agent(version.agent, version.config).accepts
        for task in itertools.islice(source(1), 100):
            accepts[task["kind"]].model_validate(task["body"])
