"""``configs/exports/<kind>.yaml``: which records become examples, how they are written, and their bounds.

What belongs here: the file's model (document 002's export criteria and what a trainer's format asks for) and
the default of each kind. What does not: choosing, building and writing rows (``pipeline.training``).
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator, model_validator

from pipeline.errors import ConfigurationError
from pipeline.settings.files import Settings, load_settings
from pipeline.settings.places import config_directory

Kind = Literal[
    "sft",
    "preferences",
    "rewards",
    "kto",
    "reasoning",
    "grpo",
    "verl",
    "openai-sft",
    "openai-dpo",
    "atif",
]

KINDS: tuple[Kind, ...] = (
    "sft",
    "preferences",
    "rewards",
    "kto",
    "reasoning",
    "grpo",
    "verl",
    "openai-sft",
    "openai-dpo",
    "atif",
)
"""Every kind of export, in the order they are listed."""

Complexity = Literal["trivial", "standard", "complex"]
PairRule = Literal["comparison", "lock", "score_gap"]
EvaluatorKind = Literal["person", "model", "program"]


class TimeRange(Settings):
    """Only records from ``start`` on and before ``end``; naive instants are UTC, null is open."""

    start: datetime | None = None
    end: datetime | None = None

    @field_validator("start", "end")
    @classmethod
    def _utc(cls, value: datetime | None) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)

    @model_validator(mode="after")
    def _ordered(self) -> TimeRange:
        if self.start is not None and self.end is not None and self.start >= self.end:
            raise ValueError("time_range.start must lie before time_range.end")
        return self


class Privacy(Settings):
    """What the door does: every row passes it; ``recipient`` names whose key pseudonyms are made with."""

    anonymize: Literal[True] = True
    add_differential_privacy_noise: Literal[False] = False
    recipient: str | None = None


class Shares(Settings):
    """Shares of the rows by split; they add up to 1."""

    train: float = Field(0.9, ge=0, le=1)
    validation: float = Field(0.05, ge=0, le=1)
    test: float = Field(0.05, ge=0, le=1)

    @model_validator(mode="after")
    def _whole(self) -> Shares:
        if abs(self.train + self.validation + self.test - 1) > 1e-9:
            raise ValueError("splits must add up to 1")
        return self


class Criteria(Settings):
    """One export. Scores are points 1-10, margins 0-1, lengths tokens; see the annotated files."""

    kind: Kind
    description: str = ""
    licence: str = "other"

    minimum_rows: int = Field(1, ge=0)
    maximum_rows: int = Field(50_000, ge=1, le=5_000_000)

    minimum_score: float | None = Field(None, ge=1, le=10)
    bad_score: float | None = Field(None, ge=1, le=10)
    evaluators: tuple[EvaluatorKind, ...] = ("person", "model", "program")
    compliant_only: bool = False

    task_types: tuple[str, ...] | None = None
    complexity_distribution: dict[Complexity, float] | None = None
    sources: tuple[str, ...] | None = None
    rows_per_prompt: int = Field(16, ge=1, le=1000)

    time_range: TimeRange = TimeRange()
    prefer_recent: bool = True
    include_synthetic: bool = False

    privacy: Privacy = Privacy()

    pair_rules: tuple[PairRule, ...] = ("comparison", "lock", "score_gap")
    minimum_margin: float = Field(0.1, gt=0, le=1)

    prompts: Literal["messages", "text"] = "messages"
    layout: Literal["prompt_completion", "messages"] = "prompt_completion"
    turns: Literal["every", "last", "whole"] = "whole"
    system_prompt: Literal["include", "leave_out", "shared"] = "include"

    token_budget: int = Field(16_384, ge=16)
    over_budget: Literal["refuse", "split"] = "refuse"
    tokenizer: str | None = None

    near_duplicate_similarity: float | None = Field(0.9, gt=0, le=1)
    splits: Shares = Shares()
    shard_rows: int = Field(25_000, ge=1)
    seed: int = 20260101

    @model_validator(mode="after")
    def _consistent(self) -> Criteria:
        shares = self.complexity_distribution
        if shares is not None and (min(shares.values()) < 0 or abs(sum(shares.values()) - 1) > 1e-9):
            raise ValueError("complexity_distribution must be shares that add up to 1")
        if self.kind == "kto" and (self.minimum_score is None or self.bad_score is None):
            raise ValueError("kto needs minimum_score and bad_score")
        if None not in (self.bad_score, self.minimum_score) and self.bad_score >= self.minimum_score:  # type: ignore[operator]
            raise ValueError("bad_score must lie below minimum_score")
        if self.minimum_rows > self.maximum_rows:
            raise ValueError("minimum_rows must not exceed maximum_rows")
        if self.prompts == "text" and self.kind not in TEXT_KINDS:
            raise ValueError(f"{self.kind} is a format of messages; prompts must be messages")
        if self.prompts == "text" and self.layout == "messages":
            raise ValueError("layout messages needs prompts: messages")
        return self


TEXT_KINDS = ("sft", "preferences", "rewards", "kto", "grpo")
"""Kinds whose prompts may be plain texts."""


def default_criteria(kind: Kind) -> Path:
    """The file that describes a kind unless another is named."""
    return config_directory() / "exports" / f"{kind}.yaml"


def load_criteria(path: Path, kind: Kind | None = None) -> Criteria:
    """The criteria in a file; raises ``ConfigurationError``, also where the file is for another kind."""
    criteria = load_settings(path, Criteria)
    if kind is not None and criteria.kind != kind:
        raise ConfigurationError(
            f"Reading {path.name}: its kind is {criteria.kind} and {kind} was asked for; "
            "name the criteria of that kind."
        )
    return criteria
