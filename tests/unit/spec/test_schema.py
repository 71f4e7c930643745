from pathlib import Path
from typing import Any

import jsonschema
import pytest
from ruamel.yaml import YAML

from rolewise.fleet.spec import load_fleet, parse_fleet
from rolewise.fleet.spec.reference import published_files
from rolewise.fleet.spec.schema import fleet_schema
from tests.unit.spec.fleets import FLEET, broken

ROOT = Path(__file__).parents[3]
EXAMPLES = sorted((ROOT / "configs").glob("*.yaml"))


def check(text: str) -> list[str]:
    validator = jsonschema.Draft202012Validator(fleet_schema())
    return [error.json_path for error in validator.iter_errors(YAML(typ="safe").load(text))]


@pytest.mark.parametrize("path", published_files())
def test_what_is_published_is_what_the_models_say(path: str) -> None:
    """When it fails: python -m rolewise.fleet.spec.reference."""
    assert (ROOT / path).read_text(encoding="utf-8") == published_files()[path]


def fields(node: Any) -> list[tuple[str, dict[str, Any]]]:
    blocks = [node, *node["$defs"].values()]
    return [field for block in blocks for field in block["properties"].items()]


def test_every_field_is_described() -> None:
    bare = [name for name, field in fields(fleet_schema()) if not field.get("description")]
    assert bare == []


def test_the_schema_takes_what_the_loader_takes() -> None:
    assert check(FLEET) == []
    spec = parse_fleet(FLEET)
    assert check(spec.model_dump_json(exclude_none=True)) == []


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_the_example_files_are_right_for_both(path: Path) -> None:
    load_fleet(path)
    assert check(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    ("old", "new", "place"),
    [
        ("slots: 2", "slots: 0", "$.roles.supplier.slots"),
        ("slots: 2", "slotz: 2", "$.roles.supplier"),
        ("drain: 3s", "drain: 3", "$.stages.negotiator.canary.drain"),
        (
            "[rfq@1], speaks: [offer@1]}\n      v2",
            "[rfq], speaks: []}\n      v2",
            "$.roles.supplier.versions.v1.accepts[0]",
        ),
        ("tolerate: 5%", "tolerate: 5", "$.analysis_templates.health.signals[0].tolerate"),
        ("- set_weight: 50", "- {}", "$.strategy.canary.steps[2]"),
        ("criticality: low", "criticality: 101", "$.roles.supplier.criticality"),
        ("memory: 64MiB", "memory: 64", "$.defaults.resources.memory"),
    ],
)
def test_the_schema_refuses_what_the_loader_refuses(old: str, new: str, place: str) -> None:
    assert check(broken(old, new)) == [place]
