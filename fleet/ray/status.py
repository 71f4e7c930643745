"""How a replica is, from what the fleet's head knows of it and what it says itself."""

from __future__ import annotations

from typing import Any

from ray.exceptions import ActorDiedError

from rolewise.agents.message import Address
from rolewise.fleet.ray.registry import Entered
from rolewise.fleet.ray.replica import Vital
from rolewise.fleet.runtime import ReplicaState, ReplicaStatus


def tell_status(
    address: Address, entered: Entered, answer: Any, *, crashes: int, is_left_alone: bool
) -> ReplicaStatus:
    """Return how a replica is.

    Args:
        address: The replica.
        entered: What the head keeps of it.
        answer: A `Vital`, or the error in its place; None when it was not asked.
        crashes: Deaths of its own doing.
        is_left_alone: It has died too often, and is not started again for a while.
    """
    vital = answer if isinstance(answer, Vital) else Vital()
    state, reason = ReplicaState.STARTING, entered.trouble
    if vital.is_open:
        state = ReplicaState.DRAINING if entered.is_draining else ReplicaState.READY
    elif is_left_alone or isinstance(answer, ActorDiedError):
        state, reason = ReplicaState.FAILED, entered.trouble or str(answer)
    elif isinstance(answer, Exception):
        reason = reason or f"does not answer: {answer}"
    return ReplicaStatus(
        replica=str(address),
        role=address.role,
        version=address.version,
        state=state,
        restarts=max(0, entered.joins - 1),
        crashes=crashes,
        table=vital.table,
        running=vital.running,
        queued=vital.queued,
        reason=reason,
    )
