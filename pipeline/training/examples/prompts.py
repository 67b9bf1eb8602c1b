"""Prompts for trainers that write completions themselves: ``grpo`` and ``verl``.

What belongs here: one row per prompt with what is known of its answers. What does not: rewards, which the
trainer's own functions compute.
"""

from __future__ import annotations

import json
from typing import Any

import polars as pl

from pipeline.settings.exports import Criteria
from pipeline.training.examples.conversations import (
    Refused,
    as_text,
    conversation,
    dump,
    said,
)
from pipeline.training.examples.example import Example, example_of
from pipeline.training.examples.records import Texts


def by_prompt(artifacts: pl.DataFrame) -> pl.DataFrame:
    """The best artifact of each prompt, with the number of artifacts and their mean score.

    Adds ``attempts`` and ``mean_score`` and joins the events of all of a prompt's artifacts, at most 64.
    """
    ordered = artifacts.sort("score", "artifact_id", descending=[True, False], nulls_last=True)
    return ordered.group_by("prompt_key", maintain_order=True).agg(
        pl.exclude("events", "prompt_key").first(),
        attempts=pl.len().cast(pl.Int64),
        mean_score=pl.col("score").mean(),
        events=pl.col("events").explode().unique(maintain_order=True).head(64),
    )


def grpo(candidate: dict[str, Any], texts: Texts, criteria: Criteria) -> Example:
    """``prompt`` and columns for reward functions.

    ``ability`` (task type), ``ground_truth`` (as recorded, else empty), ``reference`` (best recorded answer)
    with ``reference_score`` and ``mean_score`` (1-10, null where unscored) and ``attempts``.
    """
    talk = conversation(candidate, texts, system=criteria.system_prompt != "leave_out")
    row = {
        "prompt": as_text(talk.prompt) if criteria.prompts == "text" else talk.prompt,
        "ability": candidate["task_type"] or "general",
        "ground_truth": _ground_truth(candidate, texts),
        "reference": said(talk.answer[-1]),
        "reference_score": _rounded(candidate["score"]),
        "mean_score": _rounded(candidate["mean_score"]),
        "attempts": candidate["attempts"],
    }
    return example_of(candidate, row, rule="prompt")


def verl(candidate: dict[str, Any], texts: Texts, criteria: Criteria) -> Example:
    """``data_source, prompt, ability, reward_model{style, ground_truth}, extra_info``.

    The style is ``rule`` where the attempt's metadata hold a ``ground_truth``, else ``model`` with the best
    answer that reached ``minimum_score`` (any best answer where that is null).
    """
    talk = conversation(candidate, texts, system=criteria.system_prompt != "leave_out")
    if any(set(message) - {"role", "content"} for message in talk.prompt):
        raise Refused("prompt_not_plain")
    truth = _ground_truth(candidate, texts)
    style = "rule" if truth else "model"
    if not truth:
        if criteria.minimum_score is not None and (candidate["score"] or 0) < criteria.minimum_score:
            raise Refused("no_ground_truth")
        truth = said(talk.answer[-1])
    row = {
        "data_source": candidate["source"],
        "prompt": talk.prompt,
        "ability": candidate["task_type"] or "general",
        "reward_model": {"style": style, "ground_truth": truth},
        "extra_info": {
            "split": "",
            "index": 0,
            "reference_score": _rounded(candidate["score"]),
            "attempts": candidate["attempts"],
        },
    }
    return example_of(candidate, row, rule=f"{style}_truth")


def _ground_truth(candidate: dict[str, Any], texts: Texts) -> str:
    """What the attempt's metadata hold as ``ground_truth``, or as the actions that its task asks for.

    A value that is no text is written as JSON; empty where there is none.
    """
    metadata = json.loads(texts.inputs[candidate["attempt_id"]]["metadata"])
    task = metadata.get("task")
    found = metadata.get("ground_truth")
    if found is None and isinstance(task, dict) and isinstance(task.get("actions"), list):
        found = {"actions": task["actions"], "outputs": task.get("outputs") or []}
    if found is None:
        return ""
    return found if isinstance(found, str) else dump(found)


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 6)
