"""Pairs of completions of one prompt: ``preferences``, ``openai-dpo`` and the margin pairs of ``rewards``.

What belongs here: the rows of pairs, and the last word on whether two artifacts answered byte-equal prompts
with different texts. What does not: who beats whom (``pairing``).
"""

from __future__ import annotations

import json
from typing import Any

from pipeline.settings.exports import Criteria
from pipeline.training.examples.conversations import (
    Conversation,
    Message,
    Refused,
    as_text,
    conversation,
    dump,
    says_something,
)
from pipeline.training.examples.example import DEFAULT_PART, Example, pair_of
from pipeline.training.examples.records import Texts
from pipeline.training.examples.supervised import for_openai


def preference(pair: dict[str, Any], texts: Texts, criteria: Criteria, part: str = DEFAULT_PART) -> Example:
    """``prompt``, ``chosen``, ``rejected``, ``margin`` (0-1), and ``tools`` where both sides had the same."""
    chosen, rejected = shared_prompt(pair, texts, criteria)
    written = as_text if criteria.prompts == "text" else _same
    row: dict[str, Any] = {
        "prompt": written(chosen.prompt),
        "chosen": written(chosen.answer),
        "rejected": written(rejected.answer),
        "margin": round(pair["margin"], 6),
    }
    if chosen.tools and criteria.prompts == "messages":
        row["tools"] = chosen.tools
    return pair_of(pair, row, part=part)


def openai_dpo(pair: dict[str, Any], texts: Texts, criteria: Criteria) -> Example:
    """``input`` with ``messages``, one preferred and one non-preferred message of the assistant."""
    chosen, rejected = shared_prompt(pair, texts, criteria)
    if len(chosen.answer) != 1 or len(rejected.answer) != 1:
        raise Refused("more_than_one_message")
    given: dict[str, Any] = {"messages": [for_openai(message) for message in chosen.prompt]}
    if chosen.tools:
        given["tools"] = json.loads(chosen.tools)
    row = {
        "input": given,
        "preferred_output": [for_openai(chosen.answer[0])],
        "non_preferred_output": [for_openai(rejected.answer[0])],
    }
    return pair_of(pair, row)


def shared_prompt(
    pair: dict[str, Any], texts: Texts, criteria: Criteria
) -> tuple[Conversation, Conversation]:
    """Both conversations, their prompts byte-equal; raises ``Refused``.

    With ``system_prompt: shared`` different system prompts (and tools) are left out of both, equal ones stay.
    """
    keep = criteria.system_prompt != "leave_out"
    sides = [conversation(pair[side], texts, system=keep) for side in ("chosen", "rejected")]
    if not _equal(*sides) and criteria.system_prompt == "shared":
        sides = [
            conversation(pair[side], texts, system=False)._replace(tools=None)
            for side in ("chosen", "rejected")
        ]
    chosen, rejected = sides
    if not _equal(chosen, rejected):
        raise Refused("prompts_differ")
    if dump(chosen.answer) == dump(rejected.answer):
        raise Refused("equal_texts")
    if not says_something(chosen.answer) or not says_something(rejected.answer):
        raise Refused("empty_completion")
    return chosen, rejected


def _equal(chosen: Conversation, rejected: Conversation) -> bool:
    return dump(chosen.prompt) == dump(rejected.prompt) and chosen.tools == rejected.tools


def _same(messages: list[Message]) -> list[Message]:
    return messages
