"""A whole collection: plans, the client, the runner. What the command and Dagster's job both call.

What belongs here: putting the parts together. What does not: any one part, terminals and signals.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.collector.asking import ClientAsker, as_request
from pipeline.collector.cache import Miss
from pipeline.collector.client import Client
from pipeline.collector.journal import Journal
from pipeline.collector.planning import Estimate, Plan, estimate
from pipeline.collector.running import LOOK_UP, Outcome, Progress, jobs_of, run_plans
from pipeline.collector.setup import Choice, apply_choice, make_plans
from pipeline.settings.collector import CollectorSettings, load_collector
from pipeline.settings.datasets import Datasets, load_datasets


@dataclass(frozen=True)
class Collection:
    """A configuration with its checked plans, ready to be estimated or run."""

    settings: CollectorSettings
    plans: tuple[Plan, ...]
    journal: Journal


def prepare(file: Path | None, choice: Choice, declarations: Datasets | None = None) -> Collection:
    """Read the configuration (``configs/collector.yaml`` by default), check all data and make the plans."""
    settings = apply_choice(load_collector(file), choice)
    journal = Journal()
    plans = make_plans(settings, declarations or load_datasets(), journal)
    return Collection(settings, tuple(plans), journal)


async def estimates(collection: Collection) -> list[Estimate]:
    """What each plan will take, with the answers the cache holds already; sends nothing."""
    async with Client(collection.settings, sending=False) as client:
        return [
            estimate(plan, collection.journal, await _cached(client, plan, collection.journal))
            for plan in collection.plans
        ]


async def collect(collection: Collection, progress: Progress) -> list[Outcome]:
    """Run every plan; see ``run_plans``."""
    run = collection.settings.run
    async with Client(collection.settings) as client:
        return await run_plans(
            collection.plans,
            ClientAsker(client),
            collection.journal,
            run.results_directory,
            progress,
            concurrency=run.concurrency,
            max_cost=run.max_cost,
            group_seconds=run.commit_interval_ms / 1000,
        )


async def why_missed(collection: Collection, row: int) -> list[tuple[Plan, Miss]]:
    """Why the request of a row of each plan is not answered from the cache; sends nothing."""
    found = []
    async with Client(collection.settings, sending=False) as client:
        for plan in collection.plans:
            items = itertools.islice(plan.reader.items(row), row - 1, row)
            found += [(plan, await client.why_miss(as_request(plan.model, item, 0))) for item in items]
    return found


def unfinished(outcomes: Sequence[Outcome]) -> list[Outcome]:
    """The runs that the same command goes on with."""
    return [outcome for outcome in outcomes if outcome.status != "complete"]


async def _cached(client: Client, plan: Plan, journal: Journal) -> int:
    done = set() if plan.fresh else journal.done(plan.entry.run_id)
    jobs = jobs_of(plan, done)
    asker = ClientAsker(client)
    count = 0
    while some := list(itertools.islice(jobs, LOOK_UP)):
        answers = await asker.look_up(plan.model, some)
        count += sum(answer is not None for answer in answers)
    return count
