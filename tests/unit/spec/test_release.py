import pytest

from rolewise.fleet.release import (
    TargetError,
    definition,
    diff_release,
    first_release,
    parse_target,
)
from rolewise.fleet.spec import parse_fleet
from tests.unit.spec.fleets import FLEET

SPEC = parse_fleet(FLEET)
RUNNING = {"supplier": "v1", "negotiator": "v1", "orchestrator": "v1"}


def test_a_release_of_some_roles_leaves_the_others_as_they_run() -> None:
    assert parse_target("v2", SPEC, RUNNING) == RUNNING | {"supplier": "v2", "negotiator": "v2"}
    assert parse_target("v2", SPEC, RUNNING | {"orchestrator": "v0"})["orchestrator"] == "v0"


def test_pairs_name_versions_one_by_one() -> None:
    assert parse_target(" supplier=v2 , negotiator = v2", SPEC, RUNNING) == (
        RUNNING | {"supplier": "v2", "negotiator": "v2"}
    )


@pytest.mark.parametrize(
    ("text", "problems"),
    [
        (
            "v22",
            ["no release 'v22': did you mean v2?; or say role=version,role=version"],
        ),
        ("", ["no release '': want one of v1, v2; or say role=version,role=version"]),
        (
            "suplier=v2,negotiator=v3,,supplier=v2,supplier=v1,a=b=c,orchestrator=",
            [
                "no role 'suplier': did you mean supplier?",
                "role negotiator has no version 'v3': want one of v1, v2",
                "'': want role=version",
                "role supplier is given twice",
                "'a=b=c': want role=version",
                "'orchestrator=': want role=version",
            ],
        ),
    ],
)
def test_all_that_is_wrong_with_a_target_is_told(text: str, problems: list[str]) -> None:
    with pytest.raises(TargetError) as caught:
        parse_target(text, SPEC, RUNNING)
    assert list(caught.value.problems) == problems


def test_releases_differ_by_role() -> None:
    assert diff_release(RUNNING, RUNNING | {"supplier": "v2"}) == {"supplier": ("v1", "v2")}
    assert diff_release({"a": "v1"}, {"b": "v1"}) == {"a": ("v1", ""), "b": ("", "v1")}
    assert diff_release(RUNNING, dict(RUNNING)) == {}
    assert first_release(SPEC) == RUNNING


def test_a_definition_has_the_role_s_settings_and_the_model_in_its_config() -> None:
    negotiator = definition(SPEC, "negotiator", "v2")
    assert negotiator.config == {"rounds": 3, "model": "small-5", "prompts": {"system": "Bargain."}}
    supplier = definition(SPEC, "supplier", "v1")
    assert (supplier.role, supplier.version, supplier.slots) == ("supplier", "v1", 2)
    assert supplier.resources == {"cpu": 0.05, "memory_bytes": 64 * 2**20, "dock": 1}
    assert (supplier.labels, supplier.runtime_env) == (None, None)
