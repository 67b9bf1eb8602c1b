"""What another way of choosing agents would have earned, judged from logged propensities.

What belongs here: reading a policy and a log, the estimators. What does not: choosing agents online. A
context is a task type and a complexity. A policy gives each agent a probability per context; where it would
send tasks to an agent that the log never tried in that context, no honest estimate exists and judging is
refused.

Estimators of the mean reward, w = policy's probability / propensity (Horvitz and Thompson 1952;
self-normalised: Hájek 1971, Swaminathan and Joachims 2015; doubly robust: Dudík, Langford and Li 2011),
with normal 95 % intervals; for the self-normalised one by the delta method. The reward model of the doubly
robust one is the mean reward of context and agent in the other folds (cross-fitting), drawn towards the
agent's mean by one pseudo-observation.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated, Literal

import duckdb
import polars as pl
from pydantic import Field, TypeAdapter, ValidationError, model_validator

from pipeline.documents import parse_yaml, read_bytes
from pipeline.errors import ConfigurationError, InputError
from pipeline.hours import Hour
from pipeline.settings.files import Settings
from pipeline.telemetry.aggregate_tables import ROUTING_ARMS, UNKNOWN
from pipeline.telemetry.retaining import warm_files
from pipeline.telemetry.statistics import Z95
from pipeline.telemetry.tables import DATA_POINTS
from pipeline.warehouse.statements import ledger_entries
from pipeline.warehouse.store import Warehouse

FOLDS = 5
SMALLEST_LOG = 30
"""Fewer logged decisions than this are not judged: the intervals rest on the central limit theorem."""

CONTEXT = ["task_type", "complexity"]

_LOG = f"""
    SELECT hour, task_id, coalesce(task_type, '{UNKNOWN}') AS task_type,
        coalesce(complexity, '{UNKNOWN}') AS complexity,
        selected_agent AS agent, propensity, %s AS reward
    FROM %s
    WHERE hour >= $start AND hour <= $end AND synthetic = $synthetic AND selected_agent IS NOT NULL
