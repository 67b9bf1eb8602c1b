"""Statistics against figures worked out by other means, costs, and what enters the warehouse and the
graph."""

from __future__ import annotations

import asyncio
import itertools
import math
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assets_tests.collector.runs import BOUGHT, TableAsker, model, plan, right, sums
from pipeline.capability.evidence import gather_evidence
from pipeline.collector.answers import Answer
from pipeline.collector.costing import Price, bound_of, cost_of, costs_of_record, price_on
from pipeline.collector.datasets import Item
from pipeline.collector.filing import as_benchmark_scores, hour_of_records, hour_of_runs, hour_of_scores
from pipeline.collector.journal import Journal
from pipeline.collector.running import Progress, run_plans
from pipeline.collector.scores import mean_and_errors, pass_at_k, score_run
from pipeline.collector.tables import COLLECTED_SCORES, RAW_OUTPUTS, RECORDS, REQUEST_ATTEMPTS, RUNS
from pipeline.hours import CLOCK_VARIABLE, Hour
from pipeline.sources.tables import ANALYTICS_SNAPSHOTS
from pipeline.warehouse.checking import check_rows

HOUR = Hour.parse("2026-11-20-10:00")


def test_the_standard_error_is_that_of_the_mean_and_repeated_prompts_do_not_shrink_it() -> None:
    scores = [1.0, 0.0, 1.0, 1.0, 0.0, 1.0]
    mean, plain, clustered = mean_and_errors(scores, list("abcdef"))
    assert mean == pytest.approx(4 / 6)
    assert plain == pytest.approx(math.sqrt((4 / 6) * (2 / 6) / 5))
    assert clustered == pytest.approx(plain)
    doubled = mean_and_errors(
        [score for score in scores for _ in range(2)], [c for c in "abcdef" for _ in range(2)]
    )
    assert doubled[1] is not None and plain is not None and doubled[1] < plain
    assert doubled[2] == pytest.approx(clustered), "asking everything twice tells nothing new"


def test_one_record_and_one_prompt_have_no_error() -> None:
    assert mean_and_errors([1.0], ["a"]) == (1.0, None, None)
    assert mean_and_errors([1.0, 0.0], ["a", "a"])[2] is None


@given(st.integers(1, 8), st.data())
def test_pass_at_k_is_the_share_of_draws_with_a_right_one(attempts: int, data: st.DataObject) -> None:
    correct = data.draw(st.integers(0, attempts))
    k = data.draw(st.integers(1, attempts))
    outcomes = [True] * correct + [False] * (attempts - correct)
    draws = list(itertools.combinations(outcomes, k))
    assert pass_at_k(attempts, correct, k) == pytest.approx(sum(any(draw) for draw in draws) / len(draws))


def test_pass_at_k_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ValueError, match="does not exist"):
        pass_at_k(3, 1, 4)


def test_a_run_of_repetitions_has_pass_at_k() -> None:
    frame = pl.DataFrame(
        {
            "position": [1, 1, 2, 2],
            "repetition": [0, 1, 0, 1],
            "cluster": ["a", "a", "b", "b"],
            "score": [1.0, 0.0, 0.0, 0.0],
        }
    )
    figures = score_run(frame, binary=True)
    assert (figures["n"], figures["prompts"], figures["k"]) == (4, 2, 2)
    assert (figures["pass_at_1"], figures["pass_at_k"]) == (0.25, 0.5)
    assert score_run(frame, binary=False)["pass_at_k"] is None
    assert score_run(frame.clear(), binary=True)["score"] is None


def test_costs_follow_usage_and_the_price_of_the_day() -> None:
    usage = replace(right(Item(1, "", "", (), (), None, "")), prompt_tokens=1000, completion_tokens=400)
    usage = replace(usage, cached_tokens=600, reasoning_tokens=100)
    price = Price(input=2.0, output=10.0, cached_input=0.5, reasoning=4.0)
    assert cost_of(usage, price) == pytest.approx((400 * 2 + 600 * 0.5 + 300 * 10 + 100 * 4) / 1e6)
    assert cost_of(usage, Price(input=2.0, output=10.0)) == pytest.approx((1000 * 2 + 400 * 10) / 1e6)
    assert cost_of(usage, None) is None
    assert cost_of(replace(usage, prompt_tokens=None), price) is None
    old, new = Price(1.0, 1.0), Price(3.0, 3.0, since=date(2026, 6, 1))
    assert price_on([new, old], date(2026, 5, 31)) == old
    assert price_on([new, old], date(2026, 6, 1)) == new
    assert price_on([new], date(2026, 5, 31)) is None
    fresh = costs_of_record(usage, [old, new], now=BOUGHT + timedelta(days=200), bought=BOUGHT, reused=False)
    reused = costs_of_record(usage, [old, new], now=BOUGHT + timedelta(days=200), bought=BOUGHT, reused=True)
    assert list(fresh) == pytest.approx([0.0042, 0.0, 0.0])
    assert list(reused) == pytest.approx([0.0, 0.0014, 0.0042])
    assert costs_of_record(usage, [], now=BOUGHT, bought=None, reused=False) == (None, None, None)
    assert bound_of(1000, 1, 400, price) > (cost_of(usage, price) or 0)


def collect(
    journal: Journal, answer: object = right, *, when: datetime, rows: int = 4, **changes: object
) -> None:
    parts = {"benchmark": "gsm8k", **changes}
    reader = sums(journal.path.parent / f"rows{rows}", rows, **parts)
    made = plan(reader, journal, of=model("gpt-4o"))
    folder = journal.path.parent / "results"
    asker = TableAsker(answer)  # type: ignore[arg-type]
    asyncio.run(run_plans([made], asker, journal, folder, Progress(), concurrency=2))


