"""What a fleet's actors are called on a Ray cluster, so that any process can find them."""

from __future__ import annotations

from rolewise.agents.message import Address

NAMESPACE = "rolewise"


def prefix(fleet: str) -> str:
    """Return how the names of all actors of a fleet begin."""
    return f"rolewise:{fleet}:"


def head_name(fleet: str) -> str:
    """Return the name of the actor that knows the fleet's replicas."""
    return f"{prefix(fleet)}head"


def gateway_name(fleet: str) -> str:
    """Return the name of the actor that takes the fleet's tasks."""
    return f"{prefix(fleet)}gateway"


def collector_name(fleet: str, shard: int) -> str:
    """Return the name of the actor that folds one shard of the telemetry."""
    return f"{prefix(fleet)}collector:{shard}"


def memory_name(fleet: str) -> str:
    """Return the name of the actor that keeps what the roles remember."""
    return f"{prefix(fleet)}memory"


def replica_name(fleet: str, address: Address) -> str:
    """Return the name of a replica's actor."""
    return f"{prefix(fleet)}replica:{address}"


def page_prefix(fleet: str) -> str:
    """Return how the names begin under which the gateway's accounts are kept."""
    return f"{prefix(fleet)}accounts:"


def memory_prefix(fleet: str) -> str:
    """Return how the names begin under which is kept what roles remember."""
    return f"{prefix(fleet)}memory:"
