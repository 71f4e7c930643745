"""Does the new version talk otherwise than the old one? Canary tasks against baseline tasks.

`look` asks all questions at once: figures of each task (`features`), choices of each role
(`transitions`), edges that only one arm uses (`edges`). `flood` needs no task's end, and
`interference` asks whether the comparison can be believed.
"""

from rolewise.graphs.expectations import Expectations
from rolewise.graphs.patterns.interference import Interference, find_interference
from rolewise.graphs.patterns.look import alpha_at, look, look_due, next_look_at
from rolewise.graphs.patterns.report import GraphDistance, PatternFinding, PatternReport

__all__ = [
    "Expectations",
    "GraphDistance",
    "Interference",
    "PatternFinding",
    "PatternReport",
    "alpha_at",
    "find_interference",
    "look",
    "look_due",
    "next_look_at",
]
