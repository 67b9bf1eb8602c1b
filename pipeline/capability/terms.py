"""The terms of formulas that follow from one row alone: prices, context, latency, age, static facts.

What belongs here: expressions and frames for the definitions in SCORING.md (the README's "Scores"
section) that need no evidence. What does not: terms made of evidence (``capability.scoring``).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

import polars as pl

from pipeline.capability.expressions import truth_expression
from pipeline.hours import DAYS_PER_MONTH
from pipeline.settings.categories import INDICATOR_COLUMNS, BlendedPrice, Category, Recency, TermSettings

STATIC_FIT_PREFIX = "static_fit:"
"""Columns ``static_fit:<category>`` of ``model_terms``."""


def age_in_months(column: str, day: date) -> pl.Expr:
    """Months from the date in ``column`` to ``day``; 0 for later dates, null where unknown."""
    days = (pl.lit(day) - pl.col(column)).dt.total_days()
    return days.clip(lower_bound=0) / DAYS_PER_MONTH


def recency(age_months: pl.Expr, numbers: Recency) -> pl.Expr:
    """``max(floor, 0.5 ^ (age / half life))``, 0-1; the number for unknown where the age is null."""
    decay = (age_months * (-0.6931471805599453 / numbers.half_life_months)).exp()
    return decay.clip(lower_bound=numbers.floor).fill_null(numbers.unknown)


def blended_price(numbers: BlendedPrice) -> pl.Expr:
    """Mean of input and output price in USD per 1,000 tokens, 3 parts to 1; null unless both are known."""
    total = numbers.input_parts + numbers.output_parts
    return (
        pl.col("cost_in_per_1k") * numbers.input_parts + pl.col("cost_out_per_1k") * numbers.output_parts
    ) / total


def model_terms(
    static_models: pl.DataFrame, numbers: TermSettings, categories: Mapping[str, Category]
) -> pl.DataFrame:
    """One row a model: ``model_id``, the price, context and latency terms, ``static_fit:<category>``.

    Reads the columns of ``sources.static_models``. Cheapness is ``1 - percent rank`` (lowest rank of
    ties, as SQL's PERCENT_RANK) among all priced models of the frame; a lone priced model has 1.
    """
    frame = (
        static_models.lazy()
        .with_columns(
            cost_per_1k=blended_price(numbers.blended_price),
            tags=pl.when(pl.col("tags").list.len() > 0).then(pl.col("tags")),
            always_applicable=pl.lit(True),
        )
        .with_columns(cost_per_token=pl.col("cost_per_1k") / 1_000)
    )
    fits = [
        static_fit(name, category).alias(STATIC_FIT_PREFIX + name) for name, category in categories.items()
    ]
    return (
        frame.with_columns(context_share=_context_share(numbers), cheapness=_cheapness(numbers))
        .select("model_id", "context_share", "cheapness", *_shares_as_terms(numbers), *fits)
        .collect()
    )


def static_fit(name: str, category: Category) -> pl.Expr:
    """Share (0-1) of the category's indicators that hold among those that can be told; null if none can."""
    if not category.indicators:
        return pl.lit(None, dtype=pl.Float64)
    answers = [
        truth_expression(
            text, INDICATOR_COLUMNS.keys(), what=f"an indicator of category {name} in categories.yaml"
        ).cast(pl.Float64)
        for text in category.indicators
    ]
    return pl.mean_horizontal(answers)


def _context_share(numbers: TermSettings) -> pl.Expr:
    doublings = (pl.col("context_window") / numbers.context_share.base_tokens).log(2)
    return (doublings / numbers.context_share.doublings).clip(0, 1).fill_null(0.0)


def _cheapness(numbers: TermSettings) -> pl.Expr:
    price = pl.col("cost_per_1k")
    others = (price.count() - 1).clip(lower_bound=1)
    percent_rank = (price.rank("min").cast(pl.Float64) - 1) / others
    return (1 - percent_rank).fill_null(numbers.cheapness.unknown)


def _shares_as_terms(numbers: TermSettings) -> list[pl.Expr]:
    share, cheapness, latency = pl.col("context_share"), pl.col("cheapness"), pl.col("avg_latency_ms")
    penalty, bonus = numbers.latency_penalty, numbers.speed_bonus
    slow = ((latency - penalty.free_ms) / penalty.range_ms).clip(0, 1).fill_null(0.0)
    fast = ((bonus.range_ms - latency) / bonus.range_ms).clip(0, 1).fill_null(0.0)
    return [
        (1 + numbers.context_boost.span * share).alias("context_boost"),
        (numbers.context_bonus.points * share).alias("context_bonus"),
        (numbers.cost_efficiency.base + numbers.cost_efficiency.span * cheapness).alias("cost_efficiency"),
        (numbers.cost_efficiency_bonus.points * cheapness).alias("cost_efficiency_bonus"),
        (penalty.span * slow).alias("latency_penalty"),
        (1 + bonus.span * fast).alias("speed_bonus"),
    ]
