"""Each alert has an hour that fires it and one that does not; cool-downs, halts, deliveries."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from assets_tests.telemetry.points import HOUR, warehouse_in
from pipeline.errors import ConfigurationError, InputError
from pipeline.hours import Hour
from pipeline.settings.alerts import Alert, AlertSettings, Webhook, load_alerts
from pipeline.telemetry.aggregate_tables import ALERT_ANSWERS, ALERTS, COLLECTION_METRICS
from pipeline.telemetry.alerting import AGENT_SCHEMA, evaluate, halt_for
from pipeline.telemetry.halting import FILE, HaltedError, refuse_if_halted, standing_halts
from pipeline.telemetry.notifying import acknowledge, acknowledged_ids, due, send_due

GOOD: dict[str, Any] = {
    "hour": HOUR.start,
    "synthetic": False,
    "tasks_this_hour": 100,
    "validation_failure_rate": 0.01,
    "privacy_violations": 0,
    "agent_coverage": 1.0,
    "task_coverage": 1.0,
    "events_missing": 0,
    "events_failed": 0,
    "duplicate_rate": 0.0,
    "rejected_events": 0,
    "storage_megabytes_per_day": 5.0,
    "collection_ms_per_task": 1.0,
}
STEADY: dict[str, Any] = {
    "hour": HOUR.start,
    "agent": "coder",
    "synthetic": False,
    "finished": 50,
    "success_upper": 0.98,
    "success_change": 0.0,
    "success_change_significant": False,
}
COLLAPSED = {"success_upper": 0.3, "success_change": -0.6, "success_change_significant": True}
NONE_EARLIER = pl.DataFrame(
    schema={
        "name": pl.String,
        "subject": pl.String,
        "synthetic": pl.Boolean,
        "hour": pl.Datetime("us", "UTC"),
    }
)


def fired(
    metrics: dict[str, Any] | None = None,
    agent: dict[str, Any] | None = None,
    *,
    earlier: pl.DataFrame = NONE_EARLIER,
    hour: Hour = HOUR,
) -> pl.DataFrame:
    measured = COLLECTION_METRICS.frame([GOOD | (metrics or {})])
    agents = pl.DataFrame([STEADY | (agent or {})], schema=AGENT_SCHEMA)
    return evaluate(hour, load_alerts(), measured, agents, earlier)


def test_a_good_hour_fires_nothing() -> None:
    assert fired().is_empty()


@pytest.mark.parametrize(
    ("name", "bad", "nearly_bad"),
    [
        ("low-collection-rate", {"tasks_this_hour": 9}, {"tasks_this_hour": 10}),
        ("high-validation-failure", {"validation_failure_rate": 0.11}, {"validation_failure_rate": 0.1}),
        ("privacy-violation", {"privacy_violations": 1}, {"privacy_violations": 0}),
        ("low-agent-coverage", {"agent_coverage": 0.4}, {"agent_coverage": 0.5}),
        ("low-task-coverage", {"task_coverage": 0.94}, {"task_coverage": None}),
        ("events-missing", {"events_missing": 1}, {"events_missing": 0}),
        ("events-not-written", {"events_failed": 1}, {"events_failed": 0}),
        ("high-duplicate-rate", {"duplicate_rate": 0.02}, {"duplicate_rate": 0.01}),
        ("rejected-events", {"rejected_events": 101}, {"rejected_events": 100}),
        ("storage-growth", {"storage_megabytes_per_day": 101.0}, {"storage_megabytes_per_day": 100.0}),
        ("slow-collection", {"collection_ms_per_task": 51.0}, {"collection_ms_per_task": None}),
    ],
)
def test_an_alert_on_metrics(name: str, bad: dict[str, Any], nearly_bad: dict[str, Any]) -> None:
    found = fired(bad)
    assert found["name"].to_list() == [name]
    assert json.loads(found["facts"][0]) == bad
    assert fired(nearly_bad).is_empty()


@pytest.mark.parametrize(
    ("changed", "fires"),
    [
        (COLLAPSED, True),
        (COLLAPSED | {"finished": 19}, False),
        (COLLAPSED | {"success_change_significant": None}, False),
        (COLLAPSED | {"success_change": 0.1}, False),
    ],
)
def test_the_collapse_of_an_agent(changed: dict[str, Any], fires: bool) -> None:
    found = fired(agent=changed)
    assert found.select("name", "subject").rows() == ([("agent-success-collapse", "coder")] if fires else [])


def test_every_shipped_alert_is_tried_here() -> None:
    tried = {
        mark for case in test_an_alert_on_metrics.pytestmark for mark in [row[0] for row in case.args[1]]
    }
    assert {alert.name for alert in load_alerts().alerts} == tried | {"agent-success-collapse"}


def test_synthetic_rows_fire_only_what_is_about_them() -> None:
    bad = {"synthetic": True, "tasks_this_hour": 1, "privacy_violations": 2, "events_missing": 3}
    assert fired(bad)["name"].to_list() == ["privacy-violation"]


def test_a_running_hour_fires_only_early_alerts() -> None:
    now = Hour.current()
    bad = {"hour": now.start, "tasks_this_hour": 1, "privacy_violations": 1}
    assert fired(bad, hour=now)["name"].to_list() == ["privacy-violation"]


def test_within_its_cool_down_an_alert_is_kept_but_silent() -> None:
    def before(hours: int) -> pl.DataFrame:
        row = ("low-collection-rate", "", False, HOUR.start - timedelta(hours=hours))
        return pl.DataFrame([row], schema=NONE_EARLIER.schema, orient="row")

    bad = {"tasks_this_hour": 0}
    assert fired(bad, earlier=before(6))["state"].to_list() == ["cooling_down"]
    assert fired(bad, earlier=before(7))["state"].to_list() == ["fired"]
    assert fired({"events_missing": 1}, earlier=before(1))["state"].to_list() == ["fired"]


@pytest.mark.parametrize(
    "condition",
    [
        "tasks_tody < 3",
        "tasks_this_hour",
        "(SELECT 1) > 0",
        "read_text('/etc/passwd') = ''",
        "tasks_this_hour <",
    ],
)
def test_a_condition_that_cannot_be_evaluated_is_refused(condition: str) -> None:
    alert = Alert(name="odd", condition=condition, severity="info", action="none")
    with pytest.raises(ConfigurationError, match=r"alert odd.*alerts\.yaml"):
        evaluate(
            HOUR,
            AlertSettings(alerts=(alert,)),
            COLLECTION_METRICS.empty(),
            pl.DataFrame(schema=AGENT_SCHEMA),
            NONE_EARLIER,
        )


def test_a_halt_stands_until_it_is_acknowledged(data_directory: Path) -> None:
    refuse_if_halted()
    warehouse = warehouse_in(data_directory)
    found = warehouse.replace_hour(ALERTS, HOUR, fired({"privacy_violations": 3})).frame
    alert_id = found["alert_id"][0]
    assert halt_for(found, acknowledged_ids(warehouse)) == [alert_id]
    halt_for(found, [])
    assert [halt["alert_id"] for halt in standing_halts()] == [alert_id]
    with pytest.raises(HaltedError, match=f"alerts acknowledge {alert_id}"):
        refuse_if_halted()
    assert acknowledge(warehouse, alert_id, "somebody", "test data")
    refuse_if_halted()
    assert halt_for(found, acknowledged_ids(warehouse)) == []
    assert not (data_directory / "spool" / FILE).exists()


def test_a_halt_file_that_nobody_can_read_halts(data_directory: Path) -> None:
    (data_directory / "spool").mkdir()
    (data_directory / "spool" / FILE).write_text("{", encoding="utf-8")
    with pytest.raises(HaltedError):
        refuse_if_halted()


def test_an_unknown_alert_cannot_be_acknowledged(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such alert"):
        acknowledge(warehouse_in(tmp_path), "nothing", "somebody", "")


@contextmanager
def hook(status: list[int]) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """A real webhook that answers with the next status (the last one for ever) and keeps what it got."""
    got: list[dict[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            got.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(status[min(len(got), len(status)) - 1])
            self.end_headers()

        def log_message(self, format: str, *arguments: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/secret-path", got
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture
def fired_now(data_directory: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("PIPELINE_NOW", (HOUR.end + timedelta(minutes=10)).isoformat())
    warehouse = warehouse_in(data_directory)
    warehouse.replace_hour(ALERTS, HOUR, fired({"events_missing": 4}))
    return warehouse


def test_a_delivery_that_failed_is_tried_again_and_one_that_succeeded_is_not(
    fired_now: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with hook([500, 200]) as (address, got):
        monkeypatch.setenv("PIPELINE_ALERT_WEBHOOK", address)
        assert [send_due(fired_now, Webhook()) for _ in range(3)] == [(0, 1), (1, 0), (0, 0)]
    assert [message["name"] for message in got] == ["events-missing"] * 2
    answers = fired_now.read_all(ALERT_ANSWERS)
    assert sorted(answers["what"]) == ["delivered", "failed"]
    assert "secret-path" not in " ".join(answers["detail"])


def test_a_dead_webhook_is_given_up_after_its_attempts(
    fired_now: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with hook([200]) as (address, _):
        pass
    monkeypatch.setenv("PIPELINE_ALERT_WEBHOOK", address)
    webhook = Webhook(attempts=2, timeout_seconds=1)
    assert [send_due(fired_now, webhook) for _ in range(3)] == [(0, 1), (0, 1), (0, 0)]


def test_without_an_address_nothing_is_posted_and_old_or_mild_alerts_are_not_due(
    fired_now: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PIPELINE_ALERT_WEBHOOK", raising=False)
    assert send_due(fired_now, Webhook()) == (0, 0)
    assert due(fired_now, Webhook(), HOUR.end).height == 1
    assert due(fired_now, Webhook(), HOUR.end + timedelta(days=8)).is_empty()
    assert due(fired_now, Webhook(least_severity="critical"), HOUR.end).is_empty()
