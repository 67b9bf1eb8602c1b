"""Records to files, in the format they came in.

What belongs here: writing one record after another. What does not: reading them (``inputs``).
"""

from __future__ import annotations

import csv
import itertools
import json
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Any

from pipeline.privacy.inputs import BATCH_ROWS, Numbered


def write_records(records: Iterable[Numbered], form: str, target: str, name: str = "") -> int:
    """Write records in ``form`` to a file or ``-``; how many were written."""
    if form == "parquet":
        return _write_parquet(records, target)
    if target == "-":
        return _write_text(records, form, sys.stdout, name)
    with Path(target).open("w", encoding="utf-8", newline="", errors="surrogateescape") as file:
        return _write_text(records, form, file, name)


def _write_text(records: Iterable[Numbered], form: str, file: IO[str], name: str) -> int:
    count = 0
    writer: csv.DictWriter[str] | None = None
    held: list[Any] = []
    for item in records:
        count += 1
        if form == "text":
            file.write(str(item.record) + item.ending)
        elif form == "jsonl":
            file.write(json.dumps(item.record, ensure_ascii=False, default=str) + "\n")
        elif form == "json":
            held.append(item.record)
        else:
            if writer is None:
                delimiter = "\t" if name.lower().endswith(".tsv") else ","
                writer = csv.DictWriter(
                    file, list(item.record), extrasaction="ignore", delimiter=delimiter, lineterminator="\n"
                )
                writer.writeheader()
            writer.writerow(item.record)
    if form == "json":
        file.write(json.dumps(held, ensure_ascii=False, default=str) + "\n")
    return count


def _write_parquet(records: Iterable[Numbered], target: str) -> int:
    """In pieces of ``BATCH_ROWS`` kept beside each other until every column's type is known."""
    import polars as pl

    with tempfile.TemporaryDirectory(prefix="pipeline-privacy-") as folder:
        count = 0
        parts: list[Path] = []
        schemas: list[pl.DataFrame] = []
        for piece in _pieces(records):
            part = Path(folder) / f"{len(parts)}.parquet"
            frame = _frame(piece)
            frame.write_parquet(part)
            parts.append(part)
            schemas.append(frame.clear())
            count += len(piece)
        whole = pl.concat(schemas, how="diagonal_relaxed") if schemas else pl.DataFrame()
        if target == "-":
            _join(parts, whole, sys.stdout.buffer)
        else:
            with Path(target).open("wb") as file:
                _join(parts, whole, file)
    return count


def _pieces(records: Iterable[Numbered]) -> Iterator[list[Any]]:
    rest = iter(records)
    while piece := [item.record for item in itertools.islice(rest, BATCH_ROWS)]:
        yield piece


def _frame(rows: list[Any]) -> Any:
    import polars as pl

    names = list(dict.fromkeys(name for row in rows for name in row))
    return pl.DataFrame({name: _column(name, [row.get(name) for row in rows]) for name in names})


def _join(parts: list[Path], whole: Any, file: IO[bytes]) -> None:
    """The pieces as row groups of one file with the columns of ``whole``."""
    import polars as pl
    import pyarrow.parquet

    with pyarrow.parquet.ParquetWriter(file, whole.to_arrow().schema) as writer:
        for part in parts:
            piece = pl.concat([whole, pl.read_parquet(part)], how="diagonal_relaxed").select(whole.columns)
            writer.write_table(piece.to_arrow().cast(writer.schema))


def _column(name: str, values: list[Any]) -> Any:
    """A column of one type: where a number became a placeholder, all become text."""
    import polars as pl

    kinds = {type(value) for value in values if value is not None}
    if str in kinds and len(kinds) > 1:
        values = [value if value is None or isinstance(value, str) else str(value) for value in values]
    return pl.Series(name, values, strict=False)
