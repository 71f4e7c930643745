"""How far two distributions are apart."""

from __future__ import annotations

import numpy as np

from rolewise.graphs.task_rows import Figures


def root_js(one: Figures, other: Figures) -> Figures:
    """Return the root of the Jensen-Shannon divergence: 0 alike, 1 nothing in common.

    Args:
        one: Shares that sum to 1 along the last axis; there may be many distributions.
        other: Likewise.
    """
    between = (one + other) / 2
    divergence = _entropy(between) - (_entropy(one) + _entropy(other)) / 2
    return np.asarray(np.sqrt(np.maximum(divergence, 0.0)))


def _entropy(shares: Figures) -> Figures:
    logs = np.log2(shares, out=np.zeros_like(shares), where=shares > 0)
    return np.asarray(-(shares * logs).sum(axis=-1))
