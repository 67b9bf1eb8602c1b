"""Plans: which requests a configuration means, what is done already, and what the rest will take.

What belongs here: a run's identity, and estimates of requests, tokens, money and time before anything is
spent. What does not: sending (``running``), the settings' shape (``setup`` turns them into plans).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from pipeline.collector.costing import PER, Price, price_on
from pipeline.collector.datasets import Checked, SplitReader
from pipeline.collector.journal import Journal, RunEntry
from pipeline.hours import now

CHARACTERS_PER_TOKEN = 4.0
"""Rule of thumb for English prompts; the plan says that it is one."""
ASSUMED_COMPLETION = 256
ASSUMED_SECONDS = 2.0


@dataclass(frozen=True)
class ModelPlan:
    """What the planner and runner know of a model; ``settings`` is its entry of the configuration.

    ``identity`` holds everything that decides its answers; ``prices`` may be empty; limits are per minute.
    """

    name: str
    api_model_name: str
    settings: Any
    identity: dict[str, Any]
    prices: tuple[Price, ...] = ()
    generator: str = "direct"
    maximum_tokens: int | None = None
    requests_per_minute: float | None = None
    tokens_per_minute: float | None = None
    configuration: str = ""
    extract_fields: tuple[str, ...] = ()


@dataclass(frozen=True)
class Plan:
    """One run: a model on a split. ``limit`` bounds the rows in demo mode; ``run_key`` stands for what
    decides results."""

    model: ModelPlan
    reader: SplitReader
    checked: Checked
    repetitions: int
    limit: int | None
    entry: RunEntry
    fresh: bool

    @property
    def run_key(self) -> str:
        """The identity of the run, the same for demo and full."""
        return self.entry.run_key

    @property
    def total(self) -> int:
        """Records of the whole run."""
        return self.checked.items * self.repetitions

    @property
    def title(self) -> str:
        """For people."""
        return f"{self.model.name} on {self.reader.name}/{self.reader.split}"


@dataclass(frozen=True)
class Estimate:
    """What a plan will take. Tokens, USD and seconds are estimates; ``cost`` is None where a price is not
    known."""

    records: int
    done: int
    cached: int
    to_send: int
    prompt_tokens: int
    completion_tokens: int
    cost: float | None
    seconds: float
    basis: str = field(default="")


def run_key(model: ModelPlan, reader: SplitReader, fingerprint: str) -> str:
    """A hash of everything that decides a run's records: model, parameters, data, prompts, evaluator."""
    identity = {
        "model": model.name,
        **model.identity,
        "dataset": reader.name,
        "split": reader.split,
        "data": fingerprint,
        "evaluator": reader.evaluator.full_name,
        "parameters": reader.declaration.evaluator.parameters,
    }
    text = json.dumps(identity, sort_keys=True, default=str)
    return hashlib.blake2b(text.encode(), digest_size=12).hexdigest()


def make_plan(
    model: ModelPlan,
    reader: SplitReader,
    checked: Checked,
    journal: Journal,
    *,
    repetitions: int,
    limit: int | None,
    overwrite: bool,
    synthetic: bool,
) -> Plan:
    """The plan of one run: it continues the newest of its kind, or begins anew with ``overwrite``.

    A dataset longer than ``limit`` makes it a demo run, whose records the full run goes on from.
    """
    key = run_key(model, reader, checked.fingerprint)
    standing = journal.newest_run(key)
    begun = int(now().timestamp() * 1e6)
    demo = checked.truncated
    planned = checked.items * repetitions
    if standing is not None and not overwrite:
        whole = max(planned, standing.planned) if demo else planned
        still_demo = demo and standing.planned <= planned
        entry = replace(standing, status="running", updated_at=begun, planned=whole, demo=still_demo)
        return Plan(model, reader, checked, repetitions, limit, entry, fresh=False)
    generation = 1 if standing is None else standing.generation + 1
    entry = RunEntry(
        run_id=f"{key}-{generation:03d}", run_key=key, generation=generation, status="running",
        started_at=begun,
        updated_at=begun, seconds=0.0, planned=planned, demo=demo, synthetic=synthetic, model=model.name,
        dataset=reader.name, split=reader.split, description=_description(model, reader, checked,
        repetitions),
        result=None,
    )  # fmt: skip
    return Plan(model, reader, checked, repetitions, limit, entry, fresh=True)


