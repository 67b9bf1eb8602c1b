"""Links: an orphan is kept and reported, and resolved when its parent arrives, in whatever hour."""

from __future__ import annotations

from pathlib import Path

import pytest

from assets_tests.training.samples import HOUR, LATER, NEXT, events, fill
from pipeline.capture import signals
from pipeline.capture.kinds import Body
from pipeline.training.derived.computing import open_links
from pipeline.training.derived.linking import LINKS
from pipeline.training.reading import contradicting_ids, read_records, whole_conversation
from pipeline.training.tables import EXECUTION_SPANS, RECORDS, SESSIONS
from pipeline.warehouse.store import Warehouse

SPAN = signals.SpanFinished(span_id="span", attempt_id="attempt", kind="tool")
ATTEMPT = signals.AttemptFinished(attempt_id="attempt", rollout_id="rollout")


def test_an_orphan_is_kept_reported_and_resolved_when_its_parent_arrives(tmp_path: Path) -> None:
    warehouse = Warehouse(tmp_path / "warehouse.duckdb")
    fill(warehouse, events([("s", SPAN)]), HOUR)
    assert read_records(warehouse, EXECUTION_SPANS)["span_id"].to_list() == ["span"]
    first = open_links(warehouse, HOUR).row(0, named=True)
    assert (first["record"], first["link"], first["parent_id"]) == (
        "execution_spans",
        "attempt_id",
        "attempt",
    )

    fill(warehouse, events([("s", ATTEMPT)], NEXT), NEXT)
    assert open_links(warehouse, NEXT)["parent_id"].to_list() == ["rollout"]
    assert open_links(warehouse, HOUR)["parent_id"].to_list() == ["attempt"]


def test_a_parent_that_arrives_late_in_an_earlier_hour_resolves_too(tmp_path: Path) -> None:
    warehouse = Warehouse(tmp_path / "warehouse.duckdb")
    fill(warehouse, events([("s", SPAN)], LATER), LATER)
    assert open_links(warehouse, LATER).height == 1
    rollout = signals.RolloutStarted(rollout_id="rollout", lineage_id="l", agent_id="a")
    fill(warehouse, events([("s", ATTEMPT), ("s", rollout)], HOUR), HOUR)
    assert "execution_spans" not in open_links(warehouse, LATER)["record"].to_list()


@pytest.mark.parametrize("link", LINKS, ids=lambda link: f"{link.table.table_name}.{link.column}")
def test_every_link_is_between_columns_that_exist(link: object) -> None:
    assert link.column in link.table.polars_schema  # type: ignore[attr-defined]
    assert link.parent in RECORDS  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("body", "parents"),
    [
        (signals.EvaluationGiven(evaluation_id="e", ranking=[["x"], ["y", "x"]]), {"x", "y"}),
        (signals.AgentDefined(agent_id="a", lineage_id="l", version=1, flow_hash="a" * 64), {"l", "a" * 64}),
        (signals.ArtifactProduced(artifact_id="f", rollout_id="r"), {"r"}),
        (signals.InsightNoted(insight_id="i"), {"s"}),
        (signals.SessionStarted(), set()),
    ],
)
def test_which_parents_a_record_waits_for(tmp_path: Path, body: Body, parents: set[str]) -> None:
    warehouse = Warehouse(tmp_path / "warehouse.duckdb")
    fill(warehouse, events([("s", body)]))
    assert set(open_links(warehouse, HOUR)["parent_id"].to_list()) == parents


def test_a_record_told_again_in_a_later_hour_is_read_once_and_a_contradiction_is_named(
    tmp_path: Path,
) -> None:
    warehouse = Warehouse(tmp_path / "warehouse.duckdb")
    fill(warehouse, events([("s", signals.SessionStarted(user_need="first"))]), HOUR)
    fill(warehouse, events([("s", signals.SessionStarted(user_need="second"))], NEXT), NEXT)
    assert read_records(warehouse, SESSIONS)["user_need"].to_list() == ["first"]
    assert contradicting_ids(warehouse, SESSIONS, HOUR) == []
    assert contradicting_ids(warehouse, SESSIONS, NEXT) == ["s"]


def test_a_conversation_is_put_together_from_the_spans_that_continue_each_other() -> None:
    def span(span_id: str, before: str | None, said: str) -> dict[str, object]:
        return {
            "span_id": span_id,
            "continues_span_id": before,
            "input_messages": f'[{{"role":"user","content":"{said}?"}}]',
            "output_messages": f'[{{"role":"assistant","content":"{said}!"}}]',
        }

    spans = [span("1", None, "a"), span("2", "1", "b"), span("3", "2", "c"), span("x", "x", "circle")]
    assert [one["content"] for one in whole_conversation(spans, "3")] == ["a?", "a!", "b?", "b!", "c?", "c!"]
    assert len(whole_conversation(spans, "x")) == 2
    assert whole_conversation(spans, "missing") == []
