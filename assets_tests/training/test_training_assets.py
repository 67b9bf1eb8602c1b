"""From a file to tables: `pipeline training` as a person calls it, and the assets over the hours."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import dagster as dg
import pytest
from click.testing import CliRunner

from assets_tests.training.importing_samples import ALPACA, OTEL, TAU
from pipeline.cli.training import training
from pipeline.hours import Hour
from pipeline.settings.places import PROJECT
from pipeline.telemetry.assets import event_segments
from pipeline.training.assets import ASSETS
from pipeline.training.derived.tables import LINEAGE_RANKINGS, ORPHANS
from pipeline.training.importing.recording import open_writer
from pipeline.training.importing.writing import import_files
from pipeline.training.reading import read_records
from pipeline.training.tables import EVALUATIONS, SESSIONS
from pipeline.warehouse.places import warehouse_path
from pipeline.warehouse.resource import WarehouseResource
from pipeline.warehouse.store import Warehouse

KEY = "2026-03-01-10:00"


def run(*arguments: str) -> str:
    """The command in this process: what it prints on stdout."""
    result = CliRunner().invoke(training, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.stderr
    return result.stdout


def call(*arguments: str) -> subprocess.CompletedProcess[str]:
    """The command as a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "pipeline", "training", *arguments],
        env={**os.environ, "PIPELINE_NOW": "2026-03-01T10:30:00+00:00"},
        capture_output=True,
        text=True,
        check=False,
        cwd=PROJECT,
    )


def materialise(key: str) -> dg.ExecuteInProcessResult:
    return dg.materialize(
        [event_segments, *ASSETS], partition_key=key, resources={"warehouse": WarehouseResource()}
    )


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    places = {}
    for name, document in (
        ("tau", [TAU, {**TAU, "reward": 5}]),
        ("alpaca", [ALPACA]),
        ("otel", OTEL),
        ("bad", 3),
    ):
        places[name] = tmp_path / f"{name}.json"
        places[name].write_text(json.dumps(document), encoding="utf-8")
    return places


def test_import_materialise_show_and_count(
    data_directory: Path, files: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIPELINE_NOW", "2026-03-01T10:30:00+00:00")
    report = json.loads(run("import", "tau-bench", str(files["tau"]), str(files["bad"]), "--json"))
    assert (report["imported"], report["hours"]) == (1, [KEY])
    assert [one["where"] for one in report["malformed"]] == ["tau.json[1]", "bad.json"]
    again = json.loads(run("import", "tau-bench", str(files["tau"]), "--json"))
    assert (again["imported"], again["already_imported"], again["events"]) == (0, 1, 0)
    assert "1 imported, 0 imported before, 0 malformed" in run("import", "alpaca-eval", str(files["alpaca"]))

    warehouse, seen = Warehouse(warehouse_path()), []
    for _ in range(2):
        assert materialise(KEY).success
        seen.append([warehouse.read_all(table) for table in (SESSIONS, EVALUATIONS, LINEAGE_RANKINGS)])
    for before, after in zip(*seen, strict=True):
        assert before.height > 0
        assert before.equals(after)

    session = read_records(warehouse, EVALUATIONS).filter(evaluator="tau-bench")["session_id"][0]
    shown = run("show", session, "--width", "40")
    for part in ("session Book seat 3.", "rollout cycle 1", "tool book", "10/10", "…"):
        assert part in shown
    assert json.loads(run("show", session, "--json"))["record"] == "session"
    counted = json.loads(run("stats", "--json"))
    assert counted["records"]["artifacts"] == {"records": 3, "synthetic": 0}
    assert counted["sources"].keys() == {"import:tau-bench", "import:alpaca-eval"}
    assert (counted["scores"]["scored"], counted["orphans"]["open"]) == (2, 0)
    assert "Open links: 0" in run("stats")


def test_wrong_calls_and_failures_have_their_exit_codes(data_directory: Path, files: dict[str, Path]) -> None:
    assert call("import", "unknown", str(files["tau"])).returncode == 2
    nothing = call("import", "tau-bench", str(files["bad"]))
    assert (nothing.returncode, "Traceback" in nothing.stderr) == (1, False)
    assert "a list is needed" in nothing.stderr
    missing = call("show", "nobody")
    assert (missing.returncode, "no record names it" in missing.stderr) == (1, True)


def test_an_orphan_fails_its_check_until_its_parent_arrives_in_another_hour(
    data_directory: Path, files: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIPELINE_NOW", "2026-03-01T12:30:00+00:00")
    kept = []
    with open_writer("otel") as writer:

        def write(session: str, body: object, at: int) -> bool:
            if type(body).__name__ == "RolloutStarted":
                kept.append((session, body, at))
                return True
            return writer.write(session, body, at)  # type: ignore[arg-type]

        import_files("otel", [files["otel"]], write, settle=writer.settle)
    result = materialise(KEY)
    failed = [check.check_name for check in result.get_asset_check_evaluations() if not check.passed]
    assert failed == ["every_parent_has_arrived"]
    warehouse = Warehouse(warehouse_path())
    assert set(warehouse.read_all(ORPHANS)["parent"]) == {"rollouts"}

    with open_writer("otel") as writer:
        for session, body, at in kept:
            writer.write(session, body, at + int(timedelta(hours=1).total_seconds() * 1e9))  # type: ignore[arg-type]
    later = materialise("2026-03-01-11:00")
    assert all(check.passed for check in later.get_asset_check_evaluations())
    assert warehouse.read_hour(ORPHANS, Hour.parse("2026-03-01-11:00")).height == 0
