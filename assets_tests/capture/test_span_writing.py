"""Writing spans: a disk that refuses, reports in between, forks, a port that is taken."""

from __future__ import annotations

import os
from pathlib import Path

import httpx
import pytest
from click.testing import CliRunner

from assets_tests.capture.test_otel import a_span, by_kind, intake, request_of, spooled, writer_in
from pipeline.capture.otel import writing
from pipeline.capture.otel.processor import SpoolSpanProcessor
from pipeline.capture.otel.translating import occurrences
from pipeline.cli.capture_serve import serve
from pipeline.errors import InputError


def test_a_full_disk_is_said_and_nothing_is_acknowledged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIPELINE_SPOOL_FALLBACK", "/dev/null/none")
    server_folder = tmp_path / "spool"
    with intake(server_folder) as address:
        blocked = server_folder / "2026-02-02-02"
        blocked.write_text("in the way of the hour's folder")
        assert httpx.post(address, json=request_of(1)).status_code == 503
        blocked.unlink()
        assert httpx.post(address, json=request_of(1)).status_code == 200
    assert len(by_kind(server_folder, "span_ended")) == 1
    numbers = sorted(event.sequence for event in spooled(server_folder))
    assert numbers == list(range(1, len(numbers) + 1))


def test_a_spool_that_cannot_be_written_has_a_second_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = tmp_path / "spool", tmp_path / "second"
    monkeypatch.setenv("PIPELINE_SPOOL_FALLBACK", str(second))
    with intake(first) as address:
        (first / "2026-02-02-02").write_text("in the way of the hour's folder")
        assert httpx.post(address, json=request_of(3)).status_code == 200
    assert len(by_kind(second, "span_ended")) == 3
    assert by_kind(second, "recorder_stopped")[0]["in_second_directory"] > 0
    numbers = sorted(event.sequence for folder in (first, second) for event in spooled(folder))
    assert numbers == list(range(1, len(numbers) + 1))


def test_spans_that_nobody_sends_again_are_counted_as_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIPELINE_SPOOL_FALLBACK", "/dev/null/none")
    processor = SpoolSpanProcessor(writer_in(tmp_path))
    (tmp_path / "2026-02-02-02").write_text("in the way of the hour's folder")
    processor._waiting = [a_span(attributes={"gen_ai.operation.name": "chat"})]
    assert processor.force_flush() is False
    processor.shutdown()
    report = by_kind(tmp_path, "recorder_stopped")[0]
    assert processor.lost == 1
    assert (report["failed"], report["emitted"] - report["written"]) == ({"ENOTDIR": 1}, 1)


def test_a_busy_writer_reports_in_between(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writing, "REPORT_SECONDS", 0)
    writer = writer_in(tmp_path)
    for number in range(3):
        writer.write(occurrences([a_span(span_id=f"{number + 1:016x}")]))
    writer.close()
    reports = [*by_kind(tmp_path, "recorder_report"), *by_kind(tmp_path, "recorder_stopped")]
    assert len(reports) == 4
    # The last report counts everything but itself.
    assert sum(report["emitted"] for report in reports) == len(spooled(tmp_path)) - 1
    assert all(report["emitted"] == report["written"] for report in reports)


def test_a_fork_writes_segments_and_numbers_of_its_own(tmp_path: Path) -> None:
    writer = writer_in(tmp_path)
    writer.write(occurrences([a_span()]))
    child = os.fork()
    if child == 0:
        writer.write(occurrences([a_span(span_id="02" * 8)]))
        writer.close()
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    writer.write(occurrences([a_span(span_id="03" * 8)]))
    writer.close()
    events = spooled(tmp_path)
    assert len({(event.process, event.sequence) for event in events}) == len(events)
    assert len({event.process for event in events if event.kind == "span_ended"}) == 2
    assert [body.get("parent_process") for body in by_kind(tmp_path, "recorder_started")].count(None) == 1


def test_a_port_that_is_taken_is_said_in_a_sentence(data_directory: Path) -> None:
    with intake(data_directory / "other") as address:
        port = address.split(":")[2].split("/")[0]
        done = CliRunner().invoke(serve, ["--port", port])
    assert isinstance(done.exception, InputError)
    assert "another --port" in str(done.exception)
