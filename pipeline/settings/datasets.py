"""``configs/datasets.yaml``: what a benchmark is made of, where its rows lie and how answers are judged.

What belongs here: the declaration of a dataset and what makes one impossible. What does not: reading rows
and rendering prompts (``pipeline.collector.datasets``), judging answers (``pipeline.collector.evaluators``).
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from pipeline.settings.files import Settings, load_settings
from pipeline.settings.places import config_directory

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}\Z", re.ASCII)


class Evaluation(Settings):
    """Which evaluator judges the answers, and its parameters."""

    name: str
    parameters: dict[str, Any] = Field(default_factory=dict)


class FewShot(Settings):
    """Solved examples that stand before each question, as turns of the user and the assistant.

    ``examples`` are rows with the dataset's fields; ``answer`` is the template of the assistant's turn.
    """

    examples: tuple[dict[str, Any], ...] = Field(min_length=1, max_length=64)
    answer: str


class Split(Settings):
    """The files of a split: paths or globs, absolute or below one of the datasets' folders."""

    files: tuple[str, ...] = Field(min_length=1)

    @field_validator("files")
    @classmethod
    def _known_endings(cls, files: tuple[str, ...]) -> tuple[str, ...]:
        for name in files:
            if not name.endswith((".jsonl", ".jsonl.gz", ".csv", ".csv.gz", ".parquet")):
                raise ValueError(f"{name!r} ends in none of .jsonl, .jsonl.gz, .csv, .csv.gz, .parquet")
        return files


class Dataset(Settings):
    """One dataset.

    ``fields`` maps names used in templates to columns of the file; without it, columns keep their names.
    ``prompt``, ``system``, ``target``, ``images`` and ``few_shot.answer`` are templates in a small, bounded
    part of Jinja (``pipeline.collector.prompts``). ``identifier`` names the field that tells rows apart.
    ``benchmark`` is the canonical name under which scores enter the capability graph; without it they do not.
    """

    description: str = ""
    licence: str
    source: str
    splits: dict[str, Split] = Field(min_length=1)
    fields: dict[str, str] = Field(default_factory=dict)
    prompt: str = Field(min_length=1)
    system: str | None = None
    target: str | None = None
    images: tuple[str, ...] = ()
    identifier: str | None = None
    few_shot: FewShot | None = None
    evaluator: Evaluation
    benchmark: str | None = None
    benchmark_version: str | None = None
    bad_rows: Literal["refuse", "skip"] = "refuse"

    @field_validator("splits")
    @classmethod
    def _split_names(cls, splits: dict[str, Split]) -> dict[str, Split]:
        for name in splits:
            _check_name(name, "split")
        return splits


class Datasets(Settings):
    """The whole file."""

    datasets: dict[str, Dataset] = Field(min_length=1)

    @model_validator(mode="after")
    def _dataset_names(self) -> Datasets:
        for name in self.datasets:
            _check_name(name, "dataset")
        return self


def load_datasets(path: Path | None = None) -> Datasets:
    """The declarations of ``path``, by default ``configs/datasets.yaml``."""
    return load_settings(path or config_directory() / "datasets.yaml", Datasets)


def _check_name(name: str, what: str) -> None:
    if not _NAME.match(name):
        raise ValueError(
            f"the {what} name {name!r} must be 1-100 letters, digits, dots, dashes or underscores, "
            "beginning with a letter or digit"
        )
