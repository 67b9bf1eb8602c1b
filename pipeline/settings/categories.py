"""The categories: ``configs/categories.yaml`` as one frozen, checked model.

What belongs here: categories with benchmarks, weights, indicators and formulas, the numbers of
every term, the limits of validation and rankings, and the vocabulary of formulas and indicators.
What does not: computing with them (``pipeline.capability``) and resolving a source's label to a
benchmark (``settings.benchmarks``).
"""

from __future__ import annotations

import functools
import re
from pathlib import Path
from typing import Annotated, Literal

import polars as pl
from pydantic import Field, model_validator

from pipeline.errors import ConfigurationError
from pipeline.settings.benchmarks import Benchmark, BenchmarkRegistry
from pipeline.settings.expressions import check_formula, check_indicator
from pipeline.settings.files import Settings, load_settings
from pipeline.settings.places import config_directory

TERMS: dict[str, str] = {
    "weighted_average": "mean of the category's evidence, weighted; 0-100",
    "accuracy_score": "weighted_average, under the name that category question uses; 0-100",
    "conversational_score": "weighted_average, under the name that category chat uses; 0-100",
    "interpolated_score": "weighted_average once missing benchmarks are filled from means; 0-100",
    "balanced_average": "plain mean over the category's benchmarks present; 0-100",
    "confidence": "share of the layers' evidence present; 0-1",
    "confidence_factor": "0.9 + 0.1 x confidence",
    "recency_boost": "1 + 0.03 x max(0, 1 - median age of the evidence in months / 12)",
    "availability_factor": "0.9 + 0.1 x share of the category's benchmarks present",
    "context_share": "clip(log2(context_window / 8192) / 7, 0, 1); 0 where unknown",
    "context_boost": "1 + 0.02 x context_share",
    "context_bonus": "2 x context_share points",
    "cheapness": "1 - percent rank of the blended price among priced models; 0.5 where unknown",
    "cost_efficiency": "0.9 + 0.1 x cheapness",
    "cost_efficiency_bonus": "3 x cheapness points",
    "latency_penalty": "0.1 x clip((avg_latency_ms - 1000) / 5000, 0, 1); 0 where unknown",
    "speed_bonus": "1 + 0.03 x clip((2000 - avg_latency_ms) / 2000, 0, 1); 1 where unknown",
    "static_fit": "share of the category's static indicators that hold; null where none can be told",
}
"""Every term of formulas, described with the numbers as they are shipped."""

NULLABLE_TERMS = frozenset({"static_fit"})
"""Terms that may be unknown; a formula must guard them with COALESCE."""

INDICATOR_COLUMNS: dict[str, pl.DataType] = {
    "model_id": pl.String(),
    "provider": pl.String(),
    "display_name": pl.String(),
    "api_alias": pl.String(),
    "aliases": pl.List(pl.String()),
    "family": pl.String(),
    "release_date": pl.Date(),
    "context_window": pl.Int64(),
    "max_output_tokens": pl.Int64(),
    "cost_in_per_1k": pl.Float64(),
    "cost_out_per_1k": pl.Float64(),
    "avg_latency_ms": pl.Float64(),
    "open_source": pl.Boolean(),
    "supports_tools": pl.Boolean(),
    "supports_vision": pl.Boolean(),
    "supports_reasoning": pl.Boolean(),
    "capabilities_math": pl.Float64(),
    "capabilities_reasoning": pl.Float64(),
    "tags": pl.List(pl.String()),
    "cost_per_1k": pl.Float64(),
    "cost_per_token": pl.Float64(),
    "always_applicable": pl.Boolean(),
}
"""Columns of indicators with their types: those of ``sources.static_models`` and three made of them:
``cost_per_1k`` (blended price, USD per 1,000 tokens), ``cost_per_token`` (that divided by 1,000) and
``always_applicable`` (true). An empty list of tags is unknown."""

_NAME = re.compile(r"[a-z][a-z0-9_]{0,59}\Z", re.ASCII)

Weight = Annotated[float, Field(gt=0, le=1000)]
Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=1)]