"""
_REWARDS = {"quality": "overall_score", "success": "success::INT::DOUBLE"}


class Uniform(Settings):
    """Every agent that the log tried in the context, equally often."""

    kind: Literal["uniform"]


class Always(Settings):
    """One agent for everything."""

    kind: Literal["always"]
    agent: str


class Rule(Settings):
    """Probabilities of agents for tasks of a type and complexity; ``*`` stands for any."""

    task_type: str = "*"
    complexity: str = "*"
    agents: dict[str, float]

    @model_validator(mode="after")
    def _is_distribution(self) -> Rule:
        if any(share < 0 for share in self.agents.values()) or abs(sum(self.agents.values()) - 1) > 1e-6:
            raise ValueError("the probabilities of a rule's agents must be at least 0 and sum to 1")
        return self


class ByTable(Settings):
    """The first rule that fits decides; the last one should fit everything."""

    kind: Literal["table"]
    rules: tuple[Rule, ...]


class EpsilonGreedy(Settings):
    """The arm with the best mean reward, but with probability ``epsilon`` any agent of the context."""

    kind: Literal["epsilon_greedy"]
    epsilon: float = Field(gt=0, le=1)


class Softmax(Settings):
    """Agents in proportion to exp(mean reward / temperature)."""

    kind: Literal["softmax"]
    temperature: float = Field(gt=0)


Policy = Uniform | Always | ByTable | EpsilonGreedy | Softmax
_POLICY: TypeAdapter[Policy] = TypeAdapter(Annotated[Policy, Field(discriminator="kind")])


def load_policy(place: Path) -> Policy:
    """The policy of a YAML file; raises ``ConfigurationError``."""
    try:
        return _POLICY.validate_python(parse_yaml(read_bytes(place), place.name))
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"]) or "the file"
        raise ConfigurationError(
            f"Reading {place.name}: {field}: {first['msg'].removeprefix('Value error, ')}; "
            "correct the policy."
        ) from error


def read_log(
    warehouse: Warehouse, folder: Path, start: Hour, end: Hour, *, reward: str, synthetic: bool
) -> pl.DataFrame:
    """Logged decisions: ``task_id, task_type, complexity, agent, propensity, reward``.

    Hours that retention moved are read from their Parquet files in ``folder``, the data folder.
    """
    values = {"start": start.start, "end": end.start, "synthetic": synthetic}
    with warehouse.reading() as connection:
        hot = connection.execute(_LOG % (_REWARDS[reward], DATA_POINTS.name), values).pl()
        standing = {entry.hour for entry in ledger_entries(connection, DATA_POINTS)}
    # An hour that was loaded again after it was moved counts as the table has it.
    files = [
        str(place)
        for hour, place in warm_files(folder, DATA_POINTS)
        if start <= hour <= end and hour not in standing
    ]
    if files:
        with duckdb.connect() as connection:
            connection.execute("SET TimeZone = 'UTC'")
            source = "read_parquet($files, union_by_name = true)"
            warm = connection.execute(_LOG % (_REWARDS[reward], source), values | {"files": files}).pl()
        hot = pl.concat([hot, warm.cast(hot.schema)])
    return hot.sort("hour", "task_id").drop("hour")


def read_arms(warehouse: Warehouse, before: Hour, *, synthetic: bool) -> pl.DataFrame:
    """The newest arms of before the log begins, so that a policy is not judged on what it learnt from."""
    hour = warehouse.newest_hour(ROUTING_ARMS, before=before)
    if hour is None:
        return ROUTING_ARMS.empty()
    return warehouse.read_hour(ROUTING_ARMS, hour).filter(pl.col("synthetic") == synthetic)


def judge(policy: Policy, log: pl.DataFrame, arms: pl.DataFrame) -> pl.DataFrame:
    """Estimates of the policy's mean reward beside what was earned.

    Columns: ``estimator`` (logged, ips, snips, dr), ``value, lower, upper, decisions,
    effective_sample_size, largest_weight, left_out`` (decisions without propensity or reward). Raises
    ``InputError`` where the log has no support or too little of it.
    """
    used = log.filter((pl.col("propensity") > 0) & pl.col("reward").is_not_null())
    if used.height < SMALLEST_LOG:
        raise InputError(
            f"Judging the policy: {used.height} logged decisions have a propensity and a reward, and "
            f"{SMALLEST_LOG} are needed; record propensities, or take a longer log with --days."
        )
    chances = probabilities(policy, used, arms)
    _refuse_without_support(chances, used)
    weighted = (
        used.join(chances, on=[*CONTEXT, "agent"], how="left")
        .with_columns(pl.col("chance").fill_null(0.0))
        .with_columns(weight=pl.col("chance") / pl.col("propensity"))
    )
    return _estimates(weighted, chances, log.height - used.height)


def probabilities(policy: Policy, log: pl.DataFrame, arms: pl.DataFrame) -> pl.DataFrame:
    """The policy as ``task_type, complexity, agent, chance`` (above 0) for every context of the log."""
    tried = log.select(*CONTEXT, "agent").unique().sort(*CONTEXT, "agent")
    if isinstance(policy, Always):
        return tried.select(CONTEXT).unique().sort(CONTEXT).with_columns(
            agent=pl.lit(policy.agent), chance=pl.lit(1.0)
        )  # fmt: skip
    if isinstance(policy, ByTable):
        return _by_table(policy, tried.select(CONTEXT).unique().sort(CONTEXT))
    if isinstance(policy, Uniform):
        return tried.with_columns(chance=1 / pl.len().over(CONTEXT))
    known = tried.join(
        arms.select(*CONTEXT, "agent", mean="posterior_mean"), on=[*CONTEXT, "agent"], how="left"
    )
    if known["mean"].null_count() == known.height:
        raise InputError(
            "Judging the policy: it needs the mean rewards of routing_arms from before the log begins, and "
            "there are none; take a shorter log with --days, or materialise earlier hours."
        )
    # An arm that was never pulled before is taken to be as good as the average one.
    known = known.with_columns(pl.col("mean").fill_null(known["mean"].mean()))
    if isinstance(policy, EpsilonGreedy):
        best = pl.col("mean").rank("ordinal", descending=True).over(CONTEXT) == 1
        return known.with_columns(
            chance=policy.epsilon / pl.len().over(CONTEXT)
            + pl.when(best).then(1 - policy.epsilon).otherwise(0.0)
        ).drop("mean")
    power = ((pl.col("mean") - pl.col("mean").max().over(CONTEXT)) / policy.temperature).exp()
    return known.with_columns(chance=power / power.sum().over(CONTEXT)).drop("mean")


def _by_table(policy: ByTable, contexts: pl.DataFrame) -> pl.DataFrame:
    rows = []
    for task_type, complexity in contexts.iter_rows():
        fits = [
            rule
            for rule in policy.rules
            if rule.task_type in ("*", task_type) and rule.complexity in ("*", complexity)
        ]
        if not fits:
            raise InputError(
                f"Judging the policy: no rule fits tasks of type {task_type}, complexity {complexity}; "
                "add a last rule with task_type and complexity '*'."
            )
        rows += [
            (task_type, complexity, agent, share) for agent, share in fits[0].agents.items() if share > 0
        ]
    schema = {"task_type": pl.String, "complexity": pl.String, "agent": pl.String, "chance": pl.Float64}
    return pl.DataFrame(rows, schema=schema, orient="row")


def _refuse_without_support(chances: pl.DataFrame, log: pl.DataFrame) -> None:
    missing = chances.filter(pl.col("chance") > 0).join(log, on=[*CONTEXT, "agent"], how="anti")
    if missing.height:
        named = "; ".join(
            f"{task_type}, {complexity}: {agent}"
            for task_type, complexity, agent in missing.select(*CONTEXT, "agent").head(5).iter_rows()
        )
        more = f" and {missing.height - 5} more" if missing.height > 5 else ""
        raise InputError(
            f"Judging the policy: the log never tried what it would do in {missing.height} context(s) "
            f"({named}{more}); explore there first, or judge a policy that stays within the log."
        )


def _estimates(weighted: pl.DataFrame, chances: pl.DataFrame, left_out: int) -> pl.DataFrame:
    reward, weight = weighted["reward"].cast(pl.Float64), weighted["weight"]
    count, total = weighted.height, float(weight.sum())
    robust = _doubly_robust(weighted, chances)
    normalised = float((weight * reward).sum()) / total if total else math.nan
    delta = (weight * (reward - normalised)) * count / total if total else weight * math.nan
    parts = {
        "logged": (_mean(reward), _error(reward)),
        "ips": (_mean(weight * reward), _error(weight * reward)),
        "snips": (normalised, _error(delta)),
        "dr": (_mean(robust), _error(robust)),
    }
    squares = float((weight * weight).sum())
    return pl.DataFrame(
        [
            {
                "estimator": name,
                "value": value,
                "lower": value - Z95 * error,
                "upper": value + Z95 * error,
                "decisions": count,
                "effective_sample_size": float(count) if name == "logged" else total * total / squares,
                "largest_weight": 1.0 if name == "logged" else weight.max(),
                "left_out": left_out,
            }
            for name, (value, error) in parts.items()
        ]
    )


def _doubly_robust(weighted: pl.DataFrame, chances: pl.DataFrame) -> pl.Series:
    """One term per decision: the model's value of the policy, plus the weighted error of the model."""
    rows = weighted.with_row_index("row").with_columns(fold=pl.col("row") % FOLDS)
    parts = []
    for fold in range(FOLDS):
        model = _model(rows.filter(pl.col("fold") != fold))
        here = rows.filter(pl.col("fold") == fold)
        worth = (
            _predicted(chances, model)
            .group_by(CONTEXT)
            .agg(worth=(pl.col("chance") * pl.col("predicted")).sum())
        )
        parts.append(
            _predicted(here, model)
            .join(worth, on=CONTEXT, how="left")
            .select("row", term=pl.col("worth") + pl.col("weight") * (pl.col("reward") - pl.col("predicted")))
        )
    return pl.concat(parts).sort("row")["term"]


def _model(rows: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame, float]:
    agents = rows.group_by("agent").agg(agent_mean=pl.col("reward").mean())
    cells = (
        rows.group_by(*CONTEXT, "agent")
        .agg(total=pl.col("reward").sum(), n=pl.len())
        .join(agents, on="agent")
        .with_columns(cell=(pl.col("total") + pl.col("agent_mean")) / (pl.col("n") + 1))
        .select(*CONTEXT, "agent", "cell")
    )
    return cells, agents, _mean(rows["reward"].cast(pl.Float64))


def _predicted(rows: pl.DataFrame, model: tuple[pl.DataFrame, pl.DataFrame, float]) -> pl.DataFrame:
    cells, agents, overall = model
    return (
        rows.join(cells, on=[*CONTEXT, "agent"], how="left")
        .join(agents, on="agent", how="left")
        .with_columns(predicted=pl.coalesce("cell", "agent_mean", pl.lit(overall)))
        .drop("cell", "agent_mean")
    )


def _mean(terms: pl.Series) -> float:
    return float(terms.sum()) / len(terms)


def _error(terms: pl.Series) -> float:
    return float(terms.std() or 0.0) / math.sqrt(len(terms))  # type: ignore[arg-type]
