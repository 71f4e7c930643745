"""Strata: labellings keep each stratum's arms, all are equally likely, figures are exact."""

from __future__ import annotations

from itertools import combinations, product
from math import comb

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from rolewise.graphs.patterns.strata import Strata

TASKS = st.lists(st.tuples(st.booleans(), st.integers(0, 4)), min_size=1, max_size=40)


def strata_of(tasks):
    canary, stratum = (np.array(column) for column in zip(*tasks, strict=True))
    return Strata(canary.astype(bool), stratum.astype(np.int32)), canary.astype(bool), stratum


@settings(deadline=None)
@given(TASKS, st.integers(0, 2**32))
def test_labellings_keep_the_arms_of_each_stratum(tasks, seed):
    strata, canary, stratum = strata_of(tasks)

    labels = strata.draw(7, np.random.default_rng(seed))

    assert labels.shape == (7, len(strata))
    used = stratum[strata.rows]
    for number in set(used.tolist()):
        inside = used == number
        assert (labels[:, inside].sum(axis=1) == canary[stratum == number].sum()).all()
    both = {s for s in set(stratum.tolist()) if len(set(canary[stratum == s].tolist())) == 2}
    assert set(used.tolist()) == both
    assert sorted(strata.rows.tolist()) == [i for i, s in enumerate(stratum) if s in both]
    assert strata.tasks_canary == canary[strata.rows].sum()


def test_all_labellings_are_equally_likely():
    strata = Strata(
        np.array([1, 0, 0, 0, 1, 1, 0], bool), np.array([5, 5, 5, 5, 2, 2, 2], np.int32)
    )
    draws = 36_000

    labels = strata.draw(draws, np.random.default_rng(1))

    seen, counts = np.unique(labels, axis=0, return_counts=True)
    expected = draws / (comb(4, 1) * comb(3, 2))
    assert len(seen) == comb(4, 1) * comb(3, 2)
    chi_square = ((counts - expected) ** 2 / expected).sum()
    assert chi_square < 31.3, "11 degrees of freedom: beyond 31.3 once in a thousand"


@given(TASKS, st.integers(0, 2**16))
def test_variance_is_that_of_all_labellings(tasks, seed):
    tasks = [(c, s % 2) for c, s in tasks[:9]]
    strata, _, _ = strata_of(tasks)
    if len(strata) == 0:
        return
    values = np.random.default_rng(seed).normal(size=(len(strata), 2))
    centred = strata.centre(values)

    spans = [
        range(start, start + size)
        for start, size in zip(strata.starts.tolist(), strata.sizes.tolist(), strict=True)
    ]
    ways = product(*(combinations(s, int(c)) for s, c in zip(spans, strata.canaries, strict=True)))
    sums = [centred[[i for part in way for i in part]].sum(axis=0) for way in ways]

    np.testing.assert_allclose(np.mean(sums, axis=0), 0, atol=1e-9)
    np.testing.assert_allclose(
        np.var(sums, axis=0), strata.variance(centred), rtol=1e-9, atol=1e-12
    )


def test_means_do_not_move_with_the_mix_of_types():
    stratum = np.repeat([0, 1], [100, 100])
    canary = np.zeros(200, bool)
    canary[:80] = canary[100:110] = True  # most canaries are of type 0
    values = np.where(stratum == 0, 1.0, 9.0)[:, None]
    strata = Strata(canary, stratum)

    on_canary, baseline = strata.weighted_means(values[strata.rows])

    np.testing.assert_allclose(on_canary, baseline)


def test_columns_that_only_some_have_are_centred_among_them():
    strata = Strata(np.array([1, 0, 0, 1], bool), np.zeros(4, np.int32))
    values = np.array([[4.0], [2.0], [0.0], [0.0]])
    users = values > 0

    assert strata.centre(values, users).ravel().tolist() == [1.0, -1.0, 0.0, 0.0]


def test_equal_seeds_draw_alike():
    strata = Strata(np.arange(50) % 3 == 0, np.arange(50) % 2)

    one, other = (strata.draw(3, np.random.default_rng(9)) for _ in range(2))

    assert (one == other).all()
