"""What scores say about an evolution: the delta, and the verdict on its hypothesis.

What belongs here: judging one change of an agent by the scores of the versions before and after. What
does not: patterns across sessions (``patterns``), tests (``testing``).
"""

from __future__ import annotations

from statistics import fmean
from typing import Any

import polars as pl

from pipeline.hours import Hour
from pipeline.training.derived.comparing import Records, artifact_scores, placed_artifacts
from pipeline.training.derived.tables import EVOLUTION_VERDICTS
from pipeline.training.derived.testing import Difference, paired, unpaired
from pipeline.warehouse.tables import UTC_DATETIME

Scores = dict[str, list[float]]


def evolution_verdicts(
    evolutions: pl.DataFrame, outcomes: pl.DataFrame, attempts: pl.DataFrame, records: Records, hour: Hour
) -> pl.DataFrame:
    """A row per evolution, as ``training.evolution_verdicts``.

    Where both versions were scored on two or more common inputs (test input and prompt), the mean scores
    per input are compared by a paired t test; else the scores of all artifacts by Welch's. With fewer
    than two scores on a side there is no evidence: delta, interval and confidence are null and the
    verdict undecided. The hoped-for direction is the sign of ``expected_delta``, up where that is null.
    """
    by_agent = _scores_by_agent(attempts, records)
    stated = outcomes.sort("happened_at", "event_id").group_by("evolution_id").last()
    rows = []
    for evolution in evolutions.join(
        stated.select("evolution_id", stated_delta="score_delta", stated_validated="validated"),
        on="evolution_id",
        how="left",
        maintain_order="left",
    ).iter_rows(named=True):
        before, after = (by_agent.get(evolution[name], {}) for name in ("before_agent_id", "after_agent_id"))
        rows.append(_verdict(evolution, before, after))
    schema = {name: kind for name, kind in EVOLUTION_VERDICTS.polars_schema.items() if name != "hour"}
    frame = pl.DataFrame(rows, schema=schema, orient="row")
    return frame.with_columns(hour=pl.lit(hour.start, dtype=UTC_DATETIME)).select(
        list(EVOLUTION_VERDICTS.polars_schema)
    )


def _scores_by_agent(attempts: pl.DataFrame, records: Records) -> dict[str, Scores]:
    """Agent to input to the scores of its artifacts."""
    inputs = attempts.select("attempt_id", asked=pl.concat_str("test_input", pl.lit("\x1f"), "prompt"))
    scored = (
        placed_artifacts(records)
        .join(artifact_scores(records.evaluations), on="artifact_id", how="inner")
        .join(inputs, on="attempt_id", how="left")
        .sort("artifact_id")
    )
    found: dict[str, Scores] = {}
    for agent, asked, score in scored.select("agent_id", "asked", "score").iter_rows():
        found.setdefault(agent, {}).setdefault(asked or "", []).append(score)
    return found


def _verdict(evolution: dict[str, Any], before: Scores, after: Scores) -> dict[str, Any]:
    common = [asked for asked in before if asked in after and asked.strip("\x1f")]
    all_before, all_after = (
        [score for scores in side.values() for score in scores] for side in (before, after)
    )
    difference, test = paired([fmean(after[one]) - fmean(before[one]) for one in common]), "paired t"
    if difference is None:
        difference, test = unpaired(all_before, all_after), "Welch t"
    names = ("evolution_id", "session_id", "lineage_id", "before_agent_id", "after_agent_id", "hypothesis")
    return {
        **{name: evolution[name] for name in names},
        **{name: evolution[name] for name in ("expected_delta", "stated_delta", "stated_validated")},
        "artifacts_before": len(all_before),
        "artifacts_after": len(all_after),
        "pairs": len(common),
        "score_before": fmean(all_before) if all_before else None,
        "score_after": fmean(all_after) if all_after else None,
        **_judged(difference, test, evolution["expected_delta"]),
    }


def _judged(difference: Difference | None, test: str, expected: float | None) -> dict[str, Any]:
    if difference is None:
        nothing = ("score_delta", "low", "high", "test", "p_value", "confidence")
        return {**dict.fromkeys(nothing), "verdict": "undecided"}
    up = expected is None or expected >= 0
    rises, falls = difference.low > 0, difference.high < 0
    confirmed, refuted = (rises, falls) if up else (falls, rises)
    return {
        "score_delta": difference.delta,
        "low": difference.low,
        "high": difference.high,
        "test": test,
        "p_value": difference.p_value,
        "confidence": difference.confidence,
        "verdict": "confirmed" if confirmed else "refuted" if refuted else "undecided",
    }
