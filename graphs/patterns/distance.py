"""One number for people: how far apart are the two arms' graphs, and is that more than chance?"""

from __future__ import annotations

import numpy as np

from rolewise.graphs.patterns.columns import sends_matrix
from rolewise.graphs.patterns.divergence import root_js
from rolewise.graphs.patterns.report import GraphDistance
from rolewise.graphs.patterns.strata import Labels, Strata
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
    seen = _distances(strata.canary[None, :].astype(np.float32), sends)[0]
    drawn = np.concatenate([_distances(chunk, sends) for chunk in strata.chunks(DRAWS, rng)])
    return GraphDistance(
        value=float(seen),
        null_95=float(np.quantile(drawn, 0.95)),
        p=float((1 + (drawn >= seen - 1e-9).sum()) / (DRAWS + 1)),
    )


def _distances(labels: Labels, sends: Figures) -> Figures:
    canary = (labels @ sends.astype(np.float32)).astype(np.float64)
    baseline = np.maximum(sends.sum(axis=0) - canary, 0.0)
    return root_js(_normed(canary), _normed(baseline))


def _normed(counts: Figures) -> Figures:
    return np.asarray(counts / np.maximum(counts.sum(axis=1, keepdims=True), 1.0))
