"""Tests of a difference between scores, paired or not.

What belongs here: the statistics that verdicts and patterns share. What does not: what is compared.

Student's and Welch's t tests with the distribution from scipy. A person's scores are whole points, so
the variance of a sample is taken to be at least that of rounding, 1/12 (Sheppard): three equal scores
are no proof of a difference without error.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, variance

ROUNDING_VARIANCE = 1 / 12
LEVEL = 0.95


@dataclass(frozen=True)
class Difference:
    """A difference of means with its 95 % interval, two-sided p-value and Cohen's d."""

    delta: float
    low: float
    high: float
    p_value: float
    effect_size: float

    @property
    def confidence(self) -> float:
        """1 minus the one-sided p-value of the delta's own sign: from 0.5 (no idea) to 1."""
        return 1 - self.p_value / 2


def paired(differences: Sequence[float]) -> Difference | None:
    """Student's t test of paired differences; None for fewer than two."""
    if len(differences) < 2:
        return None
    spread = max(variance(differences), 2 * ROUNDING_VARIANCE)
    count = len(differences)
    return _difference(fmean(differences), math.sqrt(spread / count), count - 1, math.sqrt(spread))


def unpaired(before: Sequence[float], after: Sequence[float]) -> Difference | None:
    """Welch's t test of ``after`` against ``before``; None where one has fewer than two."""
    if len(before) < 2 or len(after) < 2:
        return None
    parts = [max(variance(sample), ROUNDING_VARIANCE) / len(sample) for sample in (before, after)]
    freedom = sum(parts) ** 2 / sum(
        part**2 / (len(sample) - 1) for part, sample in zip(parts, (before, after), strict=True)
    )
    pooled = math.sqrt(
        sum((len(sample) - 1) * max(variance(sample), ROUNDING_VARIANCE) for sample in (before, after))
        / (len(before) + len(after) - 2)
    )
    return _difference(fmean(after) - fmean(before), math.sqrt(sum(parts)), freedom, pooled)


def _difference(delta: float, error: float, freedom: float, spread: float) -> Difference:
    from scipy.stats import t

    reach = float(t.ppf((1 + LEVEL) / 2, freedom)) * error
    p_value = min(1.0, 2 * float(t.sf(abs(delta) / error, freedom)))
    return Difference(delta, delta - reach, delta + reach, p_value, delta / spread)


def adjusted(p_values: Sequence[float]) -> list[float]:
    """The p-values after Benjamini and Hochberg (1995), in their order."""
    if not p_values:
        return []
    from scipy.stats import false_discovery_control

    return [float(value) for value in false_discovery_control(list(p_values), method="bh")]
