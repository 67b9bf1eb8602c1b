"""Category scores: from accepted evidence and static facts to one number a category.

What belongs here: every term that is made of evidence, the formulas' results and
the list of what contributed. Definitions: SCORING.md (the README's "Scores" section). What does not:
terms of one catalogue row (``capability.terms``), the weights of evidence (``weighing``) and deciding
what is accepted (``screening``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

import polars as pl

from pipeline.capability.expressions import number_expression
from pipeline.capability.interpolating import (
    benchmark_means,
    covered_weight,
    mask_bits,
    mask_count,
    with_interpolated,
)
from pipeline.capability.tables import CATEGORY_SCORES, CONTRIBUTING_SCORE
from pipeline.capability.terms import STATIC_FIT_PREFIX, model_terms
from pipeline.capability.weighing import Weights, shared, weigh
from pipeline.settings.categories import TERMS, Category, CategorySettings, TermSettings

STATIC_PIECE = "static_indicators"
"""Name under which 100 x static_fit contributes where ``static_score: share`` is set."""

_SUBJECT = ["model_id", "configuration"]
_COLUMNS = [name for name in CATEGORY_SCORES.polars_schema if name != "hour"]


@dataclass(frozen=True)
class Listed:
    """One category's benchmarks: row ``place`` has the weight and layer of ``names[place]``."""

    name: str
    category: Category
    frame: pl.DataFrame

    @classmethod
    def of(
        cls, name: str, category: Category, settings: CategorySettings, identifiers: Mapping[str, int]
    ) -> Listed:
        """The category's benchmarks in the order of the configuration."""
        return cls(
            name,
            category,
            pl.DataFrame(
                {
                    "benchmark_id": [identifiers[benchmark] for benchmark in category.benchmarks],
                    "benchmark": list(category.benchmarks),
                    "weight": list(category.benchmarks.values()),
                    "layer": [settings.benchmarks[benchmark].layer for benchmark in category.benchmarks],
                },
                schema={
                    "benchmark_id": pl.UInt32,
                    "benchmark": pl.String,
                    "weight": pl.Float64,
                    "layer": pl.String,
                },
            ).with_row_index("place"),
        )

    def by_identifier(self, column: str, count: int) -> pl.Series:
        """``column`` with one value for each of ``count`` benchmark ids, null where not listed."""
        everything = pl.DataFrame({"benchmark_id": pl.Series(range(count), dtype=pl.UInt32)})
        return everything.join(self.frame, on="benchmark_id", how="left", maintain_order="left")[column]


def score_categories(  # noqa: PLR0917  the contract of the assets
    evidence: pl.DataFrame,
    static_models: pl.DataFrame,
    settings: CategorySettings,
    layer_weights: Mapping[str, float],
    reliability: Mapping[str, float],
    day: date,
) -> pl.DataFrame:
    """Scores of every model configuration that has evidence of a category.

    ``evidence`` has the columns of ``capability.evidence``; where it has a column ``accepted``, only
    accepted rows count. ``static_models`` is the catalogue, ``layer_weights`` gives the weights of
    layers static, benchmarks and analytics, ``reliability`` those of the kinds of source, ``day`` is
    the day ages are counted from. The result has the columns of ``capability.category_scores``
    without ``hour``, ordered by category (as configured), model and configuration. Raises
    ``ConfigurationError`` where a layer or kind of source has no weight.
    """
    weights = Weights(settings, layer_weights, reliability, day)
    identifiers = {name: place for place, name in enumerate(settings.listed_benchmarks())}
    pieces = weigh(evidence, weights, identifiers)
    subjects = _subjects(pieces, static_models, weights)
    pieces = pieces.drop(_SUBJECT)
    frames = [
        _score_category(
            pieces, subjects, Listed.of(name, category, settings, identifiers), weights, len(identifiers)
        )
        for name, category in settings.categories.items()
    ]
    return pl.concat(frames, how="vertical")


