"""Formulas against published or independently computed values."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.telemetry.statistics import (
    Sample,
    false_discovery_adjusted,
    incomplete_beta,
    student_quantile,
    student_tail,
    two_proportions,
    welch,
    wilson_interval,
)


@pytest.mark.parametrize(
    ("successes", "count", "lower", "upper"),
    [(0, 10, 0.0, 0.2775), (10, 10, 0.7225, 1.0), (81, 263, 0.2553, 0.3662), (0, 0, 0.0, 1.0)],
)
def test_wilson(successes: int, count: int, lower: float, upper: float) -> None:
    # 81 of 263: Newcombe 1998, Statistics in Medicine 17, table I.
    assert wilson_interval(successes, count) == pytest.approx((lower, upper), abs=5e-5)


@pytest.mark.parametrize(
    ("degrees", "quantile"), [(1, 12.7062), (2, 4.30265), (10, 2.22814), (30, 2.04227), (1000, 1.96234)]
)
def test_student_against_the_printed_table(degrees: float, quantile: float) -> None:
    assert student_quantile(degrees) == pytest.approx(quantile, abs=5e-5)
    assert student_tail(quantile, degrees) == pytest.approx(0.05, abs=1e-5)


def test_incomplete_beta_of_whole_numbers_is_a_binomial_sum() -> None:
    for a, b, x in [(3, 5, 0.2), (10, 2, 0.9), (40, 60, 0.41)]:
        n = a + b - 1
        direct = sum(math.comb(n, j) * x**j * (1 - x) ** (n - j) for j in range(a, n + 1))
        assert incomplete_beta(x, a, b) == pytest.approx(direct, rel=1e-10)


def test_welch_against_a_worked_example() -> None:
    # Means 20.82 and 23.71, variances 7.7344 (n 15) and 0.3025 (n 15)..
    tested = welch(Sample(15, 20.82, 2.781), Sample(15, 23.71, 0.55))
    assert tested.statistic == pytest.approx(-3.9483, abs=1e-3)
    assert 0.0005 < tested.p_value < 0.003


def test_two_proportions() -> None:
    tested = two_proportions(45, 100, 60, 100)
    assert tested.statistic == pytest.approx(-2.1240, abs=1e-3)
    assert tested.p_value == pytest.approx(0.03367, abs=1e-4)
    assert two_proportions(5, 5, 7, 7).p_value == 1.0


def test_benjamini_and_hochberg() -> None:
    assert false_discovery_adjusted([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.02, 0.04, 0.04, 0.02])
    assert false_discovery_adjusted([]) == []


@given(st.lists(st.floats(0, 1), max_size=40))
def test_adjusted_values_never_fall_below_the_raw_ones(values: list[float]) -> None:
    assert all(
        raw - 1e-12 <= adjusted <= 1
        for raw, adjusted in zip(values, false_discovery_adjusted(values), strict=True)
    )
