"""Whole exports: the same bytes twice, verified; nothing private; replaced, halted and traced."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import yaml

from assets_tests.training.export_states import State, criteria, files, rows_of
from pipeline.errors import InputError, PipelineError
from pipeline.privacy.detect import default_detector
from pipeline.settings.exports import KINDS, Kind
from pipeline.telemetry.halting import HaltedError
from pipeline.training import exporting, placing
from pipeline.training.examples.records import Records
from pipeline.training.exporting import export
from pipeline.training.repository import CHECKSUMS, MANIFEST, Written, write_repository
from pipeline.training.tracing import trace
from pipeline.training.verifying import read_manifest, verify
from pipeline.warehouse.store import Warehouse


@pytest.fixture(autouse=True)
def _data_directory(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIPELINE_DATA_DIR", str(folder))


CANARIES = ["anna.berg@example.org", "+49 30 901820", "AKIAIOSFODNN7EXAMPLE", "4111 1111 1111 1111"]


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_written_verified_and_the_same_bytes_twice(
    kind: Kind, records: Records, tmp_path: Path
) -> None:
    first = export(records, criteria(kind), tmp_path / "first")
    second = export(records, criteria(kind), tmp_path / "second")
    assert files(first.directory) == files(second.directory)
    report = verify(first.directory, default_detector())
    assert report.problems == {}
    counts = first.manifest["counts"]
    assert report.rows == counts["rows"] > 0
    assert counts["examples"] == counts["rows"] + sum(counts["dropped"].values())
    card = (first.directory / "README.md").read_text(encoding="utf-8")
    front = yaml.safe_load(card.split("---")[1])
    assert front["configs"][0]["default"] is True
    assert (
        sum(split["num_examples"] for part in front["dataset_info"] for split in part["splits"])
        == counts["rows"]
    )
    assert f"{counts['rows']:,} rows" in card


def test_another_seed_draws_other_splits(records: Records, tmp_path: Path) -> None:
    first = export(records, criteria("kto"), tmp_path / "first")
    second = export(records, criteria("kto", seed=7), tmp_path / "second")
    sides = [
        {entry["hash"]: entry["split"] for entry in written.manifest["rows"]} for written in (first, second)
    ]
    assert sides[0].keys() == sides[1].keys()
    assert sides[0] != sides[1]


def test_shards_are_numbered_and_hold_all_rows(records: Records, tmp_path: Path) -> None:
    written = export(records, criteria("kto", shard_rows=30), tmp_path / "out")
    names = written.manifest["parts"]["default"]["splits"]["train"]["files"]
    assert names == [f"data/train-{number:05d}-of-00003.parquet" for number in range(3)]
    assert sum(pq.read_metadata(written.directory / name).num_rows for name in names) == len(rows_of(written))


def test_no_canary_passes_the_door(tmp_path: Path) -> None:
    state = State()
    for number, canary in enumerate(CANARIES):
        session = f"session-{number}-{canary}"
        state.session(session, "How?")
        state.agent(session, f"A{number}", system=f"Write to {canary}.", name=f"agent of {canary}")
        state.answer(
            session,
            f"A{number}",
            f"a{number}",
            [
                {
                    "role": "assistant",
                    "content": f"I call {canary}.",
                    "tool_calls": [
                        {
                            "id": "c",
                            "type": "function",
                            "function": {"name": "call", "arguments": {"to": canary}},
                        }
                    ],
                },
                {"role": "tool", "content": f"reached {canary}", "tool_call_id": "c"},
                {"role": "assistant", "content": f"Done {number} with {canary}, as the user had asked for."},
            ],
            need=f"Reach {canary} about matter {number}",
            score=9,
            thoughts=f"The user {canary} wants it.",
            metadata={"ground_truth": canary},
        )
    records = state.into(tmp_path)
    for kind in ("sft", "kto", "reasoning", "grpo", "verl", "openai-sft", "atif"):
        written = export(records, criteria(kind), tmp_path / kind)
        report = verify(written.directory, default_detector(), CANARIES)
        assert report.problems == {}
        assert sum(written.manifest["privacy"]["acted_on"].values()) > 0
        for name, body in files(written.directory).items():
            assert not any(canary.encode() in body for canary in CANARIES), name


def test_an_empty_warehouse_is_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there are no records yet"):
        export(Records(Warehouse(tmp_path / "none.duckdb")), criteria("sft"), tmp_path / "out")


def test_an_export_is_replaced_only_when_asked(records: Records, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    export(records, criteria("grpo"), out, overwrite=True)  # empty: nothing can be lost
    (out / "mine.txt").write_text("keep", encoding="utf-8")
    with pytest.raises(InputError, match="exists already"):
        export(records, criteria("grpo"), out)
    assert (out / "mine.txt").exists()
    export(records, criteria("kto"), out, overwrite=True)
    assert not (out / "mine.txt").exists()
    assert verify(out, default_detector()).passed
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


@pytest.mark.parametrize("name", ["thesis.tex", MANIFEST, CHECKSUMS])
def test_what_is_no_export_is_never_replaced(name: str, records: Records, tmp_path: Path) -> None:
    (tmp_path / name).write_text("mine", encoding="utf-8")
    for place in (tmp_path, tmp_path / name):
        with pytest.raises(InputError, match="only exports and empty directories are replaced"):
            export(records, criteria("grpo"), place, overwrite=True)
    assert (tmp_path / name).read_text(encoding="utf-8") == "mine"


def test_a_directory_that_appears_meanwhile_is_not_replaced(
    records: Records, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    write = write_repository

    def too_late(*arguments: Any, **named: Any) -> Written:
        out.mkdir()
        (out / "mine.txt").write_text("keep", encoding="utf-8")
        return write(*arguments, **named)

    monkeypatch.setattr(exporting, "write_repository", too_late)
    with pytest.raises(InputError, match="made by another process meanwhile"):
        export(records, criteria("grpo"), out)
    assert [path.name for path in tmp_path.rglob("*")] == ["out", "mine.txt"]


def test_records_that_change_meanwhile_make_no_export(
    records: Records, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    states = iter(["before", "after"])
    monkeypatch.setattr(Records, "state", lambda _: next(states))
    with pytest.raises(PipelineError, match="written meanwhile.*try again"):
        export(records, criteria("grpo"), tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_two_names_change_places_in_one_instant_or_step_by_step(
    records: Records, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    for path in (one, other):
        path.mkdir()
        (path / path.name).touch()
    if sys.platform.startswith("linux"):
        assert placing.exchange(one, other)
        assert (one / "other").exists() and (other / "one").exists()
    monkeypatch.setattr(placing, "_exchanging", lambda: None)
    assert not placing.exchange(one, other)
    out = tmp_path / "out"
    for kind in ("grpo", "kto"):
        export(records, criteria(kind), out, overwrite=True)
    assert read_manifest(out)["kind"] == "kto"
    # Where the exchange is missing, a kill between the two renames leaves the old one beside: it returns.
    out.rename(tmp_path / ".out.replaced-999999999")
    with pytest.raises(InputError, match="at least 9,000"):
        export(records, criteria("kto", minimum_rows=9000), out, overwrite=True)
    export(records, criteria("grpo"), out, overwrite=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one", "other", "out"]


def test_a_halt_stops_exports(records: Records, folder: Path, tmp_path: Path) -> None:
    halt = folder / "spool" / "halt.json"
    halt.parent.mkdir(exist_ok=True)
    for body in ('{"halts": [{"name": "privacy-violation", "alert_id": "1"}]}', "{torn"):
        halt.write_text(body, encoding="utf-8")
        with pytest.raises(HaltedError, match="halted"):
            export(records, criteria("grpo"), tmp_path / "out")
    halt.unlink()
    assert export(records, criteria("grpo"), tmp_path / "out").directory.exists()


def test_a_row_leads_back_to_its_events(records: Records, tmp_path: Path) -> None:
    written = export(records, criteria("rewards"), tmp_path / "out")
    for name in ("train:0", "scores:test:0", written.manifest["rows"][3]["hash"][:12]):
        found = trace(written.directory, name, records.warehouse)
        tables = {origin.table for origin in found.origins}
        assert {
            "training.artifacts",
            "training.attempts",
            "training.sessions",
            "training.evaluations",
        } <= tables
        assert [origin.event_id for origin in found.origins] == found.entry["events"]
        sessions = {origin.record["session_id"] for origin in found.origins}
        assert len(sessions) == 1
    with pytest.raises(InputError, match="no row of this export"):
        trace(written.directory, "train:99999", records.warehouse)
