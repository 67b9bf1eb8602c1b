"""Rankings with ties, strengths that recover known ones, verdicts on hypotheses, patterns beyond noise."""

from __future__ import annotations

import random
from math import exp

import polars as pl
import pytest

from assets_tests.training.samples import Told, branch, derived, started
from pipeline.capture.signals import (
    EvaluationGiven,
    EvolutionOutcome,
    EvolutionRecorded,
    LineageLocked,
)
from pipeline.training.derived.strengths import strengths
from pipeline.training.derived.testing import adjusted, paired, unpaired

FOUR = [started("s"), *(one for label in "ABCD" for one in branch("s", label))]


def artifact(label: str) -> str:
    return f"s/{label}/1/0"


def ranked(*groups: str, preference: float | None = None, number: int = 0) -> Told:
    return "s", EvaluationGiven(
        evaluation_id=f"ranking {number}",
        ranking=[[artifact(label) for label in group] for group in groups],
        preference=preference,
    )


def locked(label: str, cycle: int | None = 1, on: bool = True) -> Told:
    return "s", LineageLocked(lineage_id=f"s/{label}", cycle=cycle, locked=on)


@pytest.mark.parametrize(
    ("told", "wanted", "basis"),
    [
        ([ranked("A", "B", "C", "D")], {"A": 1, "B": 2, "C": 3, "D": 4}, "ranking"),
        ([ranked("A", "BC", "D")], {"A": 1, "B": 2, "C": 2, "D": 4}, "ranking"),
        ([ranked("ABCD")], {"A": 1, "B": 1, "C": 1, "D": 1}, "ranking"),
        ([ranked("A", "B")], {"A": 1, "B": 2, "C": None, "D": None}, "ranking"),
        ([locked("B")], {"A": 2, "B": 1, "C": 2, "D": 2}, "lock"),
        ([locked("B"), locked("C")], {"A": 3, "B": 1, "C": 1, "D": 3}, "lock"),
        ([locked("B", None)], {"A": 2, "B": 1, "C": 2, "D": 2}, "lock"),
        ([locked("B"), locked("B", on=False)], {"A": None, "B": None, "C": None, "D": None}, "none"),
        (
            [
                ranked("D", "A", preference=0.9),
                ranked("D", "B", preference=0.6, number=1),
                ranked("D", "C", number=2),
            ],
            {"A": 3, "B": 2, "C": 4, "D": 1},
            "ranking",
        ),
    ],
)
def test_places_in_a_cycle(told: list[Told], wanted: dict[str, int | None], basis: str) -> None:
    rankings = derived([*FOUR, *told]).rankings
    places = dict(rankings.select(pl.col("lineage_id").str.slice(2), "rank").iter_rows())
    assert places == wanted
    assert set(rankings["basis"]) == {basis}
    shared = [rank for rank in wanted.values() if list(wanted.values()).count(rank) > 1 and rank]
    assert rankings["tied"].sum() == len(shared)


def test_where_nobody_ranks_or_locks_the_scores_do_and_each_cycle_is_a_ranking_of_its_own() -> None:
    told = [
        started("s"),
        *branch("s", "A", scores=[8, 6]),
        *branch("s", "B", scores=[7]),
        *branch("s", "C", scores=[3]),
        *branch("s", "A", scores=[2], cycle=2, version=2)[1:],
        *branch("s", "B", scores=[9], cycle=2, version=2)[1:],
    ]
    rows = derived(told).rankings.select("cycle", "lineage_id", "rank", "score", "basis").rows()
    assert rows == [
        (1, "s/A", 1, 7.0, "score"),
        (1, "s/B", 1, 7.0, "score"),
        (1, "s/C", 3, 3.0, "score"),
        (2, "s/A", 2, 2.0, "score"),
        (2, "s/B", 1, 9.0, "score"),
    ]


def simulated(truth: dict[str, float], sessions: int, seed: int, ties: float = 0.0) -> pl.DataFrame:
    """Comparisons drawn from the Bradley-Terry model; a share of ties in place of narrow results."""
    draw, rows = random.Random(seed), []
    for session in range(sessions):
        left, right = draw.sample(sorted(truth), 2)
        wins = float(draw.random() < 1 / (1 + exp(truth[right] - truth[left])))
        rows.append(
            {
                "session_id": f"s{session}",
                "left": left,
                "right": right,
                "left_wins": 0.5 if draw.random() < ties else wins,
            }
        )
    return pl.DataFrame(rows)


