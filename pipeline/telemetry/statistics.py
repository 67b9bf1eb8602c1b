"""Intervals and tests that an hour's statistics need, from summaries alone.

What belongs here: formulas with their source, on numbers. What does not: which numbers are compared
(``trending``). They need counts, means and deviations only, so that aggregates serve long after the rows
they were made of are gone.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

Z95 = 1.959963984540054
"""Two-sided 95 % quantile of the normal distribution."""

_SMALLEST = 1e-300
_PRECISION = 1e-14
_STEPS = 500


@dataclass(frozen=True)
class Sample:
    """A sample as its size, mean and standard deviation (n - 1)."""

    count: int
    mean: float
    deviation: float


@dataclass(frozen=True)
class Tested:
    """The outcome of a test: its statistic and two-sided p-value."""

    statistic: float
    p_value: float


def wilson_interval(successes: int, count: int, z: float = Z95) -> tuple[float, float]:
    """Interval of a share (Wilson 1927, "Probable inference", eq. 11); (0, 1) where nothing was counted."""
    if count == 0:
        return 0.0, 1.0
    share = successes / count
    centre = (share + z * z / (2 * count)) / (1 + z * z / count)
    half = z * math.sqrt(share * (1 - share) / count + z * z / (4 * count * count)) / (1 + z * z / count)
    return max(0.0, centre - half), min(1.0, centre + half)


def normal_tail(z: float) -> float:
    """Two-sided tail of the standard normal distribution beyond \\|z\\|."""
    return math.erfc(abs(z) / math.sqrt(2))


def two_proportions(successes: int, count: int, other_successes: int, other_count: int) -> Tested:
    """Pooled two-proportion z-test, no continuity correction (Fleiss, Levin and Paik 2003, 3.1)."""
    pooled = (successes + other_successes) / (count + other_count)
    variance = pooled * (1 - pooled) * (1 / count + 1 / other_count)
    difference = successes / count - other_successes / other_count
    if variance == 0:
        return Tested(0.0, 1.0)
    z = difference / math.sqrt(variance)
    return Tested(z, normal_tail(z))


def welch(one: Sample, other: Sample) -> Tested:
    """Welch's test of two means (Welch 1947, Satterthwaite's degrees of freedom)."""
    first, second = one.deviation**2 / one.count, other.deviation**2 / other.count
    error = first + second
    if error == 0:
        return Tested(0.0, 1.0) if one.mean == other.mean else Tested(math.inf, 0.0)
    statistic = (one.mean - other.mean) / math.sqrt(error)
    degrees = error**2 / (first**2 / (one.count - 1) + second**2 / (other.count - 1))
    return Tested(statistic, student_tail(statistic, degrees))


def student_tail(statistic: float, degrees: float) -> float:
    """Two-sided tail of Student's t: I_x(degrees/2, 1/2) with x = degrees / (degrees + t²)."""
    return incomplete_beta(degrees / (degrees + statistic * statistic), degrees / 2, 0.5)


def student_quantile(degrees: float, level: float = 0.95) -> float:
    """The t beyond which, on both sides, ``1 - level`` of Student's distribution lies; by bisection."""
    low, high = 0.0, 1e7
    for _ in range(200):
        middle = (low + high) / 2
        if student_tail(middle, degrees) > 1 - level:
            low = middle
        else:
            high = middle
        if high - low < 1e-10 * max(1.0, high):
            break
    return (low + high) / 2


def incomplete_beta(x: float, a: float, b: float) -> float:
    """The regularised incomplete beta function I_x(a, b), by Lentz's continued fraction.

    Abramowitz and Stegun 26.5.8; the symmetry I_x(a, b) = 1 - I_{1-x}(b, a) keeps it fast.
    """
    if x <= 0:
        return 0.0
    if x >= 1:
        return 1.0
    front = math.exp(
        math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)
    )
    if x < (a + 1) / (a + b + 2):
        return front * _fraction(x, a, b) / a
    return 1.0 - front * _fraction(1 - x, b, a) / b


def _fraction(x: float, a: float, b: float) -> float:
    numerator = 1.0
    denominator = 1 / _away_from_zero(1 - (a + b) * x / (a + 1))
    value = denominator
    for step in range(1, _STEPS):
        for factor in (
            step * (b - step) * x / ((a + 2 * step - 1) * (a + 2 * step)),
            -(a + step) * (a + b + step) * x / ((a + 2 * step) * (a + 2 * step + 1)),
        ):
            denominator = 1 / _away_from_zero(1 + factor * denominator)
            numerator = _away_from_zero(1 + factor / numerator)
            change = numerator * denominator
            value *= change
        if abs(change - 1) < _PRECISION:
            break
    return value


def _away_from_zero(value: float) -> float:
    return value if abs(value) > _SMALLEST else _SMALLEST


def false_discovery_adjusted(p_values: list[float]) -> list[float]:
    """p-values adjusted for their number (Benjamini and Hochberg 1995): compare with the rate one bears."""
    count = len(p_values)
    adjusted = [1.0] * count
    smallest = 1.0
    for rank, position in sorted(
        ((rank, position) for rank, position in enumerate(sorted(range(count), key=p_values.__getitem__), 1)),
        reverse=True,
    ):
        smallest = min(smallest, p_values[position] * count / rank)
        adjusted[position] = smallest
    return adjusted