class Recency(Settings):
    """``max(floor, 0.5 ^ (age_months / half_life_months))``, ``unknown`` without a date."""

    half_life_months: Positive = 18
    floor: Annotated[float, Field(gt=0, le=1)] = 0.25
    unknown: Annotated[float, Field(gt=0, le=1)] = 0.6


class BaseAndSpan(Settings):
    """``base + span x share``."""

    base: Share = 0.9
    span: Share = 0.1


class RecencyBoost(Settings):
    """``1 + span x max(0, 1 - median_age_months / months)``."""

    span: Share = 0.03
    months: Positive = 12


class ContextShare(Settings):
    """``clip(log2(context_window / base_tokens) / doublings, 0, 1)``."""

    base_tokens: Positive = 8192
    doublings: Positive = 7


class ContextBoost(Settings):
    """``1 + span x context_share``."""

    span: Share = 0.02


class Points(Settings):
    """``points x share``, in points of 0-100."""

    points: Annotated[float, Field(ge=0, le=100)] = 2


class BlendedPrice(Settings):
    """Mean of input and output price in these parts."""

    input_parts: Positive = 3
    output_parts: Positive = 1


class Cheapness(Settings):
    """Value where the price is unknown."""

    unknown: Share = 0.5


class LatencyPenalty(Settings):
    """``span x clip((avg_latency_ms - free_ms) / range_ms, 0, 1)``."""

    span: Share = 0.1
    free_ms: Annotated[float, Field(ge=0)] = 1000
    range_ms: Positive = 5000


class SpeedBonus(Settings):
    """``1 + span x clip((range_ms - avg_latency_ms) / range_ms, 0, 1)``."""

    span: Share = 0.03
    range_ms: Positive = 2000


class TermSettings(Settings):
    """The numbers of the terms."""

    recency: Recency = Recency()
    confidence_factor: BaseAndSpan = BaseAndSpan()
    recency_boost: RecencyBoost = RecencyBoost()
    availability_factor: BaseAndSpan = BaseAndSpan()
    context_share: ContextShare = ContextShare()
    context_boost: ContextBoost = ContextBoost()
    context_bonus: Points = Points()
    blended_price: BlendedPrice = BlendedPrice()
    cheapness: Cheapness = Cheapness()
    cost_efficiency: BaseAndSpan = BaseAndSpan()
    cost_efficiency_bonus: Points = Points(points=3)
    latency_penalty: LatencyPenalty = LatencyPenalty()
    speed_bonus: SpeedBonus = SpeedBonus()

    def bounds(self) -> dict[str, tuple[float, float]]:
        """Smallest and largest value of every term."""
        averages = (
            "weighted_average",
            "accuracy_score",
            "conversational_score",
            "interpolated_score",
            "balanced_average",
        )
        shares = ("confidence", "context_share", "cheapness", "static_fit")
        return {
            **dict.fromkeys(averages, (0.0, 100.0)),
            **dict.fromkeys(shares, (0.0, 1.0)),
            "confidence_factor": _span(self.confidence_factor.base, self.confidence_factor.span),
            "recency_boost": _span(1, self.recency_boost.span),
            "availability_factor": _span(self.availability_factor.base, self.availability_factor.span),
            "context_boost": _span(1, self.context_boost.span),
            "context_bonus": _span(0, self.context_bonus.points),
            "cost_efficiency": _span(self.cost_efficiency.base, self.cost_efficiency.span),
            "cost_efficiency_bonus": _span(0, self.cost_efficiency_bonus.points),
            "latency_penalty": _span(0, self.latency_penalty.span),
            "speed_bonus": _span(1, self.speed_bonus.span),
        }


class ValidationSettings(Settings):
    """Limits of screening and validation."""

    consistency_tolerance: Annotated[float, Field(ge=0, le=100)] = 10
    anomaly_threshold: Annotated[float, Field(gt=0, le=1)] = 0.3
    minimum_anomaly_scores: Annotated[int, Field(ge=3)] = 8
    maximum_days_before_release: Annotated[int, Field(ge=0)] = 45
    required_fields: tuple[str, ...] = ("model_id", "provider", "display_name")
    maximum_price_per_1k: Positive = 10


