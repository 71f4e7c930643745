"""What a comparison of patterns says: findings, and what they amount to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Family = Literal["features", "transitions", "edges", "flood"]
Direction = Literal["harm", "neutral", "expected"]
State = Literal["alarm", "quiet", "inconclusive"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PatternFinding:
    """One thing that differs between the arms.

    Attributes:
        family: Which test found it.
        what: Short and stable name: `sends planner -> supplier: rfq`.
        direction: `harm`: it is worse; `neutral`: it is different; `expected`: the fleet's file
            says that it would be, or it is worth a look only. The last one never is an alarm.
        p: Chance of so much under equal behaviour, over all columns of the family; 1 where no
            test was needed or made.
        alpha: What p had to stay below at this look.
        effect: Its size: a ratio, a difference of shares, or a distance; see `effect_unit`.
        effect_unit: `ratio`, `share`, `distance` (0 to 1), `per_task`.
        interval: 95 % of resampled tasks give an effect in it; None where not taken.
        baseline: Figure of the baseline, in the finding's own unit.
        canary: Figure of the canary.
        tasks_baseline: Baseline tasks that show it.
        tasks_canary: Canary tasks that show it.
        role: Role at which it shows.
        sentence: All of it in one sentence.
    """

    family: Family
    what: str
    direction: Direction
    sentence: str
    p: float = 1.0
    alpha: float = 0.0
    effect: float = 0.0
    effect_unit: Literal["ratio", "share", "distance", "per_task"] = "ratio"
    interval: tuple[float, float] | None = None
    baseline: float = 0.0
    canary: float = 0.0
    tasks_baseline: int = 0
    tasks_canary: int = 0
    role: str = ""

    @property
    def is_alarm(self) -> bool:
        """Whether something follows from it."""
        return self.direction != "expected"


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphDistance:
    """How far the arms' shares of messages on the edges are apart.

    Attributes:
        value: Root of the Jensen-Shannon divergence: 0 alike, 1 nothing in common.
        null_95: What equal behaviour stays below in 95 of 100 draws.
        p: Chance of so much under equal behaviour.
    """

    value: float
    null_95: float
    p: float


@dataclass(frozen=True, slots=True, kw_only=True)
class PatternReport:
    """What one look says.

    Attributes:
        state: `alarm`: at least one finding is one; `quiet`: none at this look, which is not the
            same as "alike": see `could_see`; `inconclusive`: telemetry does not allow to say.
        findings: Worst first.
        changed: Roles whose choices changed, given what they had received.
        affected: Roles at which counts, failures or times changed while their choices did not.
        tasks_baseline: Baseline tasks compared.
        tasks_canary: Canary tasks compared.
        look: Number of this look in the stage, from 0; None for one that was planned as the only.
        could_see: What this look could have seen, in words.
        reason: In one sentence.
        distance: See there; None without tasks.
    """

    state: State
    reason: str
    findings: tuple[PatternFinding, ...] = ()
    changed: tuple[str, ...] = ()
    affected: tuple[str, ...] = ()
    tasks_baseline: int = 0
    tasks_canary: int = 0
    look: int | None = None
    could_see: str = ""
    distance: GraphDistance | None = None

    @property
    def is_harm(self) -> bool:
        """Whether a finding says that the canary is worse, not just different."""
        return any(finding.direction == "harm" for finding in self.findings)
