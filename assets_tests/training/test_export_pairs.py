"""Who beats whom, as a table: comparisons, locks, score gaps, and what happens where they disagree."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from assets_tests.training.export_states import START, State, criteria
from pipeline.capture import signals
from pipeline.privacy.acting import Redactor
from pipeline.privacy.detect import default_detector
from pipeline.training.examples.pairing import Pair, compared, locked, scored_apart, settle
from pipeline.training.exporting import collect

RULES = criteria("preferences", minimum_margin=0.1)


def comparison(*groups: list[str], preference: float | None = None) -> dict[str, Any]:
    return {"event_id": "e", "ranking": list(groups), "preference": preference}


@pytest.mark.parametrize(
    ("given", "pairs", "refused"),
    [
        (comparison(["a"], ["b"]), [("a", "b", 1.0)], {}),
        (comparison(["a"], ["b"], ["c"]), [("a", "b", 0.5), ("a", "c", 1.0), ("b", "c", 0.5)], {}),
        (comparison(["a"], ["b", "c"]), [("a", "b", 1.0), ("a", "c", 1.0)], {"tied": 1}),
        (comparison(["a", "b"]), [], {"tied": 1}),
        (comparison(["a"], ["b"], preference=0.8), [("a", "b", 0.6)], {}),
        (comparison(["a"], ["b"], preference=0.5), [], {"tied": 1}),
        (comparison(["a"], ["b"], preference=0.3), [], {"contradicted": 1}),
        (comparison(), [], {}),
    ],
)
def test_comparisons(
    given: dict[str, Any], pairs: list[tuple[str, str, float]], refused: dict[str, int]
) -> None:
    counted: Counter[str] = Counter()
    found = compared([given], counted)
    assert [(pair.chosen, pair.rejected) for pair in found] == [pair[:2] for pair in pairs]
    assert [pair.margin for pair in found] == pytest.approx([pair[2] for pair in pairs])
    assert counted == refused


def artifacts(*rows: tuple[str, str, int, float | None]) -> pl.DataFrame:
    """Artifacts of one session and question: id, lineage, cycle, score."""
    return pl.DataFrame(
        [
            {
                "artifact_id": name,
                "lineage_id": lineage,
                "cycle": cycle,
                "score": score,
                "session_id": "s",
                "ask": "q",
                "at": START + timedelta(seconds=place),
            }
            for place, (name, lineage, cycle, score) in enumerate(rows)
        ],
        schema_overrides={"score": pl.Float64, "cycle": pl.Int64, "at": pl.Datetime("us", "UTC")},
    )


def locks(*rows: tuple[str, int | None, bool]) -> pl.DataFrame:
    """Locks long after the artifacts: lineage, cycle, locked."""
    return pl.DataFrame(
        [
            {
                "lineage_id": lineage,
                "session_id": "s",
                "cycle": cycle,
                "locked": held,
                "at": START + timedelta(hours=1, seconds=place),
                "event_id": f"lock{place}",
            }
            for place, (lineage, cycle, held) in enumerate(rows)
        ],
        schema_overrides={"cycle": pl.Int64, "at": pl.Datetime("us", "UTC")},
    )


FOUR = artifacts(("a1", "A", 1, 9), ("b1", "B", 1, 4), ("a2", "A", 2, None), ("b2", "B", 2, None))


@pytest.mark.parametrize(
    ("given", "pairs"),
    [
        (locks(("A", 1, True)), [("a1", "b1", 5 / 9)]),
        (locks(("B", 1, True)), [("b1", "a1", -5 / 9)]),
        (locks(("A", 2, True)), [("a2", "b2", 0.1)]),
        (locks(("A", None, True)), [("a2", "b2", 0.1)]),
        (locks(("A", 1, True), ("A", 1, False)), []),
        (locks(("A", 1, True), ("B", 1, True)), []),
        (locks(("A", 3, True)), []),
    ],
)
def test_locks(given: pl.DataFrame, pairs: list[tuple[str, str, float]]) -> None:
    found = locked(given, FOUR, RULES)
    assert [(pair.chosen, pair.rejected) for pair in found] == [pair[:2] for pair in pairs]
    assert [pair.margin for pair in found] == pytest.approx([pair[2] for pair in pairs])


@pytest.mark.parametrize(
    ("scores", "pairs"),
    [
        ([9, 4], [("x0", "x1")]),
        ([4, 9], [("x1", "x0")]),
        ([7, 7], []),
        ([7.0, 6.5], []),
        ([9, 5, 1], [("x0", "x1"), ("x0", "x2"), ("x1", "x2")]),
        ([9, None], []),
    ],
)
def test_score_gaps(scores: list[float | None], pairs: list[tuple[str, str]]) -> None:
    given = artifacts(*((f"x{place}", "A", 1, score) for place, score in enumerate(scores)))
    found = scored_apart(given, RULES)
    assert {(pair.chosen, pair.rejected) for pair in found} == set(pairs)


def test_a_question_with_many_artifacts_makes_a_bounded_number_of_pairs() -> None:
    given = artifacts(*((f"x{place}", "A", 1, 1 + 9 * place / 400) for place in range(400)))
    assert len(scored_apart(given, RULES)) == 64


@pytest.mark.parametrize(
    ("groups", "pairs", "refused"),
    [
        (
            [[Pair("a", "b", 0.5, "comparison")], [Pair("a", "b", 0.2, "lock")]],
            [("a", "b", "comparison")],
            {},
        ),
        ([[Pair("a", "b", 0.5, "comparison")], [Pair("b", "a", 0.2, "lock")]], [], {"contradicted": 1}),
        ([[Pair("a", "b", -0.5, "lock")]], [], {"contradicted": 1}),
        ([[Pair("a", "a", 0.5, "comparison")]], [], {"tied": 1}),
        ([[Pair("a", "b", 0.05, "score_gap")]], [], {"small_margin": 1}),
    ],
)
def test_rules_that_disagree(
    groups: list[list[Pair]], pairs: list[tuple[str, str, str]], refused: dict[str, int]
) -> None:
    counted: Counter[str] = Counter()
    settled = settle(groups, RULES, counted)
    assert [(pair.chosen, pair.rejected, pair.rule) for pair in settled] == pairs
    assert counted == refused


def two_answers(
    first: str,
    second: str,
    *,
    prompts: tuple[str, str] = ("How?", "How?"),
    systems: tuple[str | None, str | None] = (None, None),
) -> State:
    state = State()
    state.session("s", "How?")
    for label, text, prompt, system in zip("AB", (first, second), prompts, systems, strict=True):
        state.agent("s", label, system=system)
        seen = [{"role": "system", "content": system}] if system else []
        state.answer(
            "s", label, label.lower(), text, need="How?", prompt=[*seen, {"role": "user", "content": prompt}]
        )
    state.add("s", signals.EvaluationGiven(evaluation_id="ranked", ranking=[["a"], ["b"]]))
    return state


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        (two_answers("Slowly.", "Fast.", prompts=("How?", "How? ")), "prompts_differ"),
        (two_answers("Slowly.", "Slowly."), "equal_texts"),
        (
            two_answers("Ask anna.berg@example.org", "Ask bert.lund@example.org"),
            "equal_texts_behind_the_door",
        ),
        (two_answers("Slowly.", "Fast."), None),
    ],
)
def test_only_byte_equal_prompts_with_different_answers_make_a_pair(
    state: State, reason: str | None, tmp_path: Path
) -> None:
    collected = collect(state.into(tmp_path), RULES, Redactor(default_detector()))
    left_out = {**collected.refused, **collected.dropped}
    assert left_out == ({} if reason is None else {reason: 1})
    assert len(collected.examples) == (1 if reason is None else 0)


@pytest.mark.parametrize(
    ("setting", "systems", "roles"),
    [
        ("shared", ("Be kind.", "Be kind."), ["system", "user"]),
        ("shared", ("Be kind.", "Be brief."), ["user"]),
        ("include", ("Be kind.", "Be kind."), ["system", "user"]),
        ("include", ("Be kind.", "Be brief."), None),
        ("leave_out", ("Be kind.", "Be kind."), ["user"]),
    ],
)
def test_the_system_prompt_stays_only_where_both_had_the_same(
    setting: str, systems: tuple[str, str], roles: list[str] | None, tmp_path: Path
) -> None:
    records = two_answers("Slowly.", "Fast.", systems=systems).into(tmp_path)
    asked = criteria("preferences", system_prompt=setting)
    collected = collect(records, asked, Redactor(default_detector()))
    rows = [[message["role"] for message in example.row["prompt"]] for example in collected.examples]
    assert rows == ([] if roles is None else [roles])
