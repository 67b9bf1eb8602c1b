"""Completions with a verdict of their own: the scalars of ``rewards`` and the labels of ``kto``.

What belongs here: these rows. What does not: pairs (``preferences``).
"""

from __future__ import annotations

from typing import Any

from pipeline.settings.exports import Criteria
from pipeline.training.examples.conversations import (
    Refused,
    as_text,
    conversation,
    says_something,
)
from pipeline.training.examples.example import Example, example_of
from pipeline.training.examples.records import Texts

SCORES_PART = "scores"


def scored(candidate: dict[str, Any], texts: Texts, criteria: Criteria) -> Example:
    """``prompt``, ``completion`` and ``score`` (1-10, the mean over the artifact's evaluations)."""
    if candidate["score"] is None:
        raise Refused("no_score")
    row = _row(candidate, texts, criteria)
    row["score"] = round(candidate["score"], 6)
    return example_of(candidate, row, rule="score", part=SCORES_PART)


def labelled(candidate: dict[str, Any], texts: Texts, criteria: Criteria) -> Example:
    """``prompt``, ``completion`` and ``label``: true from ``minimum_score`` on, false up to ``bad_score``."""
    if candidate["score"] is None:
        raise Refused("no_score")
    assert criteria.minimum_score is not None  # the settings ask for both bounds
    assert criteria.bad_score is not None
    if criteria.bad_score < candidate["score"] < criteria.minimum_score:
        raise Refused("neither_good_nor_bad")
    row = _row(candidate, texts, criteria)
    row["label"] = candidate["score"] >= criteria.minimum_score
    rule = "minimum_score" if row["label"] else "bad_score"
    return example_of(candidate, row, rule=rule)


def _row(candidate: dict[str, Any], texts: Texts, criteria: Criteria) -> dict[str, Any]:
    talk = conversation(candidate, texts, system=criteria.system_prompt in ("include", "shared"))
    if not says_something(talk.answer):
        raise Refused("empty_completion")
    if criteria.prompts == "text":
        row: dict[str, Any] = {"prompt": as_text(talk.prompt), "completion": as_text(talk.answer)}
    else:
        row = {"prompt": talk.prompt, "completion": talk.answer}
        if talk.tools:
            row["tools"] = talk.tools
    return row
