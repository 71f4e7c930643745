"""Which of several signals are to blame, once one of them is harm.

Closed testing with averages: signal i is named when, for every set of signals that has it in it,
the average of their evidence is large enough. Then all that are named are truly worse but for a
chance of alpha, whatever the signals have to do with each other. It names signals that would not
reach the threshold which each has alone. For a longer list with few false names, e-BH.
References: Vovk and Wang (2021), doi:10.1214/20-AOS2020; Wang and Ramdas (2022),
doi:10.1111/rssb.12489.
"""

from __future__ import annotations

from collections.abc import Sequence


def closed_averages(evidence: Sequence[float]) -> list[float]:
    """Return each signal's evidence adjusted for the others: name those that reach 1 / alpha.

    Args:
        evidence: e-values, one a signal, of the same tasks.

    Notes:
        Of all sets with the signal in it, the weakest has the k smallest of the others, for some k.
    """
    adjusted = []
    for place, own in enumerate(evidence):
        others = sorted(value for other, value in enumerate(evidence) if other != place)
        total, least = own, own
        for count, value in enumerate(others, start=2):
            total += value
            least = min(least, total / count)
        adjusted.append(least)
    return adjusted


def discoveries(evidence: Sequence[float], alpha: float) -> list[int]:
    """Return the places of signals to look into; on average a share of `alpha` of them is innocent.

    Args:
        evidence: e-values, one a signal.
        alpha: The false discovery rate.
    """
    ranked = sorted(range(len(evidence)), key=lambda place: -evidence[place])
    last = 0
    for rank, place in enumerate(ranked, start=1):
        if evidence[place] >= len(evidence) / (alpha * rank):
            last = rank
    return sorted(ranked[:last])
