"""Patterns across sessions: which features of agents and runs go with higher scores.

What belongs here: features, and the comparison of sessions with and without them. What does not: tests
(``testing``), insights that somebody noted (``training.learning_insights``).

The session is the unit: scores of one session share a task and a judge, so counting artifacts would find
patterns in noise. Sessions of one source are compared with each other only: sources differ in more than
a feature. Where at least five sessions have artifacts both with and without a feature, the difference
inside each is tested (paired); else sessions with it against sessions without (Welch), five or more on
each side. All patterns of an hour are adjusted together (Benjamini and Hochberg). A pattern is an
association, not a cause.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from statistics import fmean, median
from typing import Any

import polars as pl

from pipeline.hours import Hour
from pipeline.training.derived.comparing import Records, artifact_scores, placed_artifacts
from pipeline.training.derived.tables import LEARNING_PATTERNS
from pipeline.training.derived.testing import adjusted, paired, unpaired
from pipeline.warehouse.tables import UTC_DATETIME

FEWEST_SESSIONS = 5
"""Sessions needed on each side, or inside which both sides stand."""

LEVEL = 0.05

Feature = tuple[str, str]
Run = dict[str, Any]


def learning_patterns(
    records: Records, contents: pl.DataFrame, attempts: pl.DataFrame, tools: pl.DataFrame, hour: Hour
) -> pl.DataFrame:
    """The patterns, as ``training.learning_patterns``, real and synthetic sessions apart.

    ``contents`` has hash and text of system prompts; ``attempts`` attempt_id, number and latency_ms;
    ``tools`` attempt_id, name and calls (how often a tool was called).
    """
    runs = list(_runs(records, contents, attempts, tools))
    groups: dict[tuple[bool, str], list[Run]] = defaultdict(list)
    for run in runs:
        groups[run["synthetic"], run["source"]].append(run)
    rows = _corrected(
        [
            {**row, "synthetic": key[0], "source": key[1]}
            for key, group in groups.items()
            for row in _patterns(group)
        ]
    )
    schema = {name: kind for name, kind in LEARNING_PATTERNS.polars_schema.items() if name != "hour"}
    frame = pl.DataFrame(rows, schema=schema, orient="row").with_columns(
        hour=pl.lit(hour.start, dtype=UTC_DATETIME)
    )
    return frame.select(list(LEARNING_PATTERNS.polars_schema)).sort(
        "synthetic", "p_value", "feature", "value"
    )


def _runs(
    records: Records, contents: pl.DataFrame, attempts: pl.DataFrame, tools: pl.DataFrame
) -> Iterator[Run]:
    """Each scored artifact with the features of the run and the agent it comes from."""
    scored = (
        placed_artifacts(records)
        .join(artifact_scores(records.evaluations), on="artifact_id", how="inner")
        .join(attempts.select("attempt_id", "number"), on="attempt_id", how="left")
        .sort("artifact_id")
    )
    prompts = dict(contents.select("hash", "text").iter_rows())
    agents = {row["agent_id"]: row for row in records.agents.iter_rows(named=True)}
    lengths = [len(prompts.get(row["system_prompt_hash"]) or "") for row in agents.values()]
    used: dict[str, dict[str, int]] = defaultdict(dict)
    for attempt, name, calls in tools.select("attempt_id", "name", "calls").iter_rows():
        used[attempt][name] = calls
    usual_calls = median(sum(calls.values()) for calls in used.values()) if used else 0
    usual_length = median(lengths) if lengths else 0
    for row in scored.iter_rows(named=True):
        agent = agents.get(row["agent_id"])
        features = set(_agent_features(agent, prompts, usual_length)) if agent else set()
        features |= set(_run_features(row["number"], used.get(row["attempt_id"] or "", {}), usual_calls))
        yield {**row, "features": features}


def _agent_features(agent: Mapping[str, Any], prompts: Mapping[str, str], usual: float) -> Iterator[Feature]:
    if agent["model"]:
        yield "model", agent["model"]
    for name, value in json.loads(agent["parameters"]).items():
        if isinstance(value, (str, int, float, bool)):
            yield "parameter", f"{name}={value}"
    prompt = prompts.get(agent["system_prompt_hash"])
    if prompt is None:
        return
    lowered = prompt.lower()
    yield "prompt", "longer than usual" if len(prompt) > usual else "not longer than usual"
    for name, found in (
        ("has headings", any(line.startswith("#") for line in prompt.splitlines())),
        ("has a list", any(line.lstrip().startswith(("- ", "* ", "1.")) for line in prompt.splitlines())),
        ("has an example", "example" in lowered),
        ("asks to think step by step", "step by step" in lowered),
    ):
        if found:
            yield "prompt", name


def _run_features(number: int | None, tools: Mapping[str, int], usual: float) -> Iterator[Feature]:
    for name in tools:
        yield "tool", name
    if sum(tools.values()) > usual:
        yield "run", "more tool calls than usual"
    if number is not None and number > 1:
        yield "run", "a retry"


def _corrected(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    corrected = adjusted([row["p_value"] for row in found])
    return [
        {**row, "adjusted_p": p_value, "holds": p_value < LEVEL}
        for row, p_value in zip(found, corrected, strict=True)
    ]


def _patterns(runs: list[Run]) -> list[dict[str, Any]]:
    names = sorted({feature for run in runs for feature in run["features"]})
    return [row for name in names if (row := _pattern(runs, name)) is not None]


def _pattern(runs: list[Run], name: Feature) -> dict[str, Any] | None:
    """What one feature goes with; None where too few sessions can tell."""
    sides: dict[bool, dict[str, list[float]]] = {True: defaultdict(list), False: defaultdict(list)}
    for run in runs:
        sides[name in run["features"]][run["session_id"]].append(run["score"])
    have, lack = (
        {session: fmean(scores) for session, scores in sides[side].items()} for side in (True, False)
    )
    both = [session for session in have if session in lack]
    if len(both) >= FEWEST_SESSIONS:
        design, sessions = "within sessions", len(both)
        shown = [have[one] for one in both], [lack[one] for one in both]
        difference = paired([have[one] - lack[one] for one in both])
    else:
        design, sessions = "between sessions", len(have.keys() | lack.keys())
        apart = [score for session, score in lack.items() if session not in have]
        shown = list(have.values()), apart
        difference = unpaired(apart, list(have.values())) if min(map(len, shown)) >= FEWEST_SESSIONS else None
    if difference is None:
        return None
    return {
        "feature": name[0],
        "value": name[1],
        "design": design,
        "sessions": sessions,
        "artifacts_with": sum(map(len, sides[True].values())),
        "artifacts_without": sum(map(len, sides[False].values())),
        "score_with": fmean(shown[0]),
        "score_without": fmean(shown[1]),
        "effect": difference.delta,
        "low": difference.low,
        "high": difference.high,
        "effect_size": difference.effect_size,
        "p_value": difference.p_value,
    }
