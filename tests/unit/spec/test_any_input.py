"""Whatever stands in a file, the answer is a spec or a list of problems: never another error."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from rolewise.fleet.spec import FleetSpec, Problem, SpecError, parse_fleet
from tests.unit.spec.fleets import FLEET

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(10**20), 10**20)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8)
    | st.sampled_from(["v1", "supplier", "5%", "10s", "64MiB", "full", "task.latency", "absolute"])
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner),
    max_leaves=6,
)


def places(node: Any) -> Iterator[tuple[Any, Any]]:
    keys = node if isinstance(node, dict) else range(len(node)) if isinstance(node, list) else ()
    for key in keys:
        yield node, key
        yield from places(node[key])


def read(text: str) -> tuple[FleetSpec | None, tuple[Problem, ...]]:
    try:
        return parse_fleet(text), ()
    except SpecError as error:
        return None, error.problems


@given(st.data())
def test_a_file_with_anything_anywhere_is_read_or_refused(data: st.DataObject) -> None:
    tree = YAML(typ="safe").load(FLEET)
    found = list(places(tree))
    for _ in range(data.draw(st.integers(1, 2))):
        node, key = found[data.draw(st.integers(0, len(found) - 1))]
        node[key] = data.draw(VALUES)
    text = json.dumps(tree)
    spec, problems = read(text)
    if spec is None:
        assert problems
        assert all(problem.message and problem.line == 1 for problem in problems)
    else:
        assert FleetSpec.model_validate_json(spec.model_dump_json()) == spec
        assert parse_fleet(json.dumps(spec.model_dump(mode="json"))) == spec


@given(st.text(alphabet=st.characters(codec="utf-8"), max_size=60))
def test_any_text_is_refused_in_words(text: str) -> None:
    with pytest.raises(SpecError):
        parse_fleet(text)
