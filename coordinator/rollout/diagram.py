"""Print the machine for people, from its own table.

`python -m rolewise.coordinator.rollout.diagram > docs/reference/rollout-machine.md` writes the
reference page; a test fails when that page is out of date.
"""

from __future__ import annotations

import sys
from collections import defaultdict

from rolewise.coordinator.rollout import advance, requests
from rolewise.coordinator.rollout.decide import TABLE
from rolewise.coordinator.rollout.requests import Request
from rolewise.coordinator.rollout.state import Phase

_REQUESTS: tuple[type[Request], ...] = (
    requests.Start,
    requests.Pause,
    requests.Resume,
    requests.Promote,
    requests.Abort,
    requests.Retry,
    requests.Undo,
    requests.Tick,
    requests.Acknowledge,
    requests.TakeOver,
)
_PHASES: tuple[Phase | None, ...] = (None, *Phase)


def render_page() -> str:
    """Return the reference page of the machine, in Markdown."""
    life = (advance.__doc__ or "").split("\n\n")[1]
    lines = [
        "# The rollout machine",
        "",
        "Generated from the table in `coordinator/rollout/decide.py`, which also holds the theory",
        "of operation. Do not edit it here; write it anew with",
        "`python -m rolewise.coordinator.rollout.diagram > docs/reference/rollout-machine.md`.",
        "",
        "## Phases",
        "",
        *_diagram(),
        "",
        "## What may be asked when",
        "",
        "A blank cell is refused, and nothing changes. Operators press the first seven; the",
        "controller sends the other three. A `~` depends on more than the phase.",
        "",
        *_matrix(),
        "",
        "## What follows",
        "",
        *_effects(),
        "",
        "## The life of a stage",
        "",
        "```",
        life,
        "```",
        "",
        "Any of them but `waiting` and `done` may turn to `reverting` and end as `reverted`; with",
        "`on_stage_failure: roll_back_all` so may `done`.",
    ]
    return "\n".join(lines) + "\n"


def _diagram() -> list[str]:
    causes: dict[tuple[str, str], list[str]] = defaultdict(list)
    for (phase, kind), rule in TABLE.items():
        for target in rule.to:
            causes["[*]" if phase is None else phase.value, target.value].append(_name(kind))
    edges = [f"    {start} --> {end}: {', '.join(by)}" for (start, end), by in causes.items()]
    return ["```mermaid", "stateDiagram-v2", *edges, "    completed --> [*]", "```"]


def _matrix() -> list[str]:
    head = [_phase_name(phase) for phase in _PHASES]
    rows = [[_name(kind), *(_mark((phase, kind)) for phase in _PHASES)] for kind in _REQUESTS]
    return _markdown_table(["request", *head], rows)


def _effects() -> list[str]:
    rows = [
        [
            _phase_name(phase),
            _name(kind),
            TABLE[phase, kind].says,
            ", ".join(TABLE[phase, kind].to) or "stays",
        ]
        for phase in _PHASES
        for kind in _REQUESTS
        if (phase, kind) in TABLE
    ]
    return _markdown_table(["phase", "request", "effect", "may lead to"], rows)


def _mark(key: tuple[Phase | None, type[Request]]) -> str:
    rule = TABLE.get(key)
    if rule is None:
        return ""
    return "yes" if rule.check is None else "~"


def _markdown_table(head: list[str], rows: list[list[str]]) -> list[str]:
    return [f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *rows)]


def _name(kind: type[Request]) -> str:
    return kind.__name__.lower()


def _phase_name(phase: Phase | None) -> str:
    return "(none)" if phase is None else phase.value


if __name__ == "__main__":
    sys.stdout.write(render_page())
