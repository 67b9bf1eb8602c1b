"""Results as files: document 004's JSON, Parquet beside it, written whole or not at all.

What belongs here: turning a run's journal into files, one record at a time. What does not: finding, listing
and removing files (``result_files``), scores over several runs (``scores``).

A file's records come last and on lines of their own, so that its head can be read without them.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pipeline.collector.journal import NEWEST, Journal, RunEntry
from pipeline.collector.records import (
    FAILED_INFRASTRUCTURE,
    FAILED_PERMANENT,
    SCORED,
    STATUSES,
    UNPARSEABLE,
    UNSCORED,
)
from pipeline.collector.result_files import RECORDS_LINE, result_path
from pipeline.errors import PipelineError

BATCH_ROWS = 2_000

_COUNTED = {
    **{status: f"sum(status = '{status}')" for status in STATUSES},
    "right": "sum(status = 'scored' AND score >= 1)",
    "partly": "sum(status = 'scored' AND score < 1)",
    "cache_hits": "sum(cache_hit)",
    "records": "count(*)",
    "without_price": "sum(error_class IS NULL AND (billed IS NULL OR replayed IS NULL))",
    "without_avoided": "sum(error_class IS NULL AND avoided IS NULL)",
}
_SUMMED = (
    "score", "prompt_tokens", "completion_tokens", "cached_tokens", "reasoning_tokens", "billed", "replayed",
    "avoided",
)  # fmt: skip
_SUMS = {**_COUNTED, **{name: f"sum({name})" for name in _SUMMED}, "latency": "avg(latency_ms)"}


def summarise(journal: Journal, entry: RunEntry) -> dict[str, Any]:
    """Everything of a run but its records, as document 004 names it and more.

    ``performance`` is the mean score (0-1) of judged records, None without any; failed requests are counted
    apart and never scored. A total of costs is None where the price of one answer is not known.
    """
    found = _totals(journal, entry.run_id)
    answered = found["scored"] + found["unparseable"] + found["unscored"]
    known = bool(answered) and not found["without_price"]
    judged = found["scored"] + found["unparseable"]
    billed, replayed, avoided = (found[name] or 0.0 for name in ("billed", "replayed", "avoided"))
    return {
        "performance": found["score"] / judged if judged else None,
        "time_taken": entry.seconds,
        "prompt_tokens": found["prompt_tokens"] or 0,
        "completion_tokens": found["completion_tokens"] or 0,
        "cost": billed + replayed if known else None,
        "counts": _counts(found, entry.planned),
        "model_name": entry.model,
        "dataset_name": entry.dataset,
        "split": entry.split,
        "demo": entry.demo,
        "data_fingerprint": entry.description.get("data_fingerprint"),
        "extra_fields": entry.description.get("extra_fields", []),
        "costs": {
            "billed": billed if known else None,
            "replayed": replayed if known else None,
            "avoided": avoided if answered and not found["without_avoided"] else None,
        },
        "cached_tokens": found["cached_tokens"] or 0,
        "reasoning_tokens": found["reasoning_tokens"] or 0,
        "mean_latency_ms": found["latency"],
        "run_id": entry.run_id,
        "status": entry.status,
        "evaluator": entry.description.get("evaluator"),
        "api_model_name": entry.description.get("api_model_name"),
        "synthetic": entry.synthetic,
        "started_at": instant(entry.started_at),
    }


def _totals(journal: Journal, run_id: str) -> dict[str, Any]:
    """Each of ``_SUMS`` over the records of a run as they stand; counts are never None."""
    sums = ", ".join(_SUMS.values())
    with journal.connection() as connection:
        row = connection.execute(f"SELECT {sums} FROM (SELECT r.* {NEWEST})", (run_id,)).fetchone()
    found = dict(zip(_SUMS, row, strict=True))
    return {name: found[name] or 0 if name in _COUNTED else found[name] for name in found}


def _counts(found: dict[str, Any], planned: int) -> dict[str, int]:
    return {
        "planned": planned,
        "records": found["records"],
        SCORED: found[SCORED],
        "right": found["right"],
        "wrong": found["partly"] + found[UNPARSEABLE],
        UNPARSEABLE: found[UNPARSEABLE],
        UNSCORED: found[UNSCORED],
        FAILED_INFRASTRUCTURE: found[FAILED_INFRASTRUCTURE],
        FAILED_PERMANENT: found[FAILED_PERMANENT],
        "cache_hits": found["cache_hits"],
    }


def write_results(
    journal: Journal, entry: RunEntry, folder: Path, written_at: datetime
) -> tuple[Path, float | None]:
    """The run's JSON and Parquet below ``folder``; returns the JSON's path and the
    performance. An older file of the run goes."""
    target = result_path(folder, entry.dataset, entry.split, entry.model, written_at)
    head = {**summarise(journal, entry), "written_at": written_at.astimezone(UTC).isoformat()}
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with _replacing(target.with_suffix(".parquet")) as parquet, _replacing(target) as document:
            _write_both(journal, entry.run_id, head, document, parquet)
        if entry.result is not None and Path(entry.result) != target:
            for old in (Path(entry.result), Path(entry.result).with_suffix(".parquet")):
                old.unlink(missing_ok=True)
    except OSError as error:
        raise PipelineError(
            f"Writing the results of {entry.model} on {entry.dataset}: {error.strerror or error} "
            f"({target}); the "
            "records are kept, so free space or name another output_dir and run the same command again."
        ) from error
    return target, head["performance"]


def document_record(record: dict[str, Any]) -> dict[str, Any]:
    """A record as document 004 shows it, then what it adds. ``cost`` is what the answer cost when it was
    bought."""
    billed, replayed = record["billed"], record["replayed"]
    shown = {
        "index": record["position"],
        "origin_query": record["origin_query"],
        "prompt": record["prompt"],
        "prediction": record["prediction"],
        "ground_truth": record["ground_truth"],
        "score": record["score"],
        "prompt_tokens": record["prompt_tokens"],
        "completion_tokens": record["completion_tokens"],
        "cost": None if billed is None or replayed is None else billed + replayed,
        "raw_output": record["raw_output"],
    }
    for name in _FURTHER:
        shown[name] = record[name]
    shown["cache_hit"] = bool(record["cache_hit"])
    shown["synthetic"] = bool(record["synthetic"])
    shown["extra_fields"] = json.loads(record["extra_fields"]) if record["extra_fields"] else {}
    return shown


_FURTHER = (
    "identifier", "repetition", "status", "billed", "replayed", "avoided", "cached_tokens",
    "reasoning_tokens",
    "latency_ms", "attempts", "finish_reason", "error_class", "error", "served_model", "evaluator",
)  # fmt: skip

_TEXT, _WHOLE, _REAL, _FLAG = "string", "int64", "float64", "bool"
PARQUET_TYPES = {
    "index": _WHOLE, "origin_query": _TEXT, "prompt": _TEXT, "prediction": _TEXT, "ground_truth": _TEXT,
    "score": _REAL, "prompt_tokens": _WHOLE, "completion_tokens": _WHOLE, "cost": _REAL, "raw_output": _TEXT,
    "identifier": _TEXT, "repetition": _WHOLE, "status": _TEXT, "billed": _REAL, "replayed": _REAL,
    "avoided": _REAL, "cached_tokens": _WHOLE, "reasoning_tokens": _WHOLE, "latency_ms": _REAL,
    "attempts": _WHOLE, "finish_reason": _TEXT, "error_class": _TEXT, "error": _TEXT, "served_model": _TEXT,
    "evaluator": _TEXT, "cache_hit": _FLAG, "synthetic": _FLAG, "extra_fields": _TEXT,
}  # fmt: skip


def instant(microseconds: int) -> str:
    """Microseconds since 1970 as ISO 8601 in UTC."""
    return datetime.fromtimestamp(microseconds / 1e6, UTC).isoformat()


def _write_both(journal: Journal, run_id: str, head: dict[str, Any], document: Path, parquet: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    metadata = {"collector": json.dumps(head, ensure_ascii=False)}
    schema = pa.schema(
        [(name, pa.type_for_alias(alias)) for name, alias in PARQUET_TYPES.items()], metadata=metadata
    )
    with (
        document.open("w", encoding="utf-8", errors="backslashreplace") as stream,
        pq.ParquetWriter(parquet, schema, compression="zstd") as writer,
    ):
        opening = json.dumps(head, ensure_ascii=False, indent=1)
        stream.write(f"{opening[:-2]},\n{RECORDS_LINE}\n")
        separator = ""
        for batch in _batches(journal, run_id):
            stream.write(separator + ",\n".join(json.dumps(row, ensure_ascii=False) for row in batch))
            separator = ",\n"
            for row in batch:
                row["extra_fields"] = json.dumps(row["extra_fields"], ensure_ascii=False)
            columns = {name: [_clean(row[name]) for row in batch] for name in PARQUET_TYPES}
            writer.write_table(pa.Table.from_pydict(columns, schema=schema))
        stream.write("\n]\n}\n")


def _clean(value: Any) -> Any:
    """Lone surrogates, which JSON can escape and UTF-8 cannot hold, as question marks."""
    return (
        value.encode("utf-8", "replace").decode() if isinstance(value, str) and not value.isascii() else value
    )


def _batches(journal: Journal, run_id: str) -> Iterator[list[dict[str, Any]]]:
    batch: list[dict[str, Any]] = []
    for record in journal.records(run_id):
        batch.append(document_record(record))
        if len(batch) == BATCH_ROWS:
            yield batch
            batch = []
    if batch:
        yield batch


@contextmanager
def _replacing(target: Path) -> Iterator[Path]:
    """A file beside ``target`` that takes its place, synced, once it is complete."""
    scratch = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        yield scratch
        with scratch.open("rb") as stream:
            os.fsync(stream.fileno())
        scratch.replace(target)
    finally:
        scratch.unlink(missing_ok=True)