TRUTH = {"a": 1.2, "b": 0.4, "c": -0.2, "d": -1.4}


def test_known_strengths_lie_in_their_intervals_about_as_often_as_promised() -> None:
    inside = total = 0
    for seed in range(40):
        for row in strengths(simulated(TRUTH, 400, seed)).iter_rows(named=True):
            inside += row["low"] <= TRUTH[row["competitor"]] <= row["high"]
            total += 1
    assert 0.88 <= inside / total <= 0.99


def test_strengths_come_in_order_and_with_few_sessions_by_observed_information() -> None:
    found = strengths(simulated(TRUTH, 2000, 1))
    assert found["competitor"].to_list() == ["a", "b", "c", "d"]
    assert set(found["method"]) == {"sandwich by session"}
    few = strengths(simulated(TRUTH, 2000, 1).with_columns(session_id=pl.lit("one")))
    assert set(few["method"]) == {"observed information"}
    assert (few["high"] - few["low"]).to_list() == pytest.approx(
        (found["high"] - found["low"]).to_list(), rel=0.15
    )


def test_intervals_hold_where_each_session_compares_all_with_one_reference() -> None:
    """A star of comparisons: its information matrix once gave intervals of no width."""
    rows = [
        {
            "session_id": f"s{n}",
            "left": "reference",
            "right": name,
            "left_wins": 0.0 if n % 10 < loss else 1.0,
        }
        for n in range(805)
        for name, loss in (("x", 2), ("y", 1), ("z", 1))
    ]
    found = strengths(pl.DataFrame(rows))
    assert (found["high"] - found["low"]).min() > 0.05  # type: ignore[operator]


def test_ties_count_half_and_draw_competitors_together() -> None:
    plain, tied = (strengths(simulated({"a": 1, "b": -1}, 1000, 3, ties=share)) for share in (0.0, 0.6))
    assert 0 < tied["strength"][0] < plain["strength"][0]
    even = pl.DataFrame(
        {"session_id": ["1"] * 4, "left": ["a"] * 4, "right": ["b"] * 4, "left_wins": [0.5] * 4}
    )
    assert strengths(even)["strength"].to_list() == pytest.approx([0, 0])
    assert strengths(even)["wins"].to_list() == [2.0, 2.0]


def test_who_never_lost_is_regularised_and_groups_without_a_comparison_stay_apart() -> None:
    rows = [("1", "a", "b", 1.0), ("2", "a", "b", 1.0), ("3", "x", "y", 1.0), ("4", "y", "x", 1.0)]
    found = strengths(pl.DataFrame(rows, schema=["session_id", "left", "right", "left_wins"], orient="row"))
    assert dict(found.select("competitor", "pool").iter_rows()) == {"a": 1, "b": 1, "x": 2, "y": 2}
    methods = dict(found.select("competitor", "method").iter_rows())
    assert methods["a"].endswith("regularised")
    assert not methods["x"].endswith("regularised")
    assert found.filter(competitor="a")["strength"].is_finite().all()
    assert strengths(simulated(TRUTH, 1, 1).head(0)).height == 0


def test_strengths_of_models_and_agents_with_synthetic_sessions_apart() -> None:
    told = [*FOUR, ranked("A", "B", "CD")]
    for synthetic in (False, True):
        found = derived(told, synthetic=synthetic).strengths
        assert set(found["synthetic"]) == {synthetic}
        models = found.filter(scope="model")
        assert models["competitor"][0] == "model A"
        assert models.sort("competitor")["strength"].to_list()[2:] == pytest.approx(
            [models.filter(competitor="model C")["strength"][0]] * 2
        )


def evolution(expected: float | None = None) -> Told:
    return "s", EvolutionRecorded(
        evolution_id="e",
        lineage_id="s/A",
        before_agent_id="s/A/1",
        after_agent_id="s/A/2",
        hypothesis="an example helps",
        expected_delta=expected,
    )


