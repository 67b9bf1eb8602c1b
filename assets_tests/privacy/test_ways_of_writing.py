"""Ways of writing that a corpus of another hand showed to be missed, and their look-alikes that survive."""

from __future__ import annotations

import json
import multiprocessing
from pathlib import Path

import polars as pl
import pytest

from pipeline.hours import Hour
from pipeline.privacy.acting import Redactor
from pipeline.privacy.detect import Detector, Finding
from pipeline.privacy.inputs import Numbered, open_source, read_records
from pipeline.privacy.outputs import write_records
from pipeline.privacy.reporting import Located, findings_frame, store_findings
from pipeline.privacy.tables import FINDINGS
from pipeline.warehouse.store import Warehouse


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("card 4111  1111  1111  1111", "CREDIT_CARD"),
        ("card 4111\n1111\n1111\n1111", "CREDIT_CARD"),
        ("card 4111 - 1111 - 1111 - 1111", "CREDIT_CARD"),
        ("pay GB82  WEST  1234  5698  7654  32", "IBAN_CODE"),
        ("write to user@[192.0.2.7]", "EMAIL_ADDRESS"),
        ('passphrase "blue horse runs fast"', "SECRET"),
        ("ALTER USER bob WITH PASSWORD 'vJZ8Ik6wMx1'", "SECRET"),
        ("login with admin / password qwerty#99", "SECRET"),
        ("- name: DB_PASSWORD\n  value: WmNOF7Uxs2V", "SECRET"),
        ("dial [2001:db8:1:2:3:4:5:6]:443", "IP_ADDRESS"),
        ("call +2348021236527", "PHONE_NUMBER"),
    ],
)
def test_other_ways_of_writing_are_found(detector: Detector, text: str, kind: str) -> None:
    assert kind in {finding.type for finding in detector.scan_text(text)}


@pytest.mark.parametrize(
    "text", ["password reset form", 'the passphrase "is hidden"', "4112  1111  1111  1111", "user@[host]"]
)
def test_their_look_alikes_survive(detector: Detector, text: str) -> None:
    assert [f for f in detector.scan_text(text) if f.type != "PHONE_NUMBER"] == []


def test_a_clean_line_comes_back_as_it_was_and_a_changed_one_is_valid_json(detector: Detector) -> None:
    redactor = Redactor(detector, placeholder_key=b"k" * 32)
    clean = b'{"a":  1, "b": "words"}'
    assert redactor.apply_json(clean)[0] is clean
    line, outcome = redactor.apply_json(b'{"to": "jane@example.com"}')
    assert outcome.status == "changed" and "jane" not in json.loads(line)["to"]
    assert redactor.apply_json(line)[0] is line


def test_a_number_that_becomes_a_placeholder_late_makes_its_column_text(tmp_path: Path) -> None:
    rows = [Numbered(n, {"n": n if n < 3000 else "[US_SSN~bcdfghjk]", "t": None}) for n in range(3001)]
    assert write_records(rows, "parquet", str(tmp_path / "out.parquet")) == 3001
    records = [item.record["n"] for item in read_records(open_source(str(tmp_path / "out.parquet")))]
    assert records[0] == "0" and records[-1] == "[US_SSN~bcdfghjk]" and len(records) == 3001


def _store(path: Path, source: str, hour: Hour) -> None:
    frame = findings_frame(
        [Located(0, Finding("EMAIL_ADDRESS", "text", 0, 5, "email"))], hour=hour, surface="s", source=source
    )
    store_findings(Warehouse(path), frame, hour=hour, surface="s", source=source)


def test_two_commands_at_once_keep_each_others_finds(tmp_path: Path) -> None:
    hour = Hour.current()
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=_store, args=(tmp_path / "w.duckdb", name, hour)) for name in "abc"]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    stored = Warehouse(tmp_path / "w.duckdb").read_hour(FINDINGS, hour)
    assert sorted(stored.select(pl.col("source")).to_series().to_list()) == ["a", "b", "c"]
