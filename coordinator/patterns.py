"""What follows from patterns that differ: facts for the rollout machine. Pure.

Something worse rolls back at once; something different, about which nobody said whether it is
better or worse, pauses until a person has looked. `look` of `rolewise.graphs.patterns` says what
there is; here is only what to do about it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

from rolewise.coordinator.judge.analysis import Reaction
from rolewise.coordinator.judge.verdict import HardFact
from rolewise.graphs.patterns import Interference, PatternFinding, PatternReport
from rolewise.graphs.patterns.flood import Flood

MOST_TOLD = 8
"""Findings that a fact shows in detail."""


def pattern_facts(
    report: PatternReport, *, harm: Reaction = "rollback", different: Reaction = "pause"
) -> tuple[HardFact, ...]:
    """Return what follows from a look at the patterns: at most one fact for each direction.

    The key of a fact names what was found, so that it pauses a rollout once: when a person has
    seen it and resumed, the same finding at the next look is no news.

    Args:
        report: The look.
        harm: What follows where something is worse; with `hold` nothing does.
        different: What follows where something is different, and nobody said whether that is bad.
    """
    alarms = [finding for finding in report.findings if finding.is_alarm]
    facts = []
    for direction, reaction in (("harm", harm), ("neutral", different)):
        found = [finding for finding in alarms if finding.direction == direction]
        if found and reaction != "hold":
            facts.append(_fact(found, report, reaction))
    return tuple(facts)


def flood_facts(
    floods: Iterable[Flood], *, reaction: Reaction = "rollback"
) -> tuple[HardFact, ...]:
    """Return what follows from floods: one fact for each edge and arm.

    Args:
        floods: Those that go on now.
        reaction: What follows from one that is the canary's own. Others have nothing to do with
            the release, or may have nothing: they pause at most, so that somebody looks.
    """
    return tuple(
        HardFact(
            kind="flood",
            sentence=flood.sentence,
            details=flood.details,
            reaction="rollback" if flood.is_own and reaction == "rollback" else "pause",
            key=f"{flood.finding.what} {flood.arm.name.lower()}",
        )
        for flood in floods
        if flood.is_common and not flood.is_open and reaction != "hold"
    )


def interference_facts(
    found: Sequence[Interference], *, reaction: Literal["pause", "hold"] = "pause"
) -> tuple[HardFact, ...]:
    """Return what follows where the baseline fares worse since the canary runs: one pause.

    Its key names what canary tasks ask for more: the same role again is no news.
    """
    if not found or reaction == "hold":
        return ()
    roles = sorted({one.role for one in found})
    return (
        HardFact(
            kind="interference",
            sentence=f"interference: {found[0].sentence}",
            details=tuple(
                dict.fromkeys(line for one in found[:MOST_TOLD] for line in (one.worse, one.more))
            ),
            reaction="pause",
            key=f"interference {', '.join(roles)}",
        ),
    )


def _fact(
    findings: list[PatternFinding], report: PatternReport, reaction: Literal["rollback", "pause"]
) -> HardFact:
    first, more = findings[0], len(findings) - 1
    also = f", and {more} more" if more else ""
    who = f"; choices changed at {', '.join(report.changed)}" if report.changed else ""
    felt = f"; felt at {', '.join(report.affected)}" if report.affected else ""
    return HardFact(
        kind="pattern",
        sentence=f"{first.sentence}{also}{who}{felt}",
        details=tuple(finding.sentence for finding in findings[:MOST_TOLD]),
        reaction=reaction,
        key="; ".join(sorted(finding.what for finding in findings)),
    )
