"""One number for people: how far apart are the two arms' graphs, and is that more than chance?"""

from __future__ import annotations

import numpy as np

from rolewise.graphs.patterns.columns import sends_matrix
from rolewise.graphs.patterns.divergence import root_js
from rolewise.graphs.patterns.relabelling import relabelled_sums
from rolewise.graphs.patterns.report import GraphDistance
from rolewise.graphs.patterns.strata import Strata
from rolewise.graphs.task_rows import Figures, TaskRows

DRAWS = 999


def graph_distance(
    rows: TaskRows, strata: Strata, *, rng: np.random.Generator
) -> GraphDistance | None:
    """Compare the shares of all messages that go over each edge.

    Args:
        rows: Closed tasks.
        strata: Arms and strata.
        rng: Draws relabellings.

    Returns:
        None when an arm sent nothing. It decides nothing: the families do.
    """
    sends = sends_matrix(rows, strata)
    if len(strata) == 0 or not sends[strata.canary].any() or not sends[~strata.canary].any():
        return None
    total = sends.sum(axis=0)
    seen = _distances(sends[strata.canary].sum(axis=0)[None, :], total)[0]
    drawn = np.concatenate(
        [
            _distances(np.rint(sums[:, 0].astype(np.float64)), total)
            for sums in relabelled_sums(strata, sends.astype(np.float32), DRAWS, rng)
        ]
    )
    return GraphDistance(
        value=float(seen),
        null_95=float(np.quantile(drawn, 0.95)),
        p=float((1 + (drawn >= seen - 1e-9).sum()) / (len(drawn) + 1)),
    )


def _distances(canary: Figures, total: Figures) -> Figures:
    return root_js(_normed(canary), _normed(total - canary))


def _normed(counts: Figures) -> Figures:
    return np.asarray(counts / np.maximum(counts.sum(axis=1, keepdims=True), 1.0))
