"""Averages of products, kept as logarithms, so that no evidence is too large or too small."""

from __future__ import annotations

from collections.abc import Sequence
from math import exp, log


def log_mean_exp(logs: Sequence[float], shares: Sequence[float]) -> float:
    """Return the logarithm of the mean of exponentials, safe for any size of them."""
    top = max(logs)
    return top + log(sum(share * exp(one - top) for one, share in zip(logs, shares, strict=True)))