class SpeedTiers(Settings):
    """Upper ends of the speed tiers in ms."""

    fast: Positive = 1000
    medium: Positive = 3000


class RankingSettings(Settings):
    """What a model must have to be ranked."""

    minimum_coverage: Share = 0.25
    minimum_benchmarks: Count = 2
    best_at_confidence: Share = 0.5
    overall_categories: Count = 4
    speed_tiers_ms: SpeedTiers = SpeedTiers()


class CategoryRankings(Settings):
    """A category's own ranking minimum, where it differs from the usual one."""

    minimum_coverage: Share | None = None
    minimum_benchmarks: Count | None = None
    any_of: tuple[str, ...] = ()


class Category(Settings):
    """One category: static indicators, benchmarks with weights above 0, and the formula."""

    description: str = ""
    indicators: tuple[str, ...] = ()
    benchmarks: dict[str, Weight] = Field(min_length=1)
    formula: str
    rankings: CategoryRankings = CategoryRankings()


class CategorySettings(Settings):
    """``configs/categories.yaml``, whole."""

    static_score: Literal["none", "share"] = "none"
    terms: TermSettings = TermSettings()
    validation: ValidationSettings = ValidationSettings()
    rankings: RankingSettings = RankingSettings()
    categories: dict[str, Category] = Field(min_length=1)
    benchmarks: dict[str, Benchmark]

    @model_validator(mode="after")
    def _all_refer_to_something_known(self) -> CategorySettings:
        _ = self.registry
        for field in self.validation.required_fields:
            if field not in INDICATOR_COLUMNS:
                raise ConfigurationError(
                    f"Reading categories.yaml: validation.required_fields names {field!r}, which is "
                    f"no field of a model; known are {', '.join(sorted(INDICATOR_COLUMNS))}."
                )
        for name, category in self.categories.items():
            self._check(name, category)
        return self

    def _check(self, name: str, category: Category) -> None:
        if not _NAME.match(name):
            raise ConfigurationError(
                f"Reading categories.yaml: the category name {name[:80]!r} is not written in "
                "lower-case letters, digits and underscores; rename it."
            )
        for benchmark in category.benchmarks:
            if benchmark not in self.benchmarks:
                known = ", ".join(sorted(self.benchmarks))
                raise ConfigurationError(
                    f"Reading categories.yaml: category {name} lists the unknown benchmark "
                    f"{benchmark[:80]!r}; known are {known}; correct the name or declare it under benchmarks."
                )
        for benchmark in category.rankings.any_of:
            if benchmark not in category.benchmarks:
                raise ConfigurationError(
                    f"Reading categories.yaml: the rankings of category {name} ask for "
                    f"{benchmark[:80]!r}, which the category does not list; "
                    f"listed are {', '.join(category.benchmarks)}."
                )
        check_formula(
            category.formula,
            self.terms.bounds(),
            NULLABLE_TERMS,
            what=f"the formula of category {name} in categories.yaml",
        )
        for indicator in category.indicators:
            check_indicator(
                indicator, INDICATOR_COLUMNS, what=f"an indicator of category {name} in categories.yaml"
            )

    @functools.cached_property
    def registry(self) -> BenchmarkRegistry:
        """The benchmarks as a registry; raises ``ConfigurationError`` where they contradict each other."""
        return BenchmarkRegistry(self.benchmarks)

    def listed_benchmarks(self) -> list[str]:
        """Every benchmark that some category lists, sorted."""
        return sorted(
            {benchmark for category in self.categories.values() for benchmark in category.benchmarks}
        )


def load_categories(path: Path | None = None) -> CategorySettings:
    """The settings of a categories.yaml, by default the one in the configuration folder."""
    return load_settings(path or config_directory() / "categories.yaml", CategorySettings)


def _span(base: float, span: float) -> tuple[float, float]:
    return base, base + span
