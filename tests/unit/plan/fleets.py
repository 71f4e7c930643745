"""Fleets to plan for: pricing <- negotiator <- orchestrator, with message kinds."""

from collections.abc import Mapping
from typing import Any

from rolewise.coordinator.plan.order import place_roles
from rolewise.fleet.spec import FleetSpec

AGENT = "tests.unit.plan.fleets:agent"
RUNNING = {"pricing": "v1", "negotiator": "v1", "orchestrator": "v1"}


async def agent(message: object, ctx: object) -> object:
    """Stand for every agent."""
    return message, ctx


def a_version(**fields: Any) -> dict[str, Any]:
    return {"agent": AGENT, **fields}


def a_fleet(versions: Mapping[str, Mapping[str, Any]] | None = None, **changes: Any) -> FleetSpec:
    """Return a fleet with v1 of all roles, and `versions`: role -> version -> fields."""
    roles: dict[str, dict[str, Any]] = {
        "pricing": {"versions": {"v1": a_version(accepts=["quote@1"], speaks=["price@1"])}},
        "negotiator": {
            "calls": ["pricing"],
            "versions": {
                "v1": a_version(accepts=["deal@1", "price@1"], speaks=["quote@1"]),
            },
        },
        "orchestrator": {
            "calls": ["negotiator"],
            "versions": {"v1": a_version(speaks=["deal@1"])},
        },
    }
    for role, more in (versions or {}).items():
        for version, fields in more.items():
            base = roles[role]["versions"]["v1"]
            roles[role]["versions"][version] = base | {"config": {"is": version}} | fields
    for role, fields in changes.pop("roles", {}).items():
        roles[role] |= fields
    return FleetSpec.model_validate(
        {
            "fleet": "shop",
            "entry": ["orchestrator"],
            "roles": roles,
            "releases": {"v1": RUNNING},
            "release": "v1",
            **changes,
        }
    )


def all_v2(**changes: Any) -> FleetSpec:
    return a_fleet({role: {"v2": {}} for role in RUNNING}, **changes)


__all__ = ["RUNNING", "a_fleet", "a_version", "all_v2", "place_roles"]