@pytest.mark.parametrize(
    ("before", "after", "expected", "verdict", "test", "delta"),
    [
        ([4, 5, 4, 5], [8, 9, 8, 9], None, "confirmed", "Welch t", 4.0),
        ([8, 9, 8, 9], [4, 5, 4, 5], None, "refuted", "Welch t", -4.0),
        ([8, 9, 8, 9], [4, 5, 4, 5], -2.0, "confirmed", "Welch t", -4.0),
        ([4, 9, 2, 7], [5, 8, 3, 7], None, "undecided", "Welch t", 0.25),
        ([5, 5], [5, 5], None, "undecided", "Welch t", 0.0),
        ([5, 5, 5], [8, 8, 8], None, "confirmed", "Welch t", 3.0),
        ([5], [8], None, "undecided", None, None),
        ([], [8, 9], None, "undecided", None, None),
    ],
)
def test_verdicts_on_hypotheses(
    before: list[float],
    after: list[float],
    expected: float | None,
    verdict: str,
    test: str | None,
    delta: float | None,
) -> None:
    told = [
        started("s"),
        *branch("s", "A", scores=before),
        *branch("s", "A", scores=after, cycle=2, version=2)[1:],
        evolution(expected),
        ("s", EvolutionOutcome(evolution_id="e", score_delta=1.0, validated=True)),
    ]
    row = derived(told).verdicts.row(0, named=True)
    assert (row["verdict"], row["test"], row["score_delta"]) == (verdict, test, delta)
    assert (row["confidence"] is None) == (test is None)
    assert (row["stated_delta"], row["stated_validated"]) == (1.0, True)
    if delta is not None:
        assert row["low"] <= delta <= row["high"]


def test_the_same_inputs_before_and_after_are_compared_in_pairs() -> None:
    inputs = [f"task {number}" for number in range(6)]
    hard = [2, 4, 5, 7, 8, 9]
    told = [
        started("s"),
        *branch("s", "A", scores=hard, inputs=inputs),
        *branch("s", "A", scores=[score + 1 for score in hard], cycle=2, version=2, inputs=inputs)[1:],
        evolution(),
    ]
    row = derived(told).verdicts.row(0, named=True)
    assert (row["test"], row["pairs"], row["verdict"]) == ("paired t", 6, "confirmed")
    assert row["confidence"] > 0.99


def many_sessions(effect: float, sessions: int, seed: int, *, both: bool) -> list[Told]:
    """Sessions of different difficulty; lineages with temperature 1 score ``effect`` higher."""
    draw, told = random.Random(seed), list[Told]()
    for number in range(sessions):
        session, level = f"s{number}", draw.uniform(3, 6)
        told.append(started(session))
        for label, hot in (("A", True), ("B", False)) if both else (("A", number % 2 == 0),):
            score = min(10.0, max(1.0, level + effect * hot + draw.gauss(0, 0.5)))
            parameters: dict[str, object] = {"temperature": 1 if hot else 0, "noise": draw.randint(0, 1)}
            told += branch(session, label, scores=[score], model="m", parameters=parameters)
    return told


@pytest.mark.parametrize(("both", "design"), [(True, "within sessions"), (False, "between sessions")])
def test_a_feature_that_helps_is_found_with_its_effect(both: bool, design: str) -> None:
    patterns = derived(many_sessions(2.0, 40, 5, both=both)).patterns
    row = patterns.filter(value="temperature=1").row(0, named=True)
    assert (row["design"], row["holds"], row["sessions"]) == (design, True, 40)
    assert row["low"] < 2.0 < row["high"]
    assert row["effect_size"] > 1
    assert not patterns.filter(pl.col("value").str.starts_with("noise"))["holds"].any()


def test_noise_gives_no_pattern_and_few_sessions_none_at_all() -> None:
    assert not derived(many_sessions(0.0, 40, 6, both=True)).patterns["holds"].any()
    assert derived(many_sessions(2.0, 4, 7, both=True)).patterns.height == 0


def test_the_tests_themselves_against_published_numbers() -> None:
    # Student's sleep data (1908): paired t = 4.0621, p = 0.002833, 95 % interval 0.7001 to 2.4599.
    first = [0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0]
    second = [1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4]
    together = paired([b - a for a, b in zip(first, second, strict=True)])
    assert together is not None
    assert (together.p_value, together.low, together.high) == pytest.approx(
        (0.002833, 0.7001, 2.4599), rel=1e-3
    )
    # The same as two samples: Welch p = 0.07939, interval -0.2055 to 3.3655.
    apart = unpaired(first, second)
    assert apart is not None
    assert (apart.p_value, apart.low, apart.high) == pytest.approx((0.07939, -0.2055, 3.3655), rel=1e-3)
    assert adjusted([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.02, 0.04, 0.04, 0.02])
    assert adjusted([]) == []
