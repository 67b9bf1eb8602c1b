"""``pipeline export`` as a user calls it, killed at random points, and as hourly assets."""

from __future__ import annotations

import contextlib
import io
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

import dagster as dg
import pytest

from assets_tests.training.export_states import START, criteria, mixed_state
from pipeline.cli import main
from pipeline.hours import Hour
from pipeline.privacy.detect import default_detector
from pipeline.settings.exports import KINDS
from pipeline.training.examples.records import Records
from pipeline.training.export_assets import EXPORT_ASSETS, export_key
from pipeline.training.export_tables import EXPORTS
from pipeline.training.exporting import export
from pipeline.training.repository import MANIFEST
from pipeline.training.verifying import verify
from pipeline.warehouse.assets import asset_key
from pipeline.warehouse.resource import WarehouseResource
from pipeline.warehouse.store import Warehouse


@pytest.fixture
def state(data_directory: Path) -> Path:
    mixed_state(8).into(data_directory)
    return data_directory


class Done(NamedTuple):
    returncode: int
    stdout: str
    stderr: str


def call(*arguments: str) -> Done:
    """The command in this process, as its entry point runs it."""
    out, err, code = io.StringIO(), io.StringIO(), 0
    patch = pytest.MonkeyPatch()
    patch.setattr(sys, "argv", ["pipeline", "export", *arguments])
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main()
        except SystemExit as stop:
            code = int(stop.code or 0)
        finally:
            patch.undo()
    return Done(code, out.getvalue(), err.getvalue())


def test_export_verify_trace_and_preview(state: Path, tmp_path: Path) -> None:
    out = str(tmp_path / "pairs")
    done = call("preferences", "--out", out, "--json")
    assert done.returncode == 0, done.stderr
    counts = json.loads(done.stdout)["counts"]
    assert counts["rows"] > 0
    again = call("preferences", "--out", out)
    assert again.returncode == 1
    assert "pass --overwrite" in again.stderr
    assert "Traceback" not in again.stderr
    checked = call("verify", out, "--json")
    assert checked.returncode == 0
    assert json.loads(checked.stdout) | {"checks": [], "problems": {}} == {
        "passed": True,
        "rows": counts["rows"],
        "checks": [],
        "problems": {},
    }
    traced = json.loads(call("trace", out, "train:0", "--json").stdout)
    assert {origin["table"] for origin in traced["origins"]} >= {"training.artifacts", "training.evaluations"}
    shown = call("preview", out, "--rows", "1").stdout
    assert "chosen" in shown
    assert "rejected" in shown
    assert "Question" in shown
    assert json.loads(call("preview", "kto", "--rows", "2", "--json").stdout)[0][1]["label"] in (True, False)


