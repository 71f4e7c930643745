"""Rotations: true relabellings, the right sums, exact ranks."""

from __future__ import annotations

from itertools import combinations, product
from math import comb

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rolewise.graphs.patterns import rotations
from rolewise.graphs.patterns.relabelling import MANY, relabelled_sums
from rolewise.graphs.patterns.rotations import Rotations
from rolewise.graphs.patterns.strata import Strata

SHAPES = st.lists(
    st.tuples(st.integers(2, 9), st.integers(1, 8)).filter(lambda shape: shape[1] < shape[0]),
    min_size=1,
    max_size=6,
)


def strata_of(shapes, rng=None):
    """Strata of (size, canaries) each; their arms in order, or drawn."""
    stratum = np.repeat(np.arange(len(shapes)), [size for size, _ in shapes])
    canary = np.concatenate([np.arange(size) < canaries for size, canaries in shapes])
    if rng is not None:
        for number in range(len(shapes)):
            canary[stratum == number] = rng.permutation(canary[stratum == number])
    return Strata(canary, stratum)


def whole(strata):
    return [slice(0, len(strata))]


@settings(deadline=None)
@given(SHAPES, st.integers(1, 60), st.integers(0, 2**32), st.booleans())
def test_sums_are_those_of_labellings_that_keep_each_stratums_arms(shapes, total, seed, by_table):
    rng = np.random.default_rng(seed)
    strata = strata_of(shapes, rng)
    n = len(strata)
    cut = int(strata.sizes[0])
    parts = [slice(0, cut), slice(cut, n)] if n > cut else [slice(0, n)]
    # Columns that mark one task each: what they sum to is the labelling itself.
    values = np.column_stack([np.eye(n), rng.integers(0, 9, (n, 3))])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rotations, "ONE_BY_ONE", 0 if by_table else total)
        sums = np.concatenate(list(Rotations(strata, values, parts, rng).sums(total)))

    assert len(sums) >= total
    labels = np.zeros((len(sums), n))
    for number, part in enumerate(parts):
        labels[:, part] = np.rint(sums[:, number, part])
    np.testing.assert_allclose(sums[:, :, :n].sum(axis=1), labels, atol=1e-9)
    assert set(np.unique(labels)) <= {0.0, 1.0}
    for start, size, canaries in zip(strata.starts, strata.sizes, strata.canaries, strict=True):
        assert (labels[:, start : start + size].sum(axis=1) == canaries).all()
    for number, part in enumerate(parts):
        np.testing.assert_allclose(
            sums[:, number, n:], labels[:, part] @ values[part, n:], atol=1e-6
        )


def test_a_whole_orbit_gives_every_task_its_turn():
    strata = strata_of([(12, 5)], np.random.default_rng(1))

    found = Rotations(strata, np.eye(12), whole(strata), np.random.default_rng(2)).sums(11)
    labels = np.rint(np.concatenate(list(found))[:, 0])

    assert len(labels) == 11
    np.testing.assert_array_equal(labels.sum(axis=0) + strata.canary, np.full(12, 5))


@pytest.mark.parametrize("shapes", [[(7, 3)], [(3, 1), (3, 1)], [(2, 1), (4, 2)]])
def test_ranks_in_an_orbit_are_exact_over_all_ways_to_draw_the_arms(shapes):
    """As often as p says, and no more: counted over every labelling there is."""
    values = np.random.default_rng(3).normal(size=(sum(size for size, _ in shapes), 1)) ** 3
    ranks = []
    starts = np.cumsum([0, *(size for size, _ in shapes)])
    ways = product(
        *(
            combinations(range(start, start + size), canaries)
            for start, (size, canaries) in zip(starts, shapes, strict=False)
        )
    )
    for way in ways:
        strata = strata_of(shapes)
        strata.canary[:] = False
        strata.canary[[task for part in way for task in part]] = True
        turns = Rotations(strata, values, whole(strata), np.random.default_rng(4))
        sums = np.concatenate(list(turns.sums(turns.orbit - 1)))[:, 0, 0]
        seen = values[strata.canary].sum()
        ranks.append((1 + (sums >= seen - 1e-9).sum()) / (len(sums) + 1))

    assert len(ranks) == np.prod([comb(*shape) for shape in shapes])
    for level in np.unique(ranks):
        assert np.mean(np.array(ranks) <= level + 1e-12) <= level + 1e-12


def test_ranks_over_several_orbits_are_uniform():
    rng = np.random.default_rng(5)
    values = rng.gamma(0.3, size=(24, 6))
    values -= values.mean(axis=0)
    ranks = []
    for _ in range(1000):
        strata = strata_of([(24, 7)], rng)
        turns = Rotations(strata, values, whole(strata), rng)
        tops = np.concatenate(list(turns.sums(99)))[:, 0].max(axis=1)
        seen = values[strata.canary].sum(axis=0).max()
        ranks.append((1 + (tops >= seen - 1e-9).sum()) / (len(tops) + 1))

    assert len(tops) == 99, "five orbits of 20, and the arms as they are among them"
    for level, most in ((0.05, 72), (0.2, 240), (0.5, 550)):  # once in 1000 runs beyond
        assert (np.array(ranks) <= level).sum() <= most
    assert np.mean(ranks) < 0.56, "no smaller than uniform, and not much larger"


def test_many_tasks_are_rotated_and_few_are_not():
    rng = np.random.default_rng(6)
    strata = strata_of([(60, 20), (40, 20)], rng)
    values = rng.normal(size=(100, 2)).astype(np.float32)

    few = np.concatenate(list(relabelled_sums(strata, values, 2000, rng)))
    many = np.concatenate(list(relabelled_sums(strata, values, MANY // 100, rng)))

    assert len(few) == 2000
    assert len(many) >= MANY // 100
    # Both are draws from one distribution.
    np.testing.assert_allclose(few.mean(axis=0), many.mean(axis=0), atol=0.5)
    np.testing.assert_allclose(few.std(axis=0), many.std(axis=0), rtol=0.1)


def test_equal_seeds_turn_alike():
    strata = strata_of([(9, 4), (9, 4), (5, 2)])
    values = np.arange(23.0)[:, None]

    one, other = (
        np.concatenate(
            list(Rotations(strata, values, whole(strata), np.random.default_rng(7)).sums(50))
        )
        for _ in range(2)
    )

    assert (one == other).all()
