"""Every kind of export as streams of candidates, each with the function that makes examples of one.

What belongs here: which candidates a kind takes, in which order. What does not: rows (``examples``) and the
gate (``accepting``).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import polars as pl

from pipeline.settings.exports import Criteria
from pipeline.training.examples import judged, preferences, prompts, supervised, trajectories
from pipeline.training.examples.example import DEFAULT_PART, Example
from pipeline.training.examples.pairing import find_pairs
from pipeline.training.examples.records import Records, Texts
from pipeline.training.examples.selecting import in_order, scored_at_least, select

Make = Callable[[dict[str, Any], Texts, Criteria, str | None], Iterator[Example]]


class Stream(NamedTuple):
    """Candidates in order of preference; ``sides`` are the artifacts that pairs point into, None
    otherwise.
    """

    part: str
    candidates: pl.DataFrame
    make: Make
    sides: pl.DataFrame | None = None
    spans: bool = False


def streams(records: Records, criteria: Criteria, refused: Counter[str]) -> tuple[int, list[Stream]]:
    """How many artifacts there are, and the streams of a kind; ``refused`` counts artifacts and pairs left
    out.
    """
    known = records.artifacts(criteria)
    chosen = select(known, criteria, refused)
    made: list[Stream] = []
    if criteria.kind in ("preferences", "rewards", "openai-dpo"):
        chosen = in_order(chosen, criteria)
        pairs = find_pairs(chosen, records.comparisons(criteria), records.locks(criteria), criteria, refused)
        ordered = in_order(pairs.with_columns(artifact_id=pl.col("draw")), criteria)
        make: Make = _openai_dpo if criteria.kind == "openai-dpo" else _preference
        made.append(Stream(DEFAULT_PART, ordered, make, sides=chosen))
    if criteria.kind == "rewards":
        rated = chosen.filter(pl.col("score").is_not_null())
        made.append(Stream(judged.SCORES_PART, rated, _one(judged.scored)))
    if criteria.kind in ("grpo", "verl"):
        make = _one(prompts.grpo if criteria.kind == "grpo" else prompts.verl)
        made.append(Stream(DEFAULT_PART, in_order(prompts.by_prompt(chosen), criteria), make))
    if criteria.kind == "kto":
        made.append(
            Stream(
                DEFAULT_PART, in_order(_decided(chosen, criteria, refused), criteria), _one(judged.labelled)
            )
        )
    if criteria.kind in _SUPERVISED:
        make, spans = _SUPERVISED[criteria.kind]
        ordered = in_order(scored_at_least(chosen, criteria, refused), criteria)
        made.append(Stream(DEFAULT_PART, ordered, make, spans=spans))
    return known.height, made


def _decided(artifacts: pl.DataFrame, criteria: Criteria, refused: Counter[str]) -> pl.DataFrame:
    """The artifacts that are good or bad enough for a label."""
    scored = artifacts.filter(pl.col("score").is_not_null())
    refused["no_score"] += artifacts.height - scored.height
    decided = scored.filter(
        (pl.col("score") >= criteria.minimum_score) | (pl.col("score") <= criteria.bad_score)
    )
    refused["neither_good_nor_bad"] += scored.height - decided.height
    return decided


def _one(make: Callable[[dict[str, Any], Texts, Criteria], Example]) -> Make:
    def several(
        candidate: dict[str, Any], texts: Texts, criteria: Criteria, which: str | None
    ) -> Iterator[Example]:
        yield make(candidate, texts, criteria)

    return several


def _preference(
    pair: dict[str, Any], texts: Texts, criteria: Criteria, which: str | None
) -> Iterator[Example]:
    yield preferences.preference(pair, texts, criteria)


def _openai_dpo(
    pair: dict[str, Any], texts: Texts, criteria: Criteria, which: str | None
) -> Iterator[Example]:
    yield preferences.openai_dpo(pair, texts, criteria)


_SUPERVISED: dict[str, tuple[Make, bool]] = {
    "sft": (supervised.sft, False),
    "reasoning": (supervised.reasoning, True),
    "openai-sft": (supervised.openai_sft, False),
    "atif": (_one(trajectories.trajectory), True),
}
