"""From a configuration to plans: which models meet which splits, after every row has been looked at.

What belongs here: choosing, checking data, making plans. What does not: estimates (``planning``), sending
(``running``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.collector.datasets import Checked, SplitReader, describe_problems
from pipeline.collector.journal import Journal
from pipeline.collector.planning import ModelPlan, Plan, make_plan
from pipeline.collector.pricing import prices_of
from pipeline.errors import ConfigurationError, InputError
from pipeline.settings.collector import CollectorSettings, DatasetSelection, ModelSettings
from pipeline.settings.datasets import Dataset, Datasets


@dataclass(frozen=True)
class Choice:
    """What a command or a launchpad changes of the configuration; None and empty leave it as it stands."""

    models: tuple[str, ...] = ()
    datasets: tuple[str, ...] = ()
    demo: bool | None = None
    demo_limit: int | None = None
    overwrite: bool = False
    max_cost: float | None = None
    concurrency: int | None = None


@dataclass(frozen=True)
class Looked:
    """One split after its check; ``checked`` is None where it cannot be read, and ``problem`` says why."""

    dataset: str
    split: str
    reader: SplitReader | None
    checked: Checked | None
    problem: str = ""


def apply_choice(settings: CollectorSettings, choice: Choice) -> CollectorSettings:
    """The settings with what was chosen; raises ``ConfigurationError`` for a name that is not there."""
    models = _chosen(settings.models, choice.models, "model", lambda model: model.name)
    datasets = _chosen(settings.datasets, choice.datasets, "dataset", lambda dataset: dataset.dataset_id)
    changes: dict[str, Any] = {
        "demo_mode": choice.demo,
        "demo_limit": choice.demo_limit,
        "overwrite": choice.overwrite or None,
        "max_cost": choice.max_cost,
        "concurrency": choice.concurrency,
    }
    run = settings.run.model_copy(
        update={name: value for name, value in changes.items() if value is not None}
    )
    return settings.model_copy(update={"models": models, "datasets": datasets, "run": run})


def look_at_data(settings: CollectorSettings, declarations: Datasets) -> list[Looked]:
    """Every chosen split, read once from end to end (to its limit in demo mode); nothing is raised for bad
    data."""
    looked = []
    for chosen in settings.datasets:
        declaration = _declared(declarations, chosen)
        for split in chosen.splits:
            try:
                reader = SplitReader(chosen.dataset_id, split, declaration)
                checked = reader.check(_limit(settings, chosen))
            except InputError as error:
                looked.append(Looked(chosen.dataset_id, split, None, None, str(error)))
                continue
            problem = ""
            if checked.grave and declaration.bad_rows == "refuse":
                problem = describe_problems(chosen.dataset_id, split, checked.grave)
            elif not checked.items:
                problem = f"dataset {chosen.dataset_id}, split {split}: it has no row that can be asked"
            looked.append(Looked(chosen.dataset_id, split, reader, checked, problem))
    return looked


def make_plans(settings: CollectorSettings, declarations: Datasets, journal: Journal) -> list[Plan]:
    """A plan per model, dataset and split; raises before anything is spent where data or an evaluator
    forbid it."""
    looked = look_at_data(settings, declarations)
    problems = [one.problem for one in looked if one.problem]
    if problems:
        raise InputError(
            f"Checking the data before the run: {' | '.join(problems).rstrip('.')}. Then run "
            "again; rows that should be left out need bad_rows: skip."
        )
    plans = []
    limits = {chosen.dataset_id: _limit(settings, chosen) for chosen in settings.datasets}
    for one in looked:
        assert one.reader is not None and one.checked is not None  # else there is a problem
        one.reader.evaluator.refuse_to_run()
        for model in settings.models:
            plans.append(
                make_plan(
                    model_plan(model), one.reader, one.checked, journal, repetitions=model.repetitions,
                    limit=limits[one.dataset], overwrite=settings.run.overwrite, synthetic=False,
                )
            )  # fmt: skip
    return plans


def model_plan(model: ModelSettings) -> ModelPlan:
    """What the planner knows of a configured model: everything that decides answers is its identity."""
    identity = model.model_dump(
        mode="json",
        include={
            "api_model_name", "generator_type", "api", "temperature", "top_p", "max_tokens", "seed",
            "reasoning_effort", "extra_body",
        },
    )  # fmt: skip
    return ModelPlan(
        name=model.name,
        api_model_name=model.api_model_name,
        settings=model,
        identity={**identity, "endpoint": model.endpoint},
        prices=prices_of(model),
        generator=model.generator_type,
        maximum_tokens=model.max_tokens,
        requests_per_minute=model.limits.requests_per_minute,
        tokens_per_minute=model.limits.tokens_per_minute,
        configuration=f"effort={model.reasoning_effort}" if model.reasoning_effort else "",
        extract_fields=model.extract_fields,
    )


def _limit(settings: CollectorSettings, chosen: DatasetSelection) -> int | None:
    limits = [chosen.limit, settings.run.demo_limit if settings.run.demo_mode else None]
    return min((limit for limit in limits if limit is not None), default=None)


def _declared(declarations: Datasets, chosen: DatasetSelection) -> Dataset:
    if chosen.dataset_id not in declarations.datasets:
        raise ConfigurationError(
            f"Reading the collector's configuration: there is no dataset {chosen.dataset_id!r}; "
            f"datasets.yaml "
            f"declares {', '.join(declarations.datasets)}."
        )
    return declarations.datasets[chosen.dataset_id]


def _chosen(entries: Sequence[Any], names: tuple[str, ...], what: str, name_of: Any) -> tuple[Any, ...]:
    known = {name_of(entry): entry for entry in entries}
    for name in names:
        if name not in known:
            raise ConfigurationError(
                f"Choosing a {what}: the configuration has no {name!r}; it has {', '.join(known)}."
            )
    return tuple(entry for name, entry in known.items() if not names or name in names)