def estimate(plan: Plan, journal: Journal, cached: int) -> Estimate:
    """What is left of a plan; ``cached`` answers of it cost nothing and take no time."""
    done = 0 if plan.fresh else _done_within(plan, journal)
    left = plan.total - done
    to_send = max(0, left - cached)
    seen = _seen(plan, journal)
    per_prompt = plan.checked.characters / max(1, plan.checked.items) / CHARACTERS_PER_TOKEN
    completion = seen.completion or min(plan.model.maximum_tokens or ASSUMED_COMPLETION, ASSUMED_COMPLETION)
    if plan.model.generator == "embedding":
        completion = 0
    prompt_tokens, completion_tokens = round(per_prompt * to_send), round(completion * to_send)
    price = price_on(plan.model.prices, now().date())
    cost = None
    if price is not None:
        cost = (
            prompt_tokens * price.input + completion_tokens * price.output
        ) / PER + to_send * price.per_request
    elif to_send == 0:
        cost = 0.0
    basis = "earlier answers of this model" if seen.count else "rules of thumb"
    return Estimate(
        plan.total, done, min(cached, left), to_send, prompt_tokens, completion_tokens, cost,
        seconds=to_send * (seen.seconds or ASSUMED_SECONDS), basis=basis,
    )  # fmt: skip


def seconds_of_all(plans: Sequence[Plan], estimates: Sequence[Estimate], concurrency: int) -> float:
    """Time for all plans together: total latency over the requests under way at once, or the models'
    limits."""
    slowest = sum(one.seconds for one in estimates) / max(1, concurrency)
    by_model: dict[str, tuple[float, float]] = {}
    for plan, one in zip(plans, estimates, strict=True):
        requests, tokens = by_model.get(plan.model.name, (0.0, 0.0))
        requests += one.to_send / plan.model.requests_per_minute * 60 if plan.model.requests_per_minute else 0
        used = one.prompt_tokens + one.completion_tokens
        tokens += used / plan.model.tokens_per_minute * 60 if plan.model.tokens_per_minute else 0
        by_model[plan.model.name] = (requests, tokens)
    return max([slowest, *(max(pair) for pair in by_model.values())])


@dataclass(frozen=True)
class _Seen:
    count: int
    completion: float | None
    seconds: float | None


def _seen(plan: Plan, journal: Journal) -> _Seen:
    """Mean completion and latency of earlier answers of this run or, failing that, of this model."""
    if not journal.exists:
        return _Seen(0, None, None)
    with journal.connection() as connection:
        row = connection.execute(
            "SELECT count(*), avg(completion_tokens), avg(latency_ms) / 1000 FROM (SELECT completion_tokens, "
            "latency_ms FROM records WHERE error_class IS NULL AND run_id IN (SELECT run_id FROM runs WHERE "
            "model = ? ORDER BY started_at DESC LIMIT 5) LIMIT 2000)",
            (plan.model.name,),
        ).fetchone()
    return _Seen(*row)


def _done_within(plan: Plan, journal: Journal) -> int:
    return sum(
        position <= plan.checked.items and repetition < plan.repetitions
        for position, repetition in journal.done(plan.entry.run_id)
    )


def _description(model: ModelPlan, reader: SplitReader, checked: Checked, repetitions: int) -> dict[str, Any]:
    return {
        "api_model_name": model.api_model_name,
        "generator": model.generator,
        "configuration": model.configuration,
        "identity": json.loads(json.dumps(model.identity, default=str)),
        "evaluator": reader.evaluator.full_name,
        "binary": reader.evaluator.binary,
        "evaluator_parameters": reader.declaration.evaluator.parameters,
        "benchmark": reader.declaration.benchmark,
        "benchmark_version": reader.declaration.benchmark_version,
        "data_fingerprint": checked.fingerprint,
        "repetitions": repetitions,
        "licence": reader.declaration.licence,
        "source": reader.declaration.source,
        "extra_fields": list(model.extract_fields),
    }