def test_damage_is_told_in_sentences_with_exit_code_1(state: Path, tmp_path: Path) -> None:
    out = tmp_path / "kto"
    assert call("kto", "--out", str(out)).returncode == 0
    (out / "README.md").write_text("changed", encoding="utf-8")
    done = call("verify", str(out))
    assert done.returncode == 1
    assert "README.md has another content than SHA256SUMS says." in done.stdout
    assert "do not train on it" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("kto",), 2, "--out"),
        (("verify", "/nowhere/at/all"), 2, "does not exist"),
        (("preview", "poems"), 2, "neither a directory nor a kind"),
        (("kto", "--out", "x", "--criteria", "none.yaml"), 1, "none.yaml"),
    ],
)
def test_wrong_calls(arguments: tuple[str, ...], code: int, message: str, data_directory: Path) -> None:
    done = call(*arguments)
    assert done.returncode == code
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def killed(folder: Path, *fractions: float) -> list[int]:
    """Exits of exports killed after these shares of the calls that writing makes; the first is whole."""
    done = subprocess.run(
        [sys.executable, "-m", "assets_tests.training.killed_export", str(folder), *map(str, fractions)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: list[int] = json.loads(done.stdout)
    assert found[0] == 0, done.stderr
    return found[1:]


def export_again(state: Path, out: Path) -> None:
    export(Records(Warehouse(state / "warehouse.duckdb")), criteria("kto"), out, overwrite=True)


def test_sigkill_while_writing_leaves_none_or_a_whole_one(state: Path, tmp_path: Path) -> None:
    fresh, replaced = (0.01, 0.6, 1.0), (0.5, 0.97, 0.99, 1.0)
    outs = [tmp_path / f"out-{number}" for number in range(len(fresh + replaced))]
    export_again(state, outs[-1])
    for out in outs[len(fresh) : -1]:
        shutil.copytree(outs[-1], out)
    assert killed(tmp_path, *fresh, *replaced) == [-signal.SIGKILL] * len(outs)
    assert not outs[0].exists()
    for number, out in enumerate(outs):
        assert out.exists() or number < len(fresh), "what is replaced is there all the time"
        assert not out.exists() or verify(out, default_detector()).problems == {}
    export_again(state, outs[1])  # clears what was left
    assert verify(outs[1], default_detector()).problems == {}
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(f".{outs[1].name}.")] == []


def test_sigkill_of_the_command_at_any_time(state: Path, tmp_path: Path) -> None:
    drawn = random.Random(5)
    for number in range(2):
        out = tmp_path / f"out{number}"
        process = subprocess.Popen(
            [sys.executable, "-m", "pipeline", "export", "rewards", "--out", str(out)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        time.sleep(drawn.uniform(0.2, 1.5))
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        assert not out.exists() or verify(out, default_detector()).passed


def materialise(key: str) -> dg.ExecuteInProcessResult:
    return dg.materialize(
        list(EXPORT_ASSETS),
        resources={"warehouse": WarehouseResource()},
        partition_key=key,
        run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
        raise_on_error=False,
    )


def test_the_hourly_assets_export_every_kind_show_plots_and_reuse_what_did_not_change(state: Path) -> None:
    first, second = Hour.of(START), Hour(Hour.of(START).end)
    result = materialise(first.key)
    assert result.success
    shown: dict[str, Any] = {
        event.materialization.asset_key.path[-1]: event.materialization.metadata
        for event in result.get_asset_materialization_events()
    }
    assert shown["export_preferences"]["margins"].value.startswith("![Margins")
    for title in ("scores", "lengths", "sources", "agent versions"):
        assert shown["export_sft"][title].value.startswith("![")
    warehouse = Warehouse(state / "warehouse.duckdb")
    rows = warehouse.read_hour(EXPORTS, first)
    assert set(rows["kind"]) == set(KINDS)
    assert set(rows["status"]) == {"written"}
    for row in rows.to_dicts():
        assert verify(state / row["directory"], default_detector()).passed
    assert materialise(second.key).success
    later = warehouse.read_hour(EXPORTS, second)
    assert set(later["status"]) == {"reused"}
    assert dict(later.select("kind", "digest").iter_rows()) == dict(rows.select("kind", "digest").iter_rows())


def test_an_hour_without_records_says_so_and_a_halt_too(data_directory: Path) -> None:
    hour = Hour.of(START)
    assert materialise(hour.key).success
    rows = Warehouse(data_directory / "warehouse.duckdb").read_hour(EXPORTS, hour)
    assert set(rows["status"]) == {"refused"}
    assert all("there are no records yet" in reason for reason in rows["reason"])
    (data_directory / "spool").mkdir()
    (data_directory / "spool" / "halt.json").write_text(
        '{"halts": [{"name": "privacy-violation", "alert_id": "1"}]}', encoding="utf-8"
    )
    result = materialise(hour.key)
    rows = Warehouse(data_directory / "warehouse.duckdb").read_hour(EXPORTS, hour)
    assert set(rows["status"]) == {"halted"}
    failed = [check.check_name for check in result.get_asset_check_evaluations() if not check.passed]
    assert "none_is_halted" in failed


def test_an_hour_sees_no_later_records(state: Path) -> None:
    before = Hour.of(START).previous()
    assert materialise(before.key).success
    rows = Warehouse(state / "warehouse.duckdb").read_hour(EXPORTS, before)
    assert set(rows["status"]) == {"refused"}
    assert not list((state / "exports").rglob(MANIFEST))
    assert {export_key(kind) for kind in KINDS} <= EXPORT_ASSETS[-1].asset_deps[asset_key(EXPORTS)]
    assert export_key("openai-sft").path == ["training", "export_openai_sft"]