def _subjects(pieces: pl.DataFrame, static_models: pl.DataFrame, weights: Weights) -> pl.DataFrame:
    """One row a model configuration with evidence: ids, static terms and ``in_catalogue``."""
    terms = model_terms(static_models, weights.settings.terms, weights.settings.categories)
    firsts = (
        pieces.lazy()
        .select("subject", *_SUBJECT)
        .filter((pl.col("subject") != pl.col("subject").shift()).fill_null(True))
    )
    unknown = weights.settings.terms.cheapness.unknown
    neutral = {
        "context_share": 0.0,
        "cheapness": unknown,
        "context_boost": 1.0,
        "context_bonus": 0.0,
        "cost_efficiency": weights.settings.terms.cost_efficiency.base
        + weights.settings.terms.cost_efficiency.span * unknown,
        "cost_efficiency_bonus": weights.settings.terms.cost_efficiency_bonus.points * unknown,
        "latency_penalty": 0.0,
        "speed_bonus": 1.0,
    }
    return (
        firsts.join(
            terms.lazy().with_columns(in_catalogue=pl.lit(True)),
            on="model_id",
            how="left",
            maintain_order="left",
        )
        .with_columns(
            pl.col("in_catalogue").fill_null(False),
            *(pl.col(name).fill_null(value) for name, value in neutral.items()),
        )
        .collect()
    )


def _score_category(
    pieces: pl.DataFrame, subjects: pl.DataFrame, listed: Listed, weights: Weights, count: int
) -> pl.DataFrame:
    """The category's rows."""
    rows = _without_composites(_of_category(pieces, listed, count), listed, weights.settings)
    return _finish(
        _sums(rows, listed).collect(), benchmark_means(rows, listed.frame), subjects, listed, weights
    )


def _of_category(pieces: pl.DataFrame, listed: Listed, count: int) -> pl.DataFrame:
    weight = pl.lit(listed.by_identifier("weight", count)).gather("benchmark_id")
    place = pl.lit(listed.by_identifier("place", count)).gather("benchmark_id")
    wanted = listed.frame["benchmark_id"].implode()
    return (
        pieces.lazy()
        .filter(pl.col("benchmark_id").is_in(wanted))
        .with_columns(weight=weight, place=place)
        .collect()
    )


def _without_composites(rows: pl.DataFrame, listed: Listed, settings: CategorySettings) -> pl.DataFrame:
    """Rows without the indices whose parts the same source gives for the same category."""
    parts = [
        (name, part)
        for name in listed.category.benchmarks
        for part in settings.benchmarks[name].composite_of
        if part in listed.category.benchmarks
    ]
    if not parts:
        return rows
    pairs = pl.DataFrame(parts, schema=["benchmark", "part"], orient="row").lazy()
    numbered = rows.lazy().select("subject", "source", "benchmark").with_row_index("row")
    composites = numbered.filter(pl.col("benchmark").is_in(sorted({name for name, _ in parts}))).join(
        pairs, on="benchmark"
    )
    measured = numbered.filter(pl.col("benchmark").is_in(sorted({part for _, part in parts}))).rename(
        {"benchmark": "part"}
    )
    beside = (
        composites.join(measured, on=["subject", "source", "part"], how="semi")
        .select("row")
        .unique()
        .collect()
    )
    if beside.is_empty():
        return rows
    return rows.with_row_index("row").join(beside, on="row", how="anti", maintain_order="left").drop("row")


def _sums(rows: pl.DataFrame, listed: Listed) -> pl.LazyFrame:
    """One row a subject with everything that is summed over its evidence of the category."""
    score, effective, first = pl.col("score"), pl.col("effective_weight"), pl.col("first")
    masks = [f"mask_{part}" for part in range(mask_count(listed.frame))]
    # Products are taken over all rows at once; inside groups only sums are left to do.
    return (
        shared(rows)
        .with_columns(
            effective_score=effective * score,
            effective_quality=effective * pl.col("quality"),
            share_score=pl.col("share") * score,
            contribution=_contribution(),
            **{name: mask_bits(listed.frame, part) for part, name in enumerate(masks)},
        )
        .group_by("subject", maintain_order=True)
        .agg(
            pl.col("effective_weight").sum().alias("total"),
            pl.col("effective_score").sum().alias("total_score"),
            pl.col("effective_quality").sum().alias("total_quality"),
            pl.col("share_score").sum().alias("plain_score"),
            pl.len().alias("evidence_count"),
            first.sum().alias("benchmark_count"),
            pl.col("age").median().alias("median_age_months"),
            pl.col("contribution").alias("contributing_scores"),
            pl.col(masks).sum(),
        )
        .with_columns(
            covered=covered_weight(listed.frame),
            covered_analytics=covered_weight(listed.frame.filter(pl.col("layer") == "analytics")),
        )
    )


def _contribution() -> pl.Expr:
    return pl.struct(
        "benchmark",
        "score",
        "weight",
        "effective_weight",
        "source",
        "layer",
        "reliability",
        "date",
        "url",
        pl.lit(False).alias("filled"),
    )


