"""Policies judged offline: intervals cover the truth, and what the log cannot tell is refused."""

from __future__ import annotations

import random
from pathlib import Path

import polars as pl
import pytest

from pipeline.errors import ConfigurationError, InputError
from pipeline.telemetry.aggregate_tables import ROUTING_ARMS
from pipeline.telemetry.policies import (
    Always,
    EpsilonGreedy,
    Policy,
    Rule,
    Softmax,
    Uniform,
    judge,
    load_policy,
)
from pipeline.telemetry.policies import ByTable as TablePolicy

CONTEXTS = [("fix", "trivial", 0.5), ("fix", "complex", 0.2), ("write", "standard", 0.3)]
AGENTS = ["a", "b", "c"]
MEANS = {
    (t, c, a): 0.2 + 0.15 * n + 0.1 * m for n, (t, c, _) in enumerate(CONTEXTS) for m, a in enumerate(AGENTS)
}
LOGGING = {"fix": [0.6, 0.3, 0.1], "write": [0.2, 0.2, 0.6]}


def simulated(seed: int, size: int = 600) -> pl.DataFrame:
    draw = random.Random(seed)
    rows = []
    for n in range(size):
        task_type, complexity, _ = draw.choices(CONTEXTS, [share for *_, share in CONTEXTS])[0]
        place = draw.choices(range(3), LOGGING[task_type])[0]
        reward = float(draw.random() < MEANS[task_type, complexity, AGENTS[place]])
        rows.append((f"t{n}", task_type, complexity, AGENTS[place], LOGGING[task_type][place], reward))
    names = ["task_id", "task_type", "complexity", "agent", "propensity", "reward"]
    return pl.DataFrame(rows, schema=names, orient="row")


def arms() -> pl.DataFrame:
    return ROUTING_ARMS.frame(
        [
            {"agent": a, "task_type": t, "complexity": c, "posterior_mean": mean, "synthetic": False}
            for (t, c, a), mean in MEANS.items()
        ]
    )


def truth(chance: dict[str, list[float]]) -> float:
    return sum(
        share
        * sum(p * MEANS[t, c, a] for p, a in zip(chance.get(f"{t} {c}", chance["*"]), AGENTS, strict=True))
        for t, c, share in CONTEXTS
    )


@pytest.mark.parametrize(
    ("policy", "value"),
    [
        (Uniform(kind="uniform"), truth({"*": [1 / 3] * 3})),
        (Always(kind="always", agent="b"), truth({"*": [0, 1, 0]})),
        (
            TablePolicy(
                kind="table",
                rules=(
                    Rule(task_type="fix", complexity="complex", agents={"a": 0.5, "c": 0.5}),
                    Rule(agents={"b": 1.0}),
                ),
            ),
            truth({"fix complex": [0.5, 0, 0.5], "*": [0, 1, 0]}),
        ),
        (EpsilonGreedy(kind="epsilon_greedy", epsilon=0.3), truth({"*": [0.1, 0.1, 0.8]})),
    ],
    ids=["uniform", "always", "table", "epsilon_greedy"],
)
def test_intervals_cover_the_truth_at_their_nominal_rate(policy: Policy, value: float) -> None:
    runs = 200
    covered = dict.fromkeys(["ips", "snips", "dr"], 0)
    for seed in range(runs):
        for row in judge(policy, simulated(seed), arms()).iter_rows(named=True):
            if row["estimator"] in covered:
                covered[row["estimator"]] += row["lower"] <= value <= row["upper"]
    # 95 % of 200 is 190; the binomial's 99.9 % range reaches from 178 to 199.
    assert all(178 <= count <= 199 for count in covered.values()), covered


def test_the_logging_policy_itself_has_weight_one_and_its_own_value() -> None:
    log = simulated(1)
    rules = tuple(
        Rule(task_type=t, agents=dict(zip(AGENTS, shares, strict=True))) for t, shares in LOGGING.items()
    )
    result = {
        row["estimator"]: row for row in judge(TablePolicy(kind="table", rules=rules), log, arms()).to_dicts()
    }
    assert result["ips"]["value"] == pytest.approx(result["logged"]["value"])
    assert result["snips"]["effective_sample_size"] == pytest.approx(log.height)


def test_the_doubly_robust_interval_is_the_narrowest_of_an_honest_three() -> None:
    rows = {
        r["estimator"]: r["upper"] - r["lower"]
        for r in judge(Uniform(kind="uniform"), simulated(3), arms()).to_dicts()
    }
    assert rows["dr"] < rows["ips"]


def test_softmax_prefers_the_better_arm() -> None:
    cold = judge(Softmax(kind="softmax", temperature=0.02), simulated(5, 3000), arms()).filter(estimator="dr")
    warm = judge(Softmax(kind="softmax", temperature=100.0), simulated(5, 3000), arms()).filter(
        estimator="dr"
    )
    assert cold["value"][0] > warm["value"][0]


def test_what_the_log_never_tried_is_refused_by_name() -> None:
    log = simulated(2).filter(~((pl.col("agent") == "c") & (pl.col("complexity") == "complex")))
    with pytest.raises(InputError, match="fix, complex: c"):
        judge(Always(kind="always", agent="c"), log, arms())


def test_a_log_without_propensities_is_refused() -> None:
    with pytest.raises(InputError, match="0 logged decisions"):
        judge(Uniform(kind="uniform"), simulated(2).with_columns(propensity=pl.lit(None, pl.Float64)), arms())


def test_greedy_without_arms_is_refused() -> None:
    with pytest.raises(InputError, match="routing_arms"):
        judge(EpsilonGreedy(kind="epsilon_greedy", epsilon=0.1), simulated(2), ROUTING_ARMS.empty())


@pytest.mark.parametrize(
    "text",
    [
        "kind: best",
        "kind: always",
        "kind: epsilon_greedy\nepsilon: 2",
        "kind: table\nrules: [{agents: {a: 0.4}}]",
        "[1]",
    ],
)
def test_a_bad_policy_is_refused_in_a_sentence(tmp_path: Path, text: str) -> None:
    place = tmp_path / "policy.yaml"
    place.write_text(text)
    with pytest.raises(ConfigurationError, match="policy.yaml"):
        load_policy(place)
