"""Does the new version talk otherwise than the old one? Canary tasks against baseline tasks.

`look` asks all questions at once: figures of each task (`features`), choices of each role
(`transitions`), edges that only one arm uses (`edges`). `flood` needs no arms and no tasks.
"""

from rolewise.graphs.expectations import Expectations
from rolewise.graphs.patterns.look import (
    alpha_at,
    look,
    look_due,
    look_for_interference,
    next_look_at,
)
from rolewise.graphs.patterns.report import GraphDistance, PatternFinding, PatternReport

__all__ = [
    "Expectations",
    "GraphDistance",
    "PatternFinding",
    "PatternReport",
    "alpha_at",
    "look",
    "look_due",
    "look_for_interference",
    "next_look_at",
]