@pytest.fixture
def journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Journal:
    monkeypatch.setenv(CLOCK_VARIABLE, (HOUR.start + timedelta(minutes=10)).isoformat())
    return Journal(tmp_path / "collector" / "journal.sqlite")


def failing(item: Item) -> Answer:
    return (
        replace(right(item), text=None, error_class="timeout", error="no answer in time")
        if item.index == 2
        else right(item)
    )


def test_an_hour_is_filed_as_it_stood_at_its_end(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    collect(journal, failing, when=HOUR.start)
    later = Hour(HOUR.end)
    monkeypatch.setenv(CLOCK_VARIABLE, (later.start + timedelta(minutes=10)).isoformat())
    collect(journal, when=later.start)
    first, second = hour_of_runs(journal, HOUR), hour_of_runs(journal, later)
    assert first.select("status", "failed_infrastructure", "scored", "performance").rows() == [
        ("incomplete", 1, 3, 1.0)
    ]
    assert second.select("status", "failed_infrastructure", "scored").rows() == [("complete", 0, 4)]
    assert hour_of_scores(journal, HOUR).height == 0
    assert hour_of_scores(journal, later)["score"].to_list() == [100.0]
    records, outputs, attempts = hour_of_records(journal, later)
    assert records["position"].to_list() == [2]
    assert outputs["raw_output"].to_list() == ["#### 3"]
    assert attempts.height == 0, "the test's attempts began in 1970"
    tables = [(RUNS, first), (RUNS, second), (RECORDS, records), (RAW_OUTPUTS, outputs)]
    tables += [(COLLECTED_SCORES, hour_of_scores(journal, later)), (REQUEST_ATTEMPTS, attempts)]
    for table, frame in tables:
        assert check_rows(table, frame).rejected.height == 0


def test_attempts_are_filed_in_the_hour_they_began(journal: Journal) -> None:
    def now_attempted(item: Item) -> Answer:
        began = int((HOUR.start + timedelta(minutes=3)).timestamp() * 1e6)
        answer = right(item)
        return replace(
            answer, attempts=(replace(answer.attempts[0], started_at=began, retry_after_seconds=2.0),)
        )

    collect(journal, now_attempted, when=HOUR.start)
    attempts = hour_of_records(journal, HOUR)[2]
    assert attempts.select("status", "retry_after_seconds", "bytes_received").unique().rows() == [
        (200, 2.0, 300)
    ]
    assert check_rows(REQUEST_ATTEMPTS, attempts).rejected.height == 0


def test_nothing_collected_is_empty_tables(tmp_path: Path) -> None:
    nothing = Journal(tmp_path / "none.sqlite")
    assert [frame.height for frame in hour_of_records(nothing, HOUR)] == [0, 0, 0]
    assert hour_of_runs(nothing, HOUR).height == hour_of_scores(nothing, HOUR).height == 0
    assert not nothing.exists, "reading makes no file"


def evidence(journal: Journal) -> pl.DataFrame:
    scores = as_benchmark_scores(hour_of_scores(journal, HOUR))
    names = scores.select("source", "source_model", pl.col("configuration").alias("source_configuration"))
    matched = names.unique().with_columns(model_id=pl.lit("gpt-4o"), configuration=pl.lit(""))
    return gather_evidence(scores, ANALYTICS_SNAPSHOTS.empty(), matched)


def test_an_own_run_enters_the_graph_with_the_highest_trust(journal: Journal) -> None:
    collect(journal, when=HOUR.start)
    (row,) = evidence(journal).rows(named=True)
    assert (row["source"], row["reliability"], row["layer"]) == ("collector", "own_run", "benchmarks")
    assert (row["benchmark"], row["score"], row["n"]) == ("gsm8k", 100.0, 4)


@pytest.mark.parametrize("why", ["synthetic", "no benchmark", "incomplete"])
def test_what_is_synthetic_partial_or_no_benchmark_never_enters(journal: Journal, why: str) -> None:
    def stubbed(item: Item) -> Answer:
        return replace(right(item), synthetic=True)

    answers = {"synthetic": stubbed, "no benchmark": right, "incomplete": failing}
    collect(journal, answers[why], when=HOUR.start, benchmark=None if why == "no benchmark" else "gsm8k")
    assert evidence(journal).height == 0
    if why == "synthetic":
        assert hour_of_scores(journal, HOUR)["synthetic"].to_list() == [True]
        assert hour_of_runs(journal, HOUR)["synthetic"].to_list() == [True]


def test_a_demo_never_enters(journal: Journal) -> None:
    reader = sums(journal.path.parent / "rows", 9, benchmark="gsm8k")
    demo = plan(reader, journal, limit=3)
    folder = journal.path.parent / "results"
    asyncio.run(run_plans([demo], TableAsker(), journal, folder, Progress(), concurrency=2))
    assert hour_of_scores(journal, HOUR)["demo"].to_list() == [True]
    assert as_benchmark_scores(hour_of_scores(journal, HOUR)).height == 0


def test_the_newest_complete_generation_counts(journal: Journal) -> None:
    def wrong(item: Item) -> Answer:
        return replace(right(item), text="0")

    collect(journal, wrong, when=HOUR.start)
    reader = sums(journal.path.parent / "rows4", 4, benchmark="gsm8k")
    again = plan(reader, journal, of=model("gpt-4o"), overwrite=True)
    asyncio.run(
        run_plans([again], TableAsker(), journal, journal.path.parent / "r", Progress(), concurrency=2)
    )
    scores = hour_of_scores(journal, HOUR)
    assert scores.select("score", "standard_error").rows() == [(100.0, 0.0)]
    assert scores["evaluated_at"].to_list() == [HOUR.day]
    assert HOUR.start.tzinfo == UTC
