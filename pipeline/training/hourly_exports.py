"""Exports as hourly results: one directory per kind and hour, reused where nothing changed, and a receipt
each.

What belongs here: places, fingerprints, receipts and their rows. What does not: Dagster (``export_assets``).

``exports/hourly/<kind>/<hour>/`` in the data folder is the repository, ``<hour>.json`` beside it the receipt.
"""

from __future__ import annotations

import hashlib
import json
import os
from datetime import datetime
from pathlib import Path
from typing import Any

import polars as pl

from pipeline.errors import InputError
from pipeline.hours import Hour
from pipeline.settings.exports import KINDS, Kind, default_criteria, load_criteria
from pipeline.settings.files import digest
from pipeline.settings.places import config_directory, data_directory
from pipeline.telemetry.halting import HaltedError
from pipeline.training.examples.records import Records
from pipeline.training.export_tables import EXPORTS
from pipeline.training.exporting import export
from pipeline.training.repository import Written, code_digest, file_digest
from pipeline.training.verifying import read_manifest
from pipeline.training.writing.formats import FORMATS
from pipeline.warehouse.store import Warehouse

Receipt = dict[str, Any]


def hourly_directory(kind: Kind) -> Path:
    """Where a kind's hours lie."""
    return data_directory() / "exports" / "hourly" / kind


def export_hour(kind: Kind, hour: Hour, warehouse: Warehouse) -> Receipt:
    """Export a kind as of the hour's end; what cannot be exported is a receipt with its reason, not an
    error.
    """
    records = Records(warehouse, until=hour.end)
    fingerprint = _fingerprint(kind, records)
    receipt: Receipt = {"kind": kind, "hour": hour.key, "fingerprint": fingerprint}
    directory = hourly_directory(kind) / _name(hour)
    try:
        same = _earlier(kind, fingerprint, hour)
        if same is not None:
            written, status = same, "reused"
        else:
            criteria = load_criteria(default_criteria(kind), kind)
            written, status = export(records, criteria, directory, overwrite=True), "written"
        receipt |= {"status": status, **_facts(written)}
    except HaltedError as halted:
        receipt |= {"status": "halted", "reason": str(halted)}
    except InputError as refused:
        receipt |= {"status": "refused", "reason": str(refused)}
    _keep(receipt, hour)
    return receipt


def manifest_of(receipt: Receipt) -> dict[str, Any] | None:
    """The manifest of a receipt's directory; None where there is no directory."""
    if receipt.get("directory") is None:
        return None
    return read_manifest(data_directory() / receipt["directory"])


def receipts(hour: Hour) -> pl.DataFrame:
    """The receipts of an hour as rows of ``training.exports``."""
    rows = []
    for kind in KINDS:
        path = hourly_directory(kind) / f"{_name(hour)}.json"
        if not path.is_file():
            continue
        receipt = json.loads(path.read_text(encoding="utf-8"))
        newest = receipt.get("newest_record_at")
        rows.append(
            {
                "rows": 0,
                "train_rows": 0,
                "validation_rows": 0,
                "test_rows": 0,
                "tokens": 0,
                "left_out": "{}",
                **receipt,
                "hour": hour.start,
                "newest_record_at": datetime.fromisoformat(newest) if newest else None,
            }
        )
    return EXPORTS.frame(rows)


def _facts(written: Written) -> Receipt:
    manifest = written.manifest
    counts = manifest["counts"]
    splits = {"train": 0, "validation": 0, "test": 0}
    for part in FORMATS[manifest["kind"]]:
        for split, facts in manifest["parts"][part.name]["splits"].items():
            splits[split] += facts["rows"]
    return {
        "directory": written.directory.relative_to(data_directory().resolve()).as_posix(),
        "digest": written.digest,
        "rows": counts["rows"],
        **{f"{split}_rows": rows for split, rows in splits.items()},
        "tokens": sum(entry["tokens"] for entry in manifest["rows"]),
        "artifacts": counts["artifacts"],
        "left_out": json.dumps({**counts["refused"], **counts["dropped"]}, ensure_ascii=False),
        "newest_record_at": manifest["data"]["newest"],
    }


def _fingerprint(kind: Kind, records: Records) -> str:
    parts = [
        records.state(),
        digest(default_criteria(kind)),
        digest(config_directory() / "privacy.yaml"),
        code_digest(),
    ]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _earlier(kind: Kind, fingerprint: str, hour: Hour) -> Written | None:
    """The newest repository of this kind that was made of the same and still stands whole."""
    for path in sorted(hourly_directory(kind).glob("*.json"), reverse=True):
        receipt = json.loads(path.read_text(encoding="utf-8"))
        if receipt.get("fingerprint") != fingerprint or receipt.get("status") != "written":
            continue
        directory = data_directory() / receipt["directory"]
        sums = directory / "SHA256SUMS"
        if receipt["hour"] != hour.key and sums.is_file() and file_digest(sums) == receipt["digest"]:
            return Written(directory.resolve(), read_manifest(directory), receipt["digest"])
    return None


def _keep(receipt: Receipt, hour: Hour) -> None:
    path = hourly_directory(receipt["kind"]) / f"{_name(hour)}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    building = path.with_name(f".{path.name}.{os.getpid()}")
    building.write_text(json.dumps(receipt, ensure_ascii=False, indent=1), encoding="utf-8")
    building.replace(path)


def _name(hour: Hour) -> str:
    """A folder's name for an hour; a colon would be none everywhere."""
    return hour.start.strftime("%Y-%m-%d-%H")
