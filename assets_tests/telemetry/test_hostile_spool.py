"""Hostile spools and archives: what does not belong there, what cannot be read, and two loaders at once."""

from __future__ import annotations

import gzip
import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from assets_tests.telemetry.events import HOUR, Emitter, archive_in, taken
from assets_tests.telemetry.loaded import load_hour
from pipeline.capture.spool import line_of
from pipeline.errors import InputError
from pipeline.hours import Hour
from pipeline.telemetry.conservation import processes
from pipeline.telemetry.intake import take_in
from pipeline.telemetry.places import hour_folder
from pipeline.telemetry.staleness import stale_hours
from pipeline.telemetry.summaries import rejected_events
from pipeline.warehouse.store import Warehouse

AT = HOUR.start + timedelta(minutes=5)
FOLDER = "2026-11-20-10"


def test_foreign_files_folders_and_links_are_left_alone(tmp_path: Path) -> None:
    spool, archive, emitter = tmp_path / "spool", archive_in(tmp_path), Emitter()
    outside = tmp_path / "outside.txt"
    outside.write_text("not ours")
    good = emitter.write(spool, *emitter.task("t", AT))
    (spool / FOLDER / "notes.txt").write_text("x")
    (spool / FOLDER / good.name.replace("-000001", "-000002")).symlink_to(outside)
    (spool / FOLDER / good.name.replace("-000001", "-000003")).symlink_to(tmp_path / "nowhere")
    (spool / FOLDER / good.name.replace("-000001", "-000004")).mkdir()
    os.mkfifo(spool / FOLDER / good.name.replace("-000001", "-000005"))
    (spool / "2026-11-20-11").symlink_to(tmp_path)
    said: list[str] = []
    outcome = taken(archive, spool, said)
    assert [one.segment for one in outcome.archived] == [good.name]
    assert outside.read_text() == "not ours"
    assert processes(archive, HOUR).row(0, named=True)["loaded"] == 6
    assert len(list((spool / FOLDER).iterdir())) == 5


@pytest.mark.parametrize(
    "name", ["2026-13-40-99", "2026-02-30-10", "0000-00-00-00", "9999-12-31-23", "2026-11-20-24"]
)
def test_a_folder_of_no_hour_stops_no_other_one(tmp_path: Path, name: str) -> None:
    spool, archive, emitter = tmp_path / "spool", archive_in(tmp_path), Emitter()
    strange = Emitter("strange").write(spool, *Emitter("strange").task("s", AT))
    (spool / name).mkdir()
    strange = strange.rename(spool / name / strange.name)
    emitter.write(spool, *emitter.task("t", AT))
    outcome = taken(archive, spool)
    assert processes(archive, HOUR)["loaded"].sum() >= 6
    assert strange.exists() == (strange.name in outcome.problems)
    warehouse = Warehouse(tmp_path / "warehouse.duckdb")
    since = HOUR.start - timedelta(days=1)
    assert all(one.hour >= HOUR for one in stale_hours(archive, warehouse, [spool], horizon=6, since=since))


@pytest.mark.parametrize(
    ("data", "reasons"),
    [
        (b"", []),
        (b"\n\n", ["broken_line"] * 2),
        (b"\x00" * 4096, ["torn_line"]),
        (gzip.compress(b"x" * 9, mtime=0) + b"\n", ["broken_line"]),
        (b"x" * 40_000_000 + b"\n", ["torn_line", "broken_line"]),
        (b"\xff\xfe\n" * 3, ["broken_line"] * 3),
    ],
    ids=["nothing", "empty lines", "zeroes", "gzip", "one line of 40 MB", "no text"],
)
def test_a_segment_of_rubbish_is_kept_with_its_reasons(
    tmp_path: Path, data: bytes, reasons: list[str]
) -> None:
    spool, archive, emitter = tmp_path / "spool", archive_in(tmp_path), Emitter()
    rubbish = Emitter("rubbish").write_bytes(spool, data, HOUR)
    emitter.write(spool, *emitter.task("t", AT))
    taken(archive, spool)
    assert not rubbish.exists()
    assert rejected_events(archive, HOUR)["reason"].to_list() == reasons
    assert processes(archive, HOUR)["loaded"].sum() == 6


def test_one_segment_under_two_directories_counts_once(tmp_path: Path) -> None:
    archive, emitter = archive_in(tmp_path), Emitter()
    spools = [tmp_path / "first", tmp_path / "second"]
    events = emitter.task("t", AT)
    for spool in spools:
        emitter.segments = 0
        emitter.write(spool, *events)
    said: list[str] = []
    take_in(archive, spools, said.append)
    row = processes(archive, HOUR).row(0, named=True)
    assert (row["emitted"], row["loaded"], row["duplicates"], row["gap"]) == (6, 6, 0, 0)


def test_a_truncated_file_of_the_archive_is_named(tmp_path: Path) -> None:
    spool, archive, emitter = tmp_path / "spool", archive_in(tmp_path), Emitter()
    emitter.write(spool, *emitter.task("t", AT))
    taken(archive, spool)
    (place,) = hour_folder(archive.directory, HOUR).glob("*.parquet")
    place.write_bytes(place.read_bytes()[:-100])
    with pytest.raises(InputError, match=place.name):
        processes(archive, HOUR)


def test_midnight_belongs_to_the_hour_that_begins(tmp_path: Path) -> None:
    spool, archive, emitter = tmp_path / "spool", archive_in(tmp_path), Emitter()
    midnight = Hour.parse("2026-11-21-00:00")
    before = Hour.parse("2026-11-20-23:00")
    emitter.write_bytes(
        spool,
        b"".join(
            line_of(emitter.event("tool_called", "t", at, {"tool": "x"}))
            for at in (midnight.start - timedelta(microseconds=1), midnight.start)
        ),
        before,
    )
    taken(archive, spool)
    assert [processes(archive, hour)["loaded"].to_list() for hour in (before, midnight)] == [[1], [1]]


LOADING = """
import sys
from pathlib import Path
from assets_tests.telemetry.events import archive_in
from assets_tests.telemetry.loaded import load_hour
from pipeline.warehouse.store import Warehouse
folder = Path(sys.argv[1])
load_hour(archive_in(folder), Warehouse(folder / "warehouse.duckdb"), folder / "spool")
"""


def test_two_loaders_at_once_lose_and_double_nothing(tmp_path: Path) -> None:
    spool = tmp_path / "spool"
    for number in range(4):
        emitter = Emitter(f"e{number}")
        emitter.write(spool, *[event for n in range(50) for event in emitter.task(f"t{number}-{n}", AT)])
    loaders = [
        subprocess.Popen([sys.executable, "-c", LOADING, str(tmp_path)], stderr=subprocess.PIPE)
        for _ in range(2)
    ]
    said = [loader.communicate()[1].decode() for loader in loaders]
    assert [loader.returncode for loader in loaders] == [0, 0], said
    points = load_hour(archive_in(tmp_path), Warehouse(tmp_path / "warehouse.duckdb"), spool)
    assert (points.height, points["event_count"].sum()) == (200, 1200)
    assert processes(archive_in(tmp_path), HOUR)["gap"].sum() == 0