def _finish(
    sums: pl.DataFrame, means: pl.DataFrame, subjects: pl.DataFrame, listed: Listed, weights: Weights
) -> pl.DataFrame:
    """Terms, formula, clamp, columns."""
    formula = number_expression(
        listed.category.formula,
        TERMS.keys(),
        what=f"the formula of category {listed.name} in categories.yaml",
    )
    # A subject's number is its row, so that taking rows does what a join would, lists left in place.
    facts = subjects.drop("subject")[sums["subject"]]
    frame = (
        pl.concat([sums, facts], how="horizontal")
        .lazy()
        .with_columns(
            static_fit=pl.col(STATIC_FIT_PREFIX + listed.name),
            balanced_average=(pl.col("plain_score") / pl.col("benchmark_count")).clip(0, 100),
            coverage=(pl.col("covered") / listed.frame["weight"].sum()).clip(0, 1),
            data_quality=(pl.col("total_quality") / pl.col("total")).clip(0, 1),
            confidence=_confidence(listed, weights.layers),
        )
    )
    if weights.settings.static_score == "share":
        frame = _with_static_piece(frame, weights)
    list_filled = "interpolated_score" in formula.meta.root_names()
    filled = with_interpolated(frame.collect(), means, weights, list_filled=list_filled)
    schema = CATEGORY_SCORES.polars_schema
    return (
        filled.lazy()
        .with_columns(category=pl.lit(listed.name), **_evidence_terms(listed, weights.settings.terms))
        .with_columns(score=formula.clip(0, 100))
        .select(pl.col(column).cast(schema[column]) for column in _COLUMNS)
        .collect()
    )


def _evidence_terms(listed: Listed, numbers: TermSettings) -> dict[str, pl.Expr]:
    """The terms that follow from a subject's sums."""
    base, boost, availability = numbers.confidence_factor, numbers.recency_boost, numbers.availability_factor
    youth = (1 - pl.col("median_age_months") / boost.months).clip(lower_bound=0).fill_null(0.0)
    average = (pl.col("total_score") / pl.col("total")).clip(0, 100)
    return {
        "weighted_average": average,
        "accuracy_score": average,
        "conversational_score": average,
        "confidence_factor": base.base + base.span * pl.col("confidence"),
        "recency_boost": 1 + boost.span * youth,
        "availability_factor": availability.base
        + availability.span * (pl.col("benchmark_count") / listed.frame.height),
    }


def _confidence(listed: Listed, layers: Mapping[str, float]) -> pl.Expr:
    """Layer weights times the share of each layer's listed weight that is covered.

    A benchmark belongs to the layer it is listed for, whichever layer its evidence came through. A
    layer with nothing listed is left out, which gives its weight to the others in proportion.
    """
    analytics = float(listed.frame.filter(pl.col("layer") == "analytics")["weight"].sum())
    others = float(listed.frame.filter(pl.col("layer") != "analytics")["weight"].sum())
    shares: list[tuple[float, pl.Expr]] = [(layers["static"], pl.col("in_catalogue").cast(pl.Float64))]
    if others:
        shares.append((layers["benchmarks"], (pl.col("covered") - pl.col("covered_analytics")) / others))
    if analytics:
        shares.append((layers["analytics"], pl.col("covered_analytics") / analytics))
    total = sum(weight for weight, _ in shares)
    return pl.sum_horizontal(weight * share for weight, share in shares).truediv(total).clip(0, 1)


def _with_static_piece(frame: pl.LazyFrame, weights: Weights) -> pl.LazyFrame:
    """``static_score: share``: 100 x static_fit as one more piece, weight = that of the static layer."""
    weight, value = float(weights.layers["static"]), 100 * pl.col("static_fit")
    known = pl.col("static_fit").is_not_null()
    piece = pl.struct(
        pl.lit(STATIC_PIECE).alias("benchmark"),
        value.alias("score"),
        pl.lit(1.0).alias("weight"),
        pl.lit(weight).alias("effective_weight"),
        pl.lit("static_models").alias("source"),
        pl.lit("static").alias("layer"),
        pl.lit("independent").alias("reliability"),
        pl.lit(None, dtype=pl.Date).alias("date"),
        pl.lit(None, dtype=pl.String).alias("url"),
        pl.lit(False).alias("filled"),
    ).cast(CONTRIBUTING_SCORE)
    return frame.with_columns(
        total=pl.col("total") + pl.when(known).then(weight).otherwise(0.0),
        total_score=pl.col("total_score") + pl.when(known).then(weight * value).otherwise(0.0),
        contributing_scores=pl.when(known)
        .then(pl.concat_list("contributing_scores", piece))
        .otherwise("contributing_scores"),
    )
