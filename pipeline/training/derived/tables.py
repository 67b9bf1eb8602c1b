"""The tables of schema ``training`` that are computed from its records: columns, units, bounds and keys.

What belongs here: one pandera model per computed table. What does not: records (``training.tables``),
computing.
"""

from __future__ import annotations

import pandera.polars as pa
import polars as pl

from pipeline.warehouse.tables import Table, UtcInstant

STRENGTH_SCOPES = ["agent", "model"]
VERDICTS = ["confirmed", "refuted", "undecided"]


class Orphans(pa.DataFrameModel):
    """A link to a record that no hour up to this one holds; the row is gone once the parent has arrived."""

    hour: UtcInstant = pa.Field(description="hour as of which the link is open")
    record: pl.String = pa.Field(description="table of the record, without its schema")
    record_id: pl.String = pa.Field(description="id of the record")
    session_id: pl.String = pa.Field(description="its session")
    link: pl.String = pa.Field(description="column that holds the link")
    parent: pl.String = pa.Field(description="table that should hold the parent, without its schema")
    parent_id: pl.String = pa.Field(description="id that was not found")
    since: UtcInstant = pa.Field(description="when the record itself happened")

    class Config:
        strict = True


class LineageRankings(pa.DataFrameModel):
    """A lineage's place in one cycle of its session, as of the hour; for sessions in which something happened."""

    hour: UtcInstant = pa.Field(description="hour as of which it is computed")
    session_id: pl.String = pa.Field(description="session")
    cycle: pl.Int64 = pa.Field(ge=0, description="cycle")
    lineage_id: pl.String = pa.Field(description="lineage")
    agent_id: pl.String = pa.Field(description="agent version that ran last in the cycle")
    agent: pl.String = pa.Field(
        nullable=True, description="its name and version for people; null while it has not arrived"
    )
    rank: pl.Int64 = pa.Field(
        nullable=True, ge=1, description="place, 1 is best; ties share one (1, 1, 3); null without evidence"
    )
    tied: pl.Boolean = pa.Field(description="shares its place")
    points: pl.Float64 = pa.Field(
        nullable=True,
        ge=0,
        le=1,
        metadata={"unit": "0-1"},
        description="mean share of wins over its comparisons",
    )
    comparisons: pl.Int64 = pa.Field(ge=0, description="comparisons it was in")
    score: pl.Float64 = pa.Field(
        nullable=True,
        ge=1,
        le=10,
        metadata={"unit": "points 1-10"},
        description="mean score of its artifacts",
    )
    evaluations: pl.Int64 = pa.Field(ge=0, description="scores given")
    locked: pl.Boolean = pa.Field(description="kept by the user")
    basis: pl.String = pa.Field(description="ranking, lock, score, or several joined by +; none")
    synthetic: pl.Boolean = pa.Field(description="made by a simulator or stub")

    class Config:
        strict = True


class Strengths(pa.DataFrameModel):
    """A competitor's Bradley-Terry strength over all sessions up to the hour."""

    hour: UtcInstant = pa.Field(description="hour as of which it is computed")
    scope: pl.String = pa.Field(
        isin=STRENGTH_SCOPES, description="what competes: agents by configuration, or models"
    )
    synthetic: pl.Boolean = pa.Field(description="computed from synthetic sessions; real ones stand apart")
    competitor: pl.String = pa.Field(description="configuration hash, or model")
    name: pl.String = pa.Field(nullable=True, description="a name for people: model and agent")
    pool: pl.Int64 = pa.Field(
        ge=1,
        description="competitors connected by comparisons, 1 the largest; strengths compare within a group only",
    )
    strength: pl.Float64 = pa.Field(metadata={"unit": "logits"}, description="mean 0 within the group")
    low: pl.Float64 = pa.Field(metadata={"unit": "logits"}, description="lower end of the 95 % interval")
    high: pl.Float64 = pa.Field(metadata={"unit": "logits"}, description="upper end of the 95 % interval")
    win_probability: pl.Float64 = pa.Field(
        ge=0,
        le=1,
        metadata={"unit": "0-1"},
        description="mean probability of beating the others of the group",
    )
    comparisons: pl.Int64 = pa.Field(ge=1, description="comparisons")
    wins: pl.Float64 = pa.Field(ge=0, description="wins; a tie is half a one")
    sessions: pl.Int64 = pa.Field(ge=1, description="sessions that the comparisons are from")
    method: pl.String = pa.Field(
        description="how the interval was made; regularised where somebody never lost or never won"
    )

    class Config:
        strict = True


