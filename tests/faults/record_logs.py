"""Records logs as this version of Rolewise writes them, to be replayed by every later one.

    python -m tests.faults.record_logs tests/faults/logs/VERSION

Once for each version that is released; what is there already is never written anew. Together the
logs have every kind of entry. Beside each log stands where it leads to, told in plain JSON.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

from rolewise.coordinator.fleet_log import FleetState, decode_entry, fold_fleet
from rolewise.coordinator.rehearse import rehearse
from rolewise.coordinator.rollout.codec import decode_event, encode_event
from rolewise.coordinator.rollout.commands import describe_command
from rolewise.coordinator.rollout.decide import allowed_verbs
from rolewise.coordinator.rollout.events import Event
from rolewise.coordinator.rollout.evolve import replay
from rolewise.fleet.spec import parse_fleet
from tests.faults.chaos.history import play
from tests.scenario.stage import config

SEEDS = 400
"""Histories among which those are chosen that have entries of a kind that is missing."""


def outcome_of_rollout(entries: list[bytes]) -> dict[str, Any]:
    """Return where a rollout's log leads to."""
    state = replay(decode_event(entry) for entry in entries)
    return {
        "id": state.id,
        "phase": state.phase,
        "reason": state.reason,
        "sequence": state.sequence,
        "attempt": state.attempt,
        "stage": state.stage,
        "step": state.step,
        "statuses": list(state.statuses),
        "release": dict(state.release),
        "weight": state.weight,
        "table": state.table.number,
        "withdrawn": sorted("@".join(pair) for pair in state.table.withdrawn),
        "replicas": {f"{role}@{version}": n for (role, version), n in state.replicas.items()},
        "pending": "" if state.pending is None else describe_command(state.pending),
        "command": "" if state.pending is None else state.pending.id,
        "verdict": ""
        if state.verdict is None
        else f"{state.verdict.ruling}: {state.verdict.reason}",
        "facts": [] if state.rollback is None else [f.sentence for f in state.rollback.facts],
        "left": list(state.left),
        "fencing": state.fencing,
        "allowed": list(allowed_verbs(state)),
    }


def outcome_of_fleet(entries: list[bytes]) -> dict[str, Any]:
    """Return where a fleet's log leads to."""
    state = fold_fleet(FleetState(name="fleet"), (decode_entry(entry) for entry in entries))
    assert state.registered is not None
    return {
        "sequence": state.sequence,
        "release": dict(state.registered.release),
        "table": state.registered.table.number,
        "rollouts": [created.rollout for created in state.rollouts],
        "first events": [len(created.start) for created in state.rollouts],
        "reopened": state.reopened is not None,
        "keys": sorted(state.keys),
        "is_fresh": state.is_fresh,
    }


def logs() -> Iterator[tuple[str, list[bytes]]]:
    """Yield named logs that together have every kind of entry."""
    text = config("supply-chain")
    for to in ("v2", "v3-deadlock"):
        played = rehearse(parse_fleet(text), text, to, seed=0, limit_s=900.0)
        yield f"rollout-{to}", [encode_event(event) for _, event in played.events]
    missing = {kind.__name__ for kind in get_args(Event)} | {"RolloutReopened/2"}
    for seed in range(SEEDS):
        found = {
            stream: entries
            for stream, entries in play(seed).logs.items()
            if missing & {kind_of(entry) for entry in entries}
        }
        for stream, entries in found.items():
            missing -= {kind_of(entry) for entry in entries}
            yield f"{stream.replace('/', '-')}-of-{seed}", entries
    assert not missing, f"no history has {missing}"


def kind_of(entry: bytes) -> str:
    return json.loads(entry)["type"] if entry[:1] == b"{" else entry.partition(b" ")[0].decode()


def main(folder: Path) -> None:
    logging.disable(logging.CRITICAL)
    folder.mkdir(parents=True, exist_ok=False)
    for name, entries in logs():
        outcome = outcome_of_fleet if name.startswith("fleet") else outcome_of_rollout
        (folder / f"{name}.log").write_bytes(b"\n".join(entries) + b"\n")
        told = json.dumps(outcome(entries), indent=1, ensure_ascii=False)
        (folder / f"{name}.json").write_text(told + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
