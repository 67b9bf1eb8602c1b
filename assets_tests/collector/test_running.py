"""The runner: what is asked, what is kept, what stops it, what another run goes on from."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from assets_tests.collector.runs import BOUGHT, TableAsker, model, plan, right, sums
from pipeline.collector.answers import Answer, Attempted
from pipeline.collector.costing import Price
from pipeline.collector.datasets import Item
from pipeline.collector.journal import Journal, JournalError
from pipeline.collector.journal_writer import JournalWriter
from pipeline.collector.locks import RunLock
from pipeline.collector.planning import Plan, estimate, seconds_of_all
from pipeline.collector.running import Asker, Outcome, Progress, run_plans
from pipeline.errors import ConfigurationError


def collect(
    plans: list[Plan],
    asker: Asker,
    journal: Journal,
    place: Path,
    *,
    progress: Progress | None = None,
    **options: Any,
) -> list[Outcome]:
    settings: dict[str, Any] = {"concurrency": 4, **options}
    return asyncio.run(
        run_plans(plans, asker, journal, place / "results", progress or Progress(), **settings)
    )


def document(outcome: Outcome) -> dict[str, Any]:
    assert outcome.result is not None
    read: dict[str, Any] = json.loads(outcome.result.read_text(encoding="utf-8"))
    return read


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path / "collector" / "journal.sqlite")


def outage(item: Item) -> Answer:
    attempt = Attempted(1, 503, "unavailable", 5.0, 1.0, 2.0, 0)
    return Answer(error_class="unavailable", error="the host is down", attempts=(attempt, attempt))


def refusal(item: Item) -> Answer:
    attempt = Attempted(1, 400, "bad_request", 5.0, 0.0, None, 10)
    return Answer(error_class="bad_request", error="refused", permanent=True, attempts=(attempt,))


def test_a_run_writes_every_record_with_its_score_and_costs(journal: Journal, tmp_path: Path) -> None:
    (outcome,) = collect([plan(sums(tmp_path, 20), journal)], TableAsker(), journal, tmp_path)
    result = document(outcome)
    assert (outcome.status, outcome.failed) == ("complete", 0)
    assert outcome.result is not None
    assert outcome.result.parent == tmp_path / "results" / "bench" / "sums" / "test" / "adder"
    assert result["performance"] == 1.0
    assert result["counts"]["scored"] == result["counts"]["planned"] == 20
    assert [record["index"] for record in result["records"]] == list(range(1, 21))
    first = result["records"][0]
    assert (first["origin_query"], first["ground_truth"], first["prediction"]) == ("1 + 1", "2", "2")
    assert first["cost"] == pytest.approx((10 * 1 + 5 * 2) / 1e6)
    assert (first["billed"], first["replayed"], first["avoided"]) == (first["cost"], 0.0, 0.0)
    assert result["costs"]["billed"] == pytest.approx(20 * first["cost"])
    assert (first["attempts"], first["finish_reason"], first["served_model"]) == (1, "stop", "adder-1")
    parquet = pl.read_parquet(outcome.result.with_suffix(".parquet"))
    assert parquet["score"].sum() == 20
    assert set(first) == set(parquet.columns)


def test_failures_are_counted_apart_never_scored_and_asked_again(journal: Journal, tmp_path: Path) -> None:
    reader = sums(tmp_path, 10)

    def mixed(item: Item) -> Answer:
        return outage(item) if item.index == 3 else refusal(item) if item.index == 5 else right(item)

    (first,) = collect([plan(reader, journal)], TableAsker(mixed), journal, tmp_path)
    counts = document(first)["counts"]
    assert first.status == "incomplete"
    assert (counts["failed_infrastructure"], counts["failed_permanent"], counts["scored"]) == (1, 1, 8)
    assert document(first)["performance"] == 1.0
    assert [record["score"] for record in document(first)["records"]].count(None) == 2
    again = TableAsker()
    (second,) = collect([plan(reader, journal)], again, journal, tmp_path)
    assert sorted(index for _, index, _ in again.asked) == [3, 5]
    assert document(second)["counts"]["scored"] == 10
    assert first.result is not None and not first.result.exists(), (
        "the newer file of a run replaces the older"
    )


def test_a_wrong_and_an_unreadable_answer_score_nothing(journal: Journal, tmp_path: Path) -> None:
    texts = {1: "#### 2", 2: "#### 99", 3: "I do not know", 4: "\ud800 #### 5"}

    def answer(item: Item) -> Answer:
        return replace(right(item), text=texts[item.index])

    (outcome,) = collect([plan(sums(tmp_path, 4), journal)], TableAsker(answer), journal, tmp_path)
    result = document(outcome)
    assert result["performance"] == 0.5
    assert [result["counts"][name] for name in ("scored", "right", "wrong", "unparseable")] == [3, 2, 2, 1]
    assert result["records"][3]["raw_output"] == "? #### 5"


def test_the_same_command_after_a_complete_run_asks_nothing(journal: Journal, tmp_path: Path) -> None:
    reader = sums(tmp_path, 6)
    collect([plan(reader, journal)], TableAsker(), journal, tmp_path)
    again = TableAsker()
    (outcome,) = collect([plan(reader, journal)], again, journal, tmp_path)
    assert again.asked == []
    assert outcome.status == "complete"
    assert len(document(outcome)["records"]) == 6


def test_overwriting_begins_a_new_generation_and_keeps_the_old(journal: Journal, tmp_path: Path) -> None:
    reader = sums(tmp_path, 3)
    (first,) = collect([plan(reader, journal)], TableAsker(), journal, tmp_path)
    (second,) = collect([plan(reader, journal, overwrite=True)], TableAsker(), journal, tmp_path)
    assert [entry.generation for entry in journal.runs()] == [1, 2]
    assert first.result is not None and first.result.exists()
    assert second.result != first.result


def test_the_full_run_goes_on_from_the_demo(journal: Journal, tmp_path: Path) -> None:
    reader = sums(tmp_path, 12)
    (demo,) = collect([plan(reader, journal, limit=4)], TableAsker(), journal, tmp_path)
    assert (document(demo)["demo"], len(document(demo)["records"])) == (True, 4)
    rest = TableAsker()
    (full,) = collect([plan(reader, journal)], rest, journal, tmp_path)
    assert sorted(index for _, index, _ in rest.asked) == list(range(5, 13))
    assert (document(full)["demo"], len(document(full)["records"])) == (False, 12)
    again = TableAsker()
    (demo_again,) = collect([plan(reader, journal, limit=4)], again, journal, tmp_path)
    assert again.asked == []
    assert document(demo_again)["demo"] is False, "a demo within a complete run takes nothing away"


def test_changed_data_or_another_evaluator_is_another_run(journal: Journal, tmp_path: Path) -> None:
    keys = {
        plan(sums(tmp_path, 3), journal).run_key,
        plan(sums(tmp_path, 4), journal).run_key,
        plan(sums(tmp_path, 4, prompt="{{ a }} plus 1"), journal).run_key,
        plan(sums(tmp_path, 4, evaluator={"name": "exact"}), journal).run_key,
        plan(sums(tmp_path, 4), journal, of=model(identity={"model": "adder", "temperature": 1})).run_key,
    }
    assert len(keys) == 5


def test_every_row_is_asked_once_per_repetition(journal: Journal, tmp_path: Path) -> None:
    asker = TableAsker()
    (outcome,) = collect([plan(sums(tmp_path, 5), journal, repetitions=3)], asker, journal, tmp_path)
    assert sorted((index, repetition) for _, index, repetition in asker.asked) == [
        (index, repetition) for index in range(1, 6) for repetition in range(3)
    ]
    assert len(document(outcome)["records"]) == 15


def test_models_interleave_and_a_slow_one_holds_no_more_than_its_share(
    journal: Journal, tmp_path: Path
) -> None:
    reader = sums(tmp_path, 30)
    asker = TableAsker(seconds=0.001)
    plans = [plan(reader, journal, of=model("a")), plan(reader, journal, of=model("b"))]
    collect(plans, asker, journal, tmp_path, concurrency=6)
    opening = [name for name, _, _ in asker.asked[:12]]
    assert opening.count("a") == opening.count("b") == 6
    assert asker.most_under_way == 6


def test_a_cost_bound_stops_before_it_is_passed(journal: Journal, tmp_path: Path) -> None:
    asker = TableAsker()
    price = Price(input=0.0, output=0.0, per_request=1.0)
    bounded = plan(sums(tmp_path, 20), journal, of=model(prices=(price,)))
    progress = Progress()
    (outcome,) = collect([bounded], asker, journal, tmp_path, progress=progress, max_cost=7.5)
    assert len(asker.asked) == 7
    assert (outcome.status, progress.stopped_by, progress.billed) == ("stopped", "cost", 7.0)


def test_cached_answers_are_free_under_a_cost_bound(journal: Journal, tmp_path: Path) -> None:
    def reused(item: Item) -> Answer:
        return replace(right(item), reused=True, cache_hit=True, bought_at=BOUGHT, attempts=())

    asker = TableAsker(reused, cached=frozenset(range(1, 10)))
    old = Price(input=1.0, output=0.0, since=BOUGHT.date())
    new = Price(input=3.0, output=0.0, since=BOUGHT.date().replace(month=6))
    (outcome,) = collect(
        [plan(sums(tmp_path, 9), journal, of=model(prices=(old, new)))],
        asker,
        journal,
        tmp_path,
        max_cost=0.0,
    )
    record = document(outcome)["records"][0]
    assert outcome.status == "complete"
    assert (record["billed"], record["replayed"], record["avoided"]) == (0.0, 10 / 1e6, 30 / 1e6)


def test_a_cost_bound_without_a_price_is_refused(journal: Journal, tmp_path: Path) -> None:
    unpriced = plan(sums(tmp_path, 2), journal, of=model(prices=()))
    with pytest.raises(ConfigurationError, match="price of adder is not known"):
        collect([unpriced], TableAsker(), journal, tmp_path, max_cost=1.0)


def test_an_unknown_price_is_null_and_never_nothing(journal: Journal, tmp_path: Path) -> None:
    (outcome,) = collect(
        [plan(sums(tmp_path, 2), journal, of=model(prices=()))], TableAsker(), journal, tmp_path
    )
    assert document(outcome)["cost"] is None
    assert document(outcome)["costs"] == {"billed": None, "replayed": None, "avoided": None}


def test_asked_to_stop_it_finishes_what_is_under_way_and_goes_on_later(
    journal: Journal, tmp_path: Path
) -> None:
    reader, progress = sums(tmp_path, 40), Progress()

    def stop_at_ten(count: int) -> None:
        if count >= 10:
            progress.request_stop("interrupted")

    asker = TableAsker(after=stop_at_ten, seconds=0.001)
    (outcome,) = collect([plan(reader, journal)], asker, journal, tmp_path, progress=progress)
    assert (outcome.status, outcome.result) == ("stopped", None)
    kept = journal.done(outcome.plan.entry.run_id)
    assert len(kept) == len(asker.asked) < 40, "nothing that was sent is lost"
    rest = TableAsker()
    (whole,) = collect([plan(reader, journal)], rest, journal, tmp_path)
    assert len(rest.asked) == 40 - len(kept)
    assert whole.status == "complete"


def test_a_run_held_by_another_process_is_waited_for_and_not_repeated(
    journal: Journal, tmp_path: Path
) -> None:
    reader = sums(tmp_path, 5)
    waiting = plan(reader, journal)
    other = RunLock(journal.path.parent, waiting.run_key)
    assert other.take()
    said: list[str] = []

    async def both() -> list[Outcome]:
        progress = Progress(say=said.append)
        ours = TableAsker()
        task = asyncio.create_task(
            run_plans([waiting], ours, journal, tmp_path / "results", progress, concurrency=2)
        )
        while not said:
            await asyncio.sleep(0.01)
        journal.begin_run(waiting.entry)
        async with JournalWriter(journal) as writer:
            from pipeline.collector.answers import make_record
            from pipeline.hours import now

            for item in reader.items():
                record, attempts = make_record(
                    right(item), item, run_id=waiting.entry.run_id, repetition=0, evaluator=reader.evaluator,
                    prices=(), now=now(), synthetic=False,
                )  # fmt: skip
                await writer.add(record, attempts)
        other.release()
        outcomes = await task
        assert ours.asked == []
        return outcomes

    (outcome,) = asyncio.run(both())
    assert outcome.status == "complete"
    assert "is being collected by process" in said[0]


def test_a_journal_that_cannot_be_written_ends_the_run_with_a_sentence(
    journal: Journal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sqlite3

    from pipeline.collector import journal_writer as module

    def full(*_: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(module, "_write", full)
    with pytest.raises(JournalError, match="disk is full; check the disk's space"):
        collect([plan(sums(tmp_path, 9), journal)], TableAsker(), journal, tmp_path)
    assert RunLock(journal.path.parent, plan(sums(tmp_path, 9), journal).run_key).take(), (
        "the lock is given back"
    )


def test_an_estimate_counts_what_is_done_cached_and_left(journal: Journal, tmp_path: Path) -> None:
    reader = sums(tmp_path, 10)
    collect([plan(reader, journal, limit=4)], TableAsker(), journal, tmp_path)
    full = plan(reader, journal, of=model(requests_per_minute=3.0))
    found = estimate(full, journal, cached=2)
    assert (found.records, found.done, found.cached, found.to_send) == (10, 4, 2, 4)
    assert found.completion_tokens == 20, "as long as the answers before"
    assert found.cost == pytest.approx((found.prompt_tokens * 1.0 + 20 * 2.0) / 1e6)
    assert seconds_of_all([full], [found], concurrency=4) == pytest.approx(80.0), "three a minute"
    assert estimate(plan(reader, journal, of=model(prices=())), journal, cached=0).cost is None


def test_attempts_that_may_have_been_billed_count_against_the_bound(journal: Journal, tmp_path: Path) -> None:
    def lost(item: Item) -> Answer:
        lost = Attempted(1_000_000, None, "timeout", 20.0, 0.0, None, 0)
        return replace(right(item), attempts=(lost, *right(item).attempts))

    # The most one request may cost is some 57 in and 10 out: the bound pays for three undisturbed ones.
    spent = []
    for name, answer in (("calm", right), ("stormy", lost)):
        asker = TableAsker(answer)
        made = plan(sums(tmp_path / name, 40), journal, of=model(name))
        collect([made], asker, journal, tmp_path / name, concurrency=1, max_cost=0.0004)
        spent.append(len(asker.asked))
    assert 0 < spent[1] < spent[0] / 2
