"""What an execution does not state is added up from its spans, in whatever batches these came."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pytest

from assets_tests.capture.test_otel import a_span, writer_in
from pipeline.capture.otel.spans import Span
from pipeline.capture.otel.translating import occurrences
from pipeline.hours import Hour
from pipeline.settings.telemetry import Loading
from pipeline.telemetry.archive import default_archive
from pipeline.telemetry.intake import take_in
from pipeline.telemetry.joining import PARTS, following, join_points, members
from pipeline.telemetry.loading import task_executions
from pipeline.telemetry.projecting import PROJECTIONS
from pipeline.telemetry.rolling_up import roll_up, span_parts
from pipeline.telemetry.validating import validate_points

TRACE = "0af7651916cd43dd8448eb211c80319c"
START = 1_770_000_000_000_000_000
HOUR = Hour.parse("2026-02-02-02:00")
SECOND = 1_000_000_000


def span(number: int, parent: int, operation: str, **attributes: Any) -> Span:
    """A span that began ``number`` seconds on and ended before every span of a smaller number."""
    return a_span(
        span_id=f"{number:016x}",
        parent_id=f"{parent:016x}" if parent else "",
        name=f"{operation} {number}",
        started=START + number * SECOND,
        ended=START + (100 - number) * SECOND,
        attributes={"gen_ai.operation.name": operation}
        | {name.replace("__", "."): value for name, value in attributes.items()},
    )


def call(number: int, parent: int, tokens: int, cost: float | None = None) -> Span:
    usage = {"gen_ai__usage__input_tokens": tokens, "gen_ai__usage__output_tokens": 1}
    priced = {} if cost is None else {"gen_ai__usage__cost": cost}
    return span(number, parent, "chat", gen_ai__request__model="m", **usage, **priced)


AGENT = span(1, 0, "invoke_agent", gen_ai__agent__name="outer")


def points_of(data_directory: Path, *batches: list[Span]) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Executions and data points of the hour after these batches came one after another."""
    writer = writer_in(data_directory / "spool")
    for batch in batches:
        writer.write(occurrences(batch))
    writer.close()
    archive = default_archive()
    take_in(archive, [data_directory / "spool"], print)
    tasks, elsewhere = members(archive, HOUR, 6)
    parts = following(archive, [HOUR, *elsewhere], tasks.select("subject"))
    assert set(parts) == set(PARTS)
    parts["executions"] = roll_up(parts["executions"], span_parts(archive, [HOUR], tasks["subject"]))
    points = validate_points(join_points(tasks, parts), HOUR, Loading(), frozenset())
    return task_executions(archive, HOUR, 6), points


SPANS = [
    call(9, 2, 100, 0.5),
    span(8, 2, "execute_tool", gen_ai__tool__name="search"),
    call(6, 1, 10, 0.25),
    span(3, 1, "execute_tool", gen_ai__tool__name="shell"),
    span(2, 1, "invoke_agent", gen_ai__agent__name="inner"),
    AGENT,
]


@pytest.mark.parametrize("size", [1, 2, 6])
def test_the_same_spans_in_any_batches_give_the_same_sums(data_directory: Path, size: int) -> None:
    batches = [SPANS[place : place + size] for place in range(0, len(SPANS), size)]
    executions, points = points_of(data_directory, *batches)
    found = {
        row["agent"]: (
            row["tokens_input"],
            row["tokens_total"],
            row["cost_usd"],
            row["tool_call_count"],
            row["model"],
        )
        for row in executions.iter_rows(named=True)
    }
    assert found == {"outer": (10, 11, 0.25, 1, "m"), "inner": (100, 101, 0.5, 1, "m")}
    point = points.row(0, named=True)
    assert points.height == 1
    assert (point["task_id"], point["selected_agent"], point["is_valid"]) == (TRACE, "outer", True)
    assert (point["tokens_total"], point["cost_usd"], point["tool_calls"], point["attempts"]) == (
        112,
        0.75,
        2,
        2,
    )


def test_what_an_execution_states_is_not_added_to(data_directory: Path) -> None:
    stating = span(1, 0, "invoke_agent", gen_ai__usage__input_tokens=7, gen_ai__usage__output_tokens=2)
    executions, _ = points_of(data_directory, [call(5, 1, 100, 0.5)], [stating])
    row = executions.row(0, named=True)
    assert (row["tokens_total"], row["cost_usd"]) == (9, 0.5)


def test_a_call_within_a_call_is_counted_once(data_directory: Path) -> None:
    wrapped = [call(5, 4, 100), call(4, 1, 100), AGENT]
    executions, _ = points_of(data_directory, *([each] for each in wrapped))
    assert executions["tokens_input"].to_list() == [100]


def test_a_parent_that_is_its_own_ancestor_is_counted_nowhere() -> None:
    spans = pl.DataFrame(
        [
            {"task_id": "t", "trace_id": "x", "span_id": one, "parent_span_id": other, "operation": "model",
             "model": "m", "tokens_input": None, "tokens_output": None, "tokens_cached": None,
             "tokens_reasoning": None, "cost_usd": 1.0}
            for one, other in (("a", "b"), ("b", "a"))
        ],
        schema_overrides={f"tokens_{part}": pl.Int64 for part in ("input", "output", "cached", "reasoning")},
    )  # fmt: skip
    executions = pl.DataFrame(
        {"task_id": ["t"], "execution_id": ["c"], "has_end": [True], "cost_usd": [None]},
        schema_overrides={"cost_usd": pl.Float64},
    )
    assert roll_up(executions, spans).equals(executions)


def test_spans_sent_apart_from_the_one_that_names_the_task_belong_to_it(data_directory: Path) -> None:
    root = span(1, 0, "invoke_agent", gen_ai__agent__name="outer", task__id="ticket-7")
    children = [[call(5, 1, 100)], [span(4, 1, "execute_tool", gen_ai__tool__name="shell")]]
    _, points = points_of(data_directory, *children, [root])
    row = points.row(0, named=True)
    assert points.height == 1
    assert (row["task_id"], row["tool_calls"], row["tokens_total"], row["is_valid"]) == (
        "ticket-7",
        1,
        101,
        True,
    )


@pytest.mark.parametrize("above", ["remote", "request"])
def test_an_agent_below_a_remote_parent_or_a_request_is_a_task(data_directory: Path, above: str) -> None:
    agent = a_span(
        span_id="02" * 8,
        parent_id="01" * 8,
        remote_parent=above == "remote",
        attributes={"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "served"},
    )
    request = a_span(span_id="01" * 8, attributes={"http.request.method": "POST"})
    batches = [[agent]] if above == "remote" else [[agent], [request]]
    _, points = points_of(data_directory, *batches)
    assert points.select("selected_agent", "is_valid").rows() == [("served", True)]


def test_every_column_of_a_span_that_is_added_up_is_read() -> None:
    assert {"trace_id", "span_id", "parent_span_id", "operation", "cost_usd"} < set(
        PROJECTIONS["span_ended"].columns
    )
