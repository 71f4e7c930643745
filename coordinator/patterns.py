"""What follows from patterns that differ: facts for the rollout machine. Pure.

Something worse rolls back at once; something different, about which nobody said whether it is
better or worse, pauses until a person has looked. `look` of `rolewise.graphs.patterns` says what
there is; here is only what to do about it.
"""

from __future__ import annotations

from collections.abc import Iterable

from rolewise.coordinator.judge.verdict import HardFact
from rolewise.graphs.patterns import PatternFinding, PatternReport
from rolewise.graphs.patterns.flood import Flood

MOST_TOLD = 8
"""Findings that a fact shows in detail."""


def pattern_facts(report: PatternReport) -> tuple[HardFact, ...]:
    """Return what follows from a look at the patterns: at most one rollback and one pause.

    The key of a fact names what was found, so that it pauses a rollout once: when a person has
    seen it and resumed, the same finding at the next look is no news.
    """
    alarms = [finding for finding in report.findings if finding.is_alarm]
    harm = [finding for finding in alarms if finding.direction == "harm"]
    other = [finding for finding in alarms if finding.direction == "neutral"]
    facts = []
    if harm:
        facts.append(_fact(harm, report, "rollback"))
    if other:
        facts.append(_fact(other, report, "pause"))
    return tuple(facts)


def flood_facts(floods: Iterable[Flood]) -> tuple[HardFact, ...]:
    """Return what follows from floods: a pause for each edge."""
    return tuple(
        HardFact(
            kind="flood",
            sentence=flood.sentence,
            reaction="pause",
            key=f"{flood.finding.what} {flood.arm.name.lower()}",
        )
        for flood in floods
    )


def _fact(findings: list[PatternFinding], report: PatternReport, reaction: str) -> HardFact:
    first, more = findings[0], len(findings) - 1
    also = f", and {more} more" if more else ""
    who = f"; choices changed at {', '.join(report.changed)}" if report.changed else ""
    felt = f"; felt at {', '.join(report.affected)}" if report.affected else ""
    return HardFact(
        kind="pattern",
        sentence=f"{first.sentence}{also}{who}{felt}",
        details=tuple(finding.sentence for finding in findings[:MOST_TOLD]),
        reaction="rollback" if reaction == "rollback" else "pause",
        key="; ".join(sorted(finding.what for finding in findings)),
    )
