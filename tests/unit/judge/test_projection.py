"""The worked examples of the design, and validity by exact enumeration."""

from math import exp, isclose, log

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rolewise.coordinator.judge.projection import (
    NEUTRAL,
    Null,
    information,
    log_factors,
    project,
)

HARMLESS = Null(claim="harmless")


def factors(weight, canary, baseline, null):
    """Factors as (canary bad, canary good, baseline bad, baseline good)."""
    return [exp(one) for one in reversed(log_factors(weight, canary, baseline, null))]


def test_w1_closed_form():
    assert project(0.25, 0.10, 0.05, HARMLESS) == pytest.approx((0.0625, 0.0625), abs=1e-9)
    pays = factors(0.25, 0.10, 0.05, HARMLESS)
    assert pays == pytest.approx([1.6, 0.96, 0.8, 1.013333], abs=5e-7)


def test_w5_margin():
    null = Null(claim="harmless", shift=0.01)
    assert project(0.25, 0.10, 0.05, null) == pytest.approx((0.068945, 0.058945), abs=5e-7)
    pays = factors(0.25, 0.10, 0.05, null)
    assert pays == pytest.approx([1.450427, 0.966646, 0.848245, 1.009506], abs=5e-7)


@pytest.mark.parametrize(
    ("weight", "ratio", "shift", "pair", "pays", "gain"),
    [
        (
            0.25,
            1.0,
            0.02,
            (0.066161, 0.046161),
            (0.755733, 1.017306, 1.083166, 0.995975),
            0.0006965,
        ),
        (
            0.05,
            1.0,
            0.05,
            (0.098667, 0.048667),
            (0.506757, 1.053994, 1.027400, 0.998598),
            0.000816648,
        ),
        (
            0.50,
            1.0,
            0.02,
            (0.061828, 0.041828),
            (0.808699, 1.012607, 1.195379, 0.991471),
            0.001035691,
        ),
        (
            0.25,
            1.5,
            0.00,
            (0.066536, 0.044357),
            (0.751476, 1.017714, 1.127214, 0.994095),
            0.000869855,
        ),
    ],
)
def test_w7_promote(weight, ratio, shift, pair, pays, gain):
    null = Null(claim="harmful", ratio=ratio, shift=shift)
    assert project(weight, 0.05, 0.05, null) == pytest.approx(pair, abs=1e-6)
    assert factors(weight, 0.05, 0.05, null) == pytest.approx(pays, abs=1e-6)
    assert information(weight, 0.05, 0.05, null) == pytest.approx(gain, abs=1e-9)


def test_w17_bound():
    gain = information(0.25, 0.10, 0.05, HARMLESS)
    assert gain == pytest.approx(0.003634, abs=5e-7)
    assert log(20) / gain == pytest.approx(824.252692, abs=1e-5)


def test_an_alternative_inside_the_null_pays_nothing():
    assert log_factors(0.25, 0.04, 0.05, HARMLESS) == NEUTRAL
    assert information(0.25, 0.04, 0.05, HARMLESS) == 0.0


rates = st.floats(0.001, 0.999)


@given(
    weight=st.floats(0.01, 0.99),
    canary=rates,
    baseline=rates,
    true_baseline=st.floats(0.0, 1.0),
    depth=st.floats(0.0, 1.0),
    shift=st.floats(0.0, 0.3),
    claim=st.sampled_from(["harmless", "harmful"]),
)
def test_the_mean_is_at_most_one_under_every_pair_of_the_null(
    weight, canary, baseline, true_baseline, depth, shift, claim
):
    null = Null(claim=claim, shift=shift)
    if claim == "harmless":
        true_canary = depth * min(1.0, true_baseline + shift)
    else:
        true_baseline *= 1.0 - shift
        least = true_baseline + shift
        true_canary = least + depth * (1.0 - least)
    bad_c, good_c, bad_b, good_b = factors(weight, canary, baseline, null)
    mean = weight * (true_canary * bad_c + (1 - true_canary) * good_c) + (1 - weight) * (
        true_baseline * bad_b + (1 - true_baseline) * good_b
    )
    assert mean <= 1.0 + 1e-6


def test_the_projection_is_the_nearest_pair_of_a_fine_grid():
    null = Null(claim="harmful", shift=0.1)
    nearest = information(0.3, 0.2, 0.3, null)
    for step in range(1, 900):
        base = step / 1000
        distance = 0.3 * kl(0.2, base + 0.1) + 0.7 * kl(0.3, base)
        assert distance >= nearest - 1e-12


def kl(a, b):
    return a * log(a / b) + (1 - a) * log((1 - a) / (1 - b))


def test_the_factors_of_all_cells_mean_one_on_the_border():
    pays = factors(0.25, 0.10, 0.05, HARMLESS)
    chances = [0.25 * 0.2, 0.25 * 0.8, 0.75 * 0.2, 0.75 * 0.8]
    assert isclose(sum(a * b for a, b in zip(pays, chances, strict=True)), 1.0, abs_tol=1e-9)
