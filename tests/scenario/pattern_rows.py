"""Loops and patterns, injected: what a version does to the conversation, and its look-alikes.

Each case is a trading fleet whose version v2 misbehaves for half of the tasks; the detectors look
when 25, 50 and 100 canary tasks have closed, the flood guard every second.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType

import numpy as np

from rolewise.graphs.crossings import find_leaks
from rolewise.graphs.expectations import Expectations
from rolewise.graphs.interactions import DTYPE, Batch
from tests.scenario.detector_rows import Row
from tests.scenario.pattern_stage import RATE, Seen, Trial

HELP = ("planner", "helper", "help")


@dataclass(frozen=True, kw_only=True)
class Case:
    """One injected failure, what has to come of it, and its look-alike.

    Attributes:
        says: What goes wrong.
        trial: How to play it.
        follows: `rollback`, `pause` or `nothing`, of what the patterns say.
        flags: Livelock flags that must be raised by most canary tasks that show it.
        found: Findings that must be among the alarms.
        changed: Roles that must be named as changed; None where it does not matter.
        only: No alarm may be another than `found`.
        floods_by: Second of the trial by which the flood guard must have told.
        error: First word of the canary's failures.
        alike: What looks alike and is none, and how to play it.
    """

    says: str
    trial: Trial
    follows: str = "pause"
    flags: frozenset[str] = frozenset()
    found: tuple[str, ...] = ()
    changed: tuple[str, ...] | None = None
    only: bool = False
    floods_by: int | None = None
    error: str = ""
    state: str = "alarm"
    alike: tuple[str, Trial] | None = None


CASES: dict[int, Case] = {
    16: Case(
        says="negotiation ping-pong: the same offers for ever",
        trial=Trial(mode="haggles_for_ever", both={"planner": "haggles_to_an_end"}),
        follows="rollback",
        flags=frozenset({"ping_pong", "repeat"}),
        found=("livelock",),
        only=True,
        alike=(
            "a haggle as long whose gap shrinks with every turn",
            Trial(both={"planner": "haggles_to_an_end"}),
        ),
    ),
    17: Case(
        says="loop of three roles, the same content each time",
        trial=Trial(mode="goes_round", both={"planner": "polls_items"}),
        follows="rollback",
        flags=frozenset({"repeat"}),
        found=("livelock",),
        only=True,
        alike=(
            "three roles asked in turn for different items",
            Trial(both={"planner": "polls_items"}),
        ),
    ),
    18: Case(
        says="rephrasing loop: another text each time, no progress",
        trial=Trial(mode="rephrases", both={"planner": "brainstorms"}),
        follows="rollback",
        flags=frozenset({"stalled"}),
        found=("livelock",),
        only=True,
        alike=(
            "a brainstorm that writes an idea to memory at each turn",
            Trial(both={"planner": "brainstorms"}),
        ),
    ),
    19: Case(
        says="does not know that the task is over: sends 12 s after its end",
        trial=Trial(mode="forgets_the_end", both={"planner": "closes_late"}),
        follows="rollback",
        flags=frozenset({"after_the_end"}),
        found=("livelock", "sends after the end"),
        only=True,
        alike=("one closing event 5 s after the end", Trial(both={"planner": "closes_late"})),
    ),
    20: Case(
        says="delegation without end",
        trial=Trial(mode="delegates", both={"planner": "delegates_twelve"}),
        follows="rollback",
        flags=frozenset({"hops"}),
        found=("livelock", "failures", "longest chain"),
        error="loop_guard",
        alike=("a tree twelve messages deep", Trial(both={"planner": "delegates_twelve"})),
    ),
    21: Case(
        says="retry storm: five retries, 50 ms apart, on each failure of a tool that is out",
        trial=Trial(mode="retries_hard", both={"supplier": "breaks_briefly"}),
        follows="rollback",
        flags=frozenset({"retry_storm"}),
        # The agent asks again by itself: what the runtime sends again are the fold's retries.
        found=("livelock",),
        alike=(
            "one retry on each failure in both arms",
            Trial(both={"planner": "retries_once", "supplier": "breaks_briefly"}),
        ),
    ),
    22: Case(
        says="flood: fifty times the messages to one role",
        trial=Trial(mode="floods"),
        follows="rollback",
        flags=frozenset({"stalled"}),
        found=("sends planner -> warehouse: reserve",),
        floods_by=3,
        alike=(
            "twice the load in both arms",
            Trial(traffic=lambda second: (RATE if second < 0 else 2 * RATE, 0.8)),
        ),
    ),
    23: Case(
        says="messages of another form, refused by whoever gets them",
        trial=Trial(mode="sends_other_bodies"),
        follows="rollback",
        found=("failures", "unanswered or failed planner -> supplier: rfq"),
        alike=("a new optional field, accepted", Trial(mode="adds_a_field")),
    ),
    24: Case(
        says="a step is skipped: nothing is verified any more",
        trial=Trial(mode="skips_verification"),
        found=("vanished edge planner -> verifier: verify",),
        changed=("planner",),
        alike=(
            "tasks that want no verification become commoner in both arms",
            Trial(traffic=lambda second: (RATE, 0.8 if second < 10 else 0.2)),
        ),
    ),
    25: Case(
        says="calls a role that it never called",
        trial=Trial(mode="calls_a_new_role"),
        found=("new edge planner -> helper: help",),
        changed=("planner",),
        alike=(
            "the same, declared in the fleet's file",
            Trial(mode="calls_a_new_role", expectations=Expectations(declared=[HELP])),
        ),
    ),
    26: Case(
        says="the supplier rejects more quotes",
        trial=Trial(on_trial="supplier", mode="rejects"),
        found=("choices of supplier after 'rfq'",),
        changed=("supplier",),
        alike=(
            "a slump: more rejections in both arms",
            Trial(on_trial="supplier", both={"supplier": "slump"}),
        ),
    ),
    27: Case(
        says="answers faster, but wrong: only scores can tell",
        trial=Trial(on_trial="supplier", mode="quick_and_wrong"),
        follows="nothing",
        state="quiet",
        alike=("answers faster, and right", Trial(on_trial="supplier", mode="quick")),
    ),
    28: Case(
        says="slower at one edge, nearly twice as slow",
        trial=Trial(on_trial="supplier", mode="slow"),
        found=("latency planner -> supplier: rfq",),
        alike=(
            "a cold start of 20 s in one task of a hundred",
            Trial(on_trial="supplier", mode="starts_cold"),
        ),
    ),
    29: Case(
        says="wordy messages, five times as long",
        trial=Trial(mode="wordy"),
        found=("size planner -> supplier: rfq",),
        only=True,
        alike=("a huge attachment in one task of eighty", Trial(mode="attaches")),
    ),
    30: Case(
        says="a tenth of the canary's telemetry is lost",
        trial=Trial(lose={"v2": 0.1}),
        follows="nothing",
        state="inconclusive",
        alike=(
            "one delivery in a thousand is lost in both arms",
            Trial(lose={"v1": 0.001, "v2": 0.001}),
        ),
    ),
    31: Case(
        says="the canary's clock is five minutes ahead",
        trial=Trial(ahead_s={"v2": 300.0}),
        follows="nothing",
        state="quiet",
    ),
    32: Case(
        says="the mix of tasks shifts and their rate doubles, nothing else",
        trial=Trial(traffic=lambda second: (RATE, 0.8) if second < 10 else (2 * RATE, 0.1)),
        follows="nothing",
        state="quiet",
    ),
    34: Case(
        says="a broken lane: tasks meet two versions of one role",
        trial=Trial(on_trial="supplier", break_lane=True),
        follows="nothing",
        state="quiet",
        alike=("versions of different roles meet in one task", Trial(on_trial="supplier")),
    ),
}

FORBIDDEN = Trial(
    mode="calls_a_new_role", expectations=Expectations(forbidden=[("planner", "helper", "*")])
)


@cache
def bench() -> ModuleType:
    """Return the benchmark of the pattern tests, whose simulated fleets row 33 uses."""
    path = Path(__file__).parents[2] / "benchmarks" / "patterns.py"
    spec = importlib.util.spec_from_file_location("patterns_bench", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def mirrored_batch(*, leaks: bool) -> Batch:
    """Return a mirrored message, and what its handling sent: to the live fleet, or mirrored too."""
    records = np.zeros(2, DTYPE)
    records["msg"], records["inv"], records["task"] = [5, 6], [4, 5], 77
    records["src"], records["dst"], records["kind"] = [1, 2], [2, 3], 1
    records["flags"] = [8, 0 if leaks else 8]
    nodes = {0: "", 1: "planner@v1", 2: "supplier@v2", 3: "warehouse@v1"}
    return Batch(source="s", first_seq=0, records=records, nodes=nodes, kinds={0: "", 1: "reserve"})


def measure_rows() -> Iterator[Row]:
    """Play all of them, for the page."""
    for number, case in CASES.items():
        yield _row(number, case)
    yield _equal_arms(200)
    (leak,) = find_leaks([mirrored_batch(leaks=True)])
    drops = not list(find_leaks([mirrored_batch(leaks=False)]))
    yield Row(
        35,
        "mirrored work sends to live roles",
        f"leak: {leak.sentence}",
        "1 message",
        "its own messages are mirrored too: silent" if drops else "",
    )


def _row(number: int, case: Case) -> Row:
    seen = case.trial.play()
    silent = ""
    if case.alike is not None:
        words, trial = case.alike
        alike = trial.play()
        quiet = alike.alarm.state == "quiet" and not alike.flags and not alike.floods
        silent = f"{words}: {'silent' if quiet else alike.alarm.reason}"
    return Row(number, case.says, _told(case, seen), _after(case, seen), silent)


def _told(case: Case, seen: Seen) -> str:
    parts = []
    if seen.floods:
        parts.append("flood guard: pause")
    strong = [flag for flag, share in seen.flags.items() if flag in case.flags and share > 0]
    if strong:
        parts.append(f"flags {', '.join(strong)}")
    if seen.crossings:
        parts.append(f"{len(seen.crossings)} tasks: {seen.crossings[0].sentence}")
    if seen.alarm.state == "alarm":
        parts.append(f"{seen.alarm.reason}: {'rollback' if seen.alarm.is_harm else 'pause'}")
    elif seen.alarm.state == "inconclusive":
        parts.append(f"inconclusive: {seen.alarm.reason}")
    elif not parts:
        parts.append("nothing")
    if case.says.startswith("answers faster, but"):
        baseline, canary = seen.quality
        parts.append(f"the score says it: {canary:.2f} against {baseline:.2f}")
    return "; ".join(parts).replace("|", "\\|")


def _after(case: Case, seen: Seen) -> str:
    if seen.alarm.state == "quiet":
        return "" if not seen.crossings else "1 task"
    flood = f"{min(seen.floods) + 1} s, " if seen.floods else ""
    return f"{flood}{seen.after_tasks} canary tasks"


def _equal_arms(stages: int) -> Row:
    alarms = bench().false_alarms(stages, edges=20, looks=4, share=0.2, alpha=0.01, seed=3)
    return Row(
        33,
        f"nothing: {stages} trials of one version against itself",
        f"{alarms['any']} alarms in {stages} stages, 4 looks each; 1 % is allowed",
        "",
    )