class EvolutionVerdicts(pa.DataFrameModel):
    """What the scores say about an evolution's hypothesis, as of the hour; null where there is no evidence."""

    hour: UtcInstant = pa.Field(description="hour as of which it is computed")
    evolution_id: pl.String = pa.Field(description="evolution")
    session_id: pl.String = pa.Field(description="session")
    lineage_id: pl.String = pa.Field(description="lineage")
    before_agent_id: pl.String = pa.Field(description="version before")
    after_agent_id: pl.String = pa.Field(description="version after")
    hypothesis: pl.String = pa.Field(metadata={"long_text": True}, description="as recorded")
    expected_delta: pl.Float64 = pa.Field(
        nullable=True,
        metadata={"unit": "points 1-10"},
        description="as recorded; its sign is the direction hoped for",
    )
    artifacts_before: pl.Int64 = pa.Field(ge=0, description="scored artifacts of the version before")
    artifacts_after: pl.Int64 = pa.Field(ge=0, description="scored artifacts of the version after")
    pairs: pl.Int64 = pa.Field(ge=0, description="inputs that both versions were scored on")
    score_before: pl.Float64 = pa.Field(
        nullable=True, ge=1, le=10, metadata={"unit": "points 1-10"}, description="mean"
    )
    score_after: pl.Float64 = pa.Field(
        nullable=True, ge=1, le=10, metadata={"unit": "points 1-10"}, description="mean"
    )
    score_delta: pl.Float64 = pa.Field(
        nullable=True,
        metadata={"unit": "points 1-10"},
        description="after minus before, over pairs where the test is paired",
    )
    low: pl.Float64 = pa.Field(
        nullable=True, metadata={"unit": "points 1-10"}, description="lower end of the 95 % interval"
    )
    high: pl.Float64 = pa.Field(
        nullable=True, metadata={"unit": "points 1-10"}, description="upper end of the 95 % interval"
    )
    test: pl.String = pa.Field(nullable=True, isin=["paired t", "Welch t"], description="test used")
    p_value: pl.Float64 = pa.Field(nullable=True, ge=0, le=1, description="two-sided")
    verdict: pl.String = pa.Field(
        isin=VERDICTS,
        description="confirmed: the interval lies on the side hoped for; refuted: on the other; else undecided",
    )
    confidence: pl.Float64 = pa.Field(
        nullable=True,
        ge=0,
        le=1,
        metadata={"unit": "0-1"},
        description="1 minus the one-sided p of the delta's own sign",
    )
    stated_delta: pl.Float64 = pa.Field(
        nullable=True, metadata={"unit": "points 1-10"}, description="last outcome as somebody stated it"
    )
    stated_validated: pl.Boolean = pa.Field(nullable=True, description="the same: did the hypothesis hold")

    class Config:
        strict = True


class LearningPatterns(pa.DataFrameModel):
    """A feature of agents or runs that goes with higher or lower scores, across sessions up to the hour."""

    hour: UtcInstant = pa.Field(description="hour as of which it is computed")
    synthetic: pl.Boolean = pa.Field(description="computed from synthetic sessions; real ones stand apart")
    source: pl.String = pa.Field(
        description="application that recorded the sessions; sources are never compared"
    )
    feature: pl.String = pa.Field(description="kind of feature: model, parameter, tool, prompt or run")
    value: pl.String = pa.Field(description="the feature, for example temperature=0.2")
    design: pl.String = pa.Field(
        isin=["within sessions", "between sessions"],
        description="within: difference inside sessions that have both; between: sessions with against sessions without",
    )
    sessions: pl.Int64 = pa.Field(ge=2, description="sessions compared")
    artifacts_with: pl.Int64 = pa.Field(ge=1, description="scored artifacts with the feature")
    artifacts_without: pl.Int64 = pa.Field(ge=1, description="scored artifacts without it")
    score_with: pl.Float64 = pa.Field(metadata={"unit": "points 1-10"}, description="mean over sessions")
    score_without: pl.Float64 = pa.Field(metadata={"unit": "points 1-10"}, description="mean over sessions")
    effect: pl.Float64 = pa.Field(metadata={"unit": "points 1-10"}, description="difference of the means")
    low: pl.Float64 = pa.Field(metadata={"unit": "points 1-10"}, description="lower end of the 95 % interval")
    high: pl.Float64 = pa.Field(
        metadata={"unit": "points 1-10"}, description="upper end of the 95 % interval"
    )
    effect_size: pl.Float64 = pa.Field(
        nullable=True, description="Cohen's d: effect over the standard deviation of sessions"
    )
    p_value: pl.Float64 = pa.Field(ge=0, le=1, description="two-sided")
    adjusted_p: pl.Float64 = pa.Field(
        ge=0, le=1, description="after Benjamini and Hochberg over all patterns of the hour"
    )
    holds: pl.Boolean = pa.Field(description="adjusted_p is below 0.05")

    class Config:
        strict = True


ORPHANS = Table(
    "training.orphans",
    Orphans,
    ("record", "record_id", "link", "parent_id"),
    "Links whose parent has not arrived.",
)
LINEAGE_RANKINGS = Table(
    "training.lineage_rankings",
    LineageRankings,
    ("session_id", "cycle", "lineage_id"),
    "Places of lineages per cycle, with ties.",
)
STRENGTHS = Table(
    "training.strengths",
    Strengths,
    ("scope", "synthetic", "competitor"),
    "Bradley-Terry strengths with intervals.",
)
EVOLUTION_VERDICTS = Table(
    "training.evolution_verdicts", EvolutionVerdicts, ("evolution_id",), "What scores say about hypotheses."
)
LEARNING_PATTERNS = Table(
    "training.learning_patterns",
    LearningPatterns,
    ("synthetic", "source", "feature", "value"),
    "What goes with higher scores.",
)

TABLES = (ORPHANS, LINEAGE_RANKINGS, STRENGTHS, EVOLUTION_VERDICTS, LEARNING_PATTERNS)
