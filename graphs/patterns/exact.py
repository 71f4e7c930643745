"""Exact chances of counts in two groups of tasks."""

from __future__ import annotations

from math import exp, lgamma


def fisher(x: int, n: int, y: int, m: int) -> float:
    """Return Fisher's one-sided p: the chance of `x` or more in the first group.

    Args:
        x: Tasks of the first group that have it.
        n: Tasks of the first group.
        y: Tasks of the second group that have it.
        m: Tasks of the second group.
    """
    users = x + y
    whole = log_choose(n + m, users)
    terms = [
        exp(log_choose(n, k) + log_choose(m, users - k) - whole)
        for k in range(max(x, users - m), min(users, n) + 1)
    ]
    return min(1.0, sum(terms))


def log_choose(n: int, k: int) -> float:
    """Return the logarithm of the number of ways to choose `k` of `n`."""
    return lgamma(n + 1) - lgamma(k + 1) - lgamma(n - k + 1)
