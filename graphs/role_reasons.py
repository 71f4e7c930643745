"""Why a role has its place, in one sentence for people."""

from __future__ import annotations

from rolewise.graphs.role_figures import RoleFigures


def reason_of(
    figures: RoleFigures, tier_reason: str, *, few: RoleFigures | None, is_known: bool
) -> str:
    """Return the sentence.

    Args:
        figures: What the place rests on.
        tier_reason: Why it comes after all members, if it does.
        few: What was observed of it, if that was too little to go by.
        is_known: It was seen or is declared at all.
    """
    if not is_known:
        return "no call to it was seen or is declared"
    parts = _observed(figures) if figures.tasks else [_declared(figures)]
    if few is not None:
        parts.append(f"few observations: {round(few.tasks_with_it)} tasks with it")
    both_ways = sorted(set(figures.callees) & set(figures.callers))
    if figures.waits_for:
        parts.append(f"waits for {_names(figures.waits_for)}")
    if figures.waited_by:
        parts.append(f"is waited for by {_names(figures.waited_by)}")
    told = sorted(set(figures.callees) - set(figures.waits_for))
    if told:
        parts.append(f"tells {_names(told)}")
    if both_ways:
        them = _names(both_ways)
        parts.append(f"{them} and it talk both ways: order between them is by blast radius")
    if figures.only_way_to:
        parts.append(f"the only way to {_names(figures.only_way_to)}")
    if tier_reason:
        parts.append(tier_reason)
    return "; ".join(parts)


def _observed(figures: RoleFigures) -> list[str]:
    bound = "" if figures.exact else "up to "
    lost = f"{bound}{figures.blast:.0%} of all tasks would be lost without it"
    seen = figures.failures
    if seen.tasks:
        how = "injected" if seen.injected else "observed"
        lost += f" ({seen.lost} of {seen.tasks} {how} failures took the task with them)"
    return [f"used in {bound}{figures.use:.0%} of {figures.tasks} tasks", lost]


def _declared(figures: RoleFigures) -> str:
    return f"by declared calls: used in about {figures.use:.0%} of tasks"


def _names(names: tuple[str, ...] | list[str]) -> str:
    return ", ".join(names)
