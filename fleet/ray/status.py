"""How a replica is, from what it says of itself and what its fleet knows of it."""

from __future__ import annotations

from typing import Any

from ray.exceptions import ActorDiedError

from rolewise.agents.message import Address
from rolewise.fleet.ray.registry import Entered
from rolewise.fleet.ray.replica import Vital
from rolewise.fleet.runtime import ReplicaState, ReplicaStatus


def build_status(
    address: Address, entered: Entered, answer: Any, *, crashes: int, is_left_alone: bool
) -> ReplicaStatus:
    """Return a replica's status.

    Args:
        address: The replica.
        entered: Its entry.
        answer: Its `Vital`, or the error in its place; None when it was not asked.
        crashes: See `ReplicaStatus`.
        is_left_alone: It has died so often that it is not started for a while.
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
