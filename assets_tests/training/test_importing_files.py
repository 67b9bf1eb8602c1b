"""Importing files: what is reported, what is remembered, and which times events have."""

from __future__ import annotations

from pathlib import Path

import pytest

from assets_tests.training.importing_samples import (
    ALPACA,
    GOOD,
    OTEL,
    TAU,
    read,
)
from pipeline.capture.kinds import Body
from pipeline.training.importing.writing import FORMATS, import_files


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"[1, 2]", b'{"a": NaN}', None])
def test_no_file_whatever_it_holds_stops_the_others(
    data_directory: Path, tmp_path: Path, name: str, content: bytes | None
) -> None:
    bad = tmp_path / "bad.json"
    if content is not None:
        bad.write_bytes(content)
    read(tmp_path, name, GOOD[name])
    good = tmp_path / ("data.jsonl" if name == "hh-rlhf" else "data.json")
    report = import_files(name, [bad, good], lambda session, body, at: True)
    assert (report.imported, report.files) == (1, 2)
    assert report.malformed or content == b""


class Spool:
    """What a recorder would have got."""

    def __init__(self) -> None:
        self.got: list[tuple[str, Body, int]] = []

    def write(self, session_id: str, body: Body, at: int) -> bool:
        self.got.append((session_id, body, at))
        return True


def test_importing_twice_changes_nothing_unless_asked(data_directory: Path, tmp_path: Path) -> None:
    read(tmp_path, "tau-bench", [TAU, {**TAU, "trial": 1}, {**TAU, "reward": 7}])
    path, spool = tmp_path / "data.json", Spool()
    first = import_files("tau-bench", [path], spool.write)
    assert (first.imported, first.known, len(first.malformed), first.events) == (2, 0, 1, len(spool.got))
    copy = tmp_path / "elsewhere" / "data.json"
    copy.parent.mkdir()
    copy.write_bytes(path.read_bytes())
    again = import_files("tau-bench", [path, copy], spool.write)
    assert (again.imported, again.known, again.events, len(spool.got)) == (0, 4, 0, first.events)
    assert import_files("tau-bench", [copy], spool.write, again=True).imported == 2
    told = [(session, body) for session, body, _ in spool.got]
    assert told[: first.events] == told[first.events :]


def test_a_list_of_imports_that_was_cut_by_a_crash_only_imports_again(
    data_directory: Path, tmp_path: Path
) -> None:
    read(tmp_path, "tau-bench", [TAU, {**TAU, "trial": 1}])
    spool = Spool()
    import_files("tau-bench", [tmp_path / "data.json"], spool.write)
    ledger = data_directory / "imports" / "training.txt"
    ledger.write_bytes(ledger.read_bytes()[:-10])
    assert import_files("tau-bench", [tmp_path / "data.json"], spool.write).imported == 1


def test_events_carry_the_times_of_the_data_and_else_the_present(
    data_directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIPELINE_NOW", "2026-03-02T08:30:00+00:00")
    read(tmp_path, "otel", OTEL)
    report = import_files("otel", [tmp_path / "data.json"], Spool().write)
    assert report.hours == {"2026-03-01-10:00"}
    read(tmp_path, "tau-bench", [TAU])
    assert import_files("tau-bench", [tmp_path / "data.json"], Spool().write).hours == {"2026-03-02-08:00"}


def test_an_item_that_the_recorder_refuses_is_reported_and_not_remembered(
    data_directory: Path, tmp_path: Path
) -> None:
    read(tmp_path, "tau-bench", [TAU])
    refused = import_files("tau-bench", [tmp_path / "data.json"], lambda *_: False)
    assert "door keeps" in refused.malformed[0].reason
    assert import_files("tau-bench", [tmp_path / "data.json"], lambda *_: True).imported == 1


def test_an_item_that_is_too_large_for_an_event_is_malformed_as_a_whole(
    data_directory: Path, tmp_path: Path
) -> None:
    spool = Spool()
    read(tmp_path, "alpaca-eval", [{**ALPACA, "output_2": "x" * 1_000_001}, ALPACA])
    report = import_files("alpaca-eval", [tmp_path / "data.json"], spool.write)
    assert (report.imported, len(report.malformed)) == (1, 1)
    assert "length <= 1000000" in report.malformed[0].reason
