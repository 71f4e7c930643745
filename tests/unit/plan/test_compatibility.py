from collections.abc import Mapping
from typing import Any

import pytest

from rolewise.coordinator.plan.compatibility import Meeting, check_meetings
from tests.unit.plan.fleets import RUNNING, a_fleet

BOTH = ["quote@1", "quote@2"]


def meet(versions: Mapping[str, dict[str, Any]], stages: list[str]) -> Meeting:
    spec = a_fleet({role: {"v2": fields} for role, fields in versions.items()})
    return check_meetings(spec, RUNNING, RUNNING | dict.fromkeys(versions, "v2"), stages)


@pytest.mark.parametrize(
    ("versions", "stages"),
    [
        ({"pricing": {}}, ["pricing"]),
        ({"pricing": {"accepts": BOTH}}, ["pricing"]),
        (
            {"pricing": {"accepts": BOTH}, "negotiator": {"speaks": ["quote@2"]}},
            ["pricing", "negotiator"],
        ),
        ({"negotiator": {"accepts": ["deal@1", "price@1", "price@2"]}}, ["negotiator"]),
    ],
)
def test_versions_that_understand_each_other_may_meet(
    versions: dict[str, dict[str, Any]], stages: list[str]
) -> None:
    assert meet(versions, stages) == Meeting(problems=(), warnings=())


@pytest.mark.parametrize(
    ("versions", "stages", "problems"),
    [
        (
            {"pricing": {"accepts": ["quote@2"]}},
            ["pricing"],
            [
                (
                    "pricing@v2 does not accept quote@1, which negotiator@v1 speaks: "
                    "let pricing@v2 accept it as well until they have moved on"
                )
            ],
        ),
        (
            {"negotiator": {"speaks": ["quote@2"]}},
            ["negotiator"],
            [
                (
                    "negotiator@v2 speaks quote@2, but pricing@v1 accepts quote@1: "
                    "move pricing to a version that accepts quote@2 first"
                )
            ],
        ),
        (
            {"pricing": {"accepts": BOTH}, "negotiator": {"speaks": ["quote@2"]}},
            ["negotiator", "pricing"],
            [
                (
                    "negotiator@v2 speaks quote@2, but pricing@v1 accepts quote@1: "
                    "let pricing go before negotiator (give it a lower criticality)"
                )
            ],
        ),
        (
            {"pricing": {"speaks": ["price@2"]}},
            ["pricing"],
            [
                (
                    "pricing@v2 speaks price@2, but negotiator@v1 accepts price@1: "
                    "move negotiator to a version that accepts price@2 first"
                )
            ],
        ),
    ],
)
def test_a_pair_that_would_not_understand_each_other_is_named(
    versions: dict[str, dict[str, Any]], stages: list[str], problems: list[str]
) -> None:
    assert list(meet(versions, stages).problems) == problems


def test_what_cannot_be_checked_is_a_warning() -> None:
    found = meet(
        {"negotiator": {"speaks": ["quote@1", "gossip@1"]}, "pricing": {"accepts": []}},
        ["pricing", "negotiator"],
    )
    assert found == Meeting(
        problems=(),
        warnings=(
            "pricing@v2 declares less than pricing@v1: nothing to check it by",
            "negotiator@v2 speaks gossip@1, which no role declares to accept",
        ),
    )
