"""Records to files, in the format they came in.

What belongs here: writing one record after another. What does not: reading them (``inputs``).
"""

from __future__ import annotations

import csv
import errno
import io
import itertools
import json
import os
import re
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Any

from pipeline.errors import PipelineError
from pipeline.privacy.inputs import BATCH_ROWS, BEYOND, Numbered


class OutputError(PipelineError):
    """A file could not be written to its end."""

    retryable = True


def write_records(records: Iterable[Numbered], form: str, target: str, name: str = "") -> int:
    """Write records in ``form`` to a file or ``-``; how many were written.

    A file takes its name when it is whole, so a run that fails leaves what stood there. Raises ``OutputError``
    where it cannot be written.
    """
    if target == "-":
        if isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(encoding="utf-8", errors="surrogateescape", newline="")
        count = _write(records, form, sys.stdout.buffer if form == "parquet" else sys.stdout, name)
        sys.stdout.flush()
        return count
    path = Path(target)
    if path.exists() and not path.is_file():
        return _write_file(records, form, path, name)  # a device or a pipe: nothing to put in its place
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        count = _write_file(records, form, part, name, shown=path)
        _replace(part, path)
    finally:
        part.unlink(missing_ok=True)
    return count


def _replace(part: Path, path: Path) -> None:
    try:
        part.replace(path)
    except OSError as error:
        raise _refused(path, error) from error


def _refused(path: Path, error: OSError) -> OutputError:
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    advice = "make room and run it again" if full else "name a file that can be written"
    return OutputError(f"Writing {path.name or path}: {error.strerror}; nothing whole was written; {advice}.")


def _write_file(
    records: Iterable[Numbered], form: str, path: Path, name: str, *, shown: Path | None = None
) -> int:
    try:
        if form == "parquet":
            with path.open("wb") as whole:
                return _write(records, form, whole, name)
        with path.open("w", encoding="utf-8", newline="", errors="surrogateescape") as file:
            return _write(records, form, file, name)
    except OSError as error:
        raise _refused(shown or path, error) from error


def _write(records: Iterable[Numbered], form: str, file: IO[Any], name: str) -> int:
    return _write_parquet(records, file) if form == "parquet" else _write_text(records, form, file, name)


def _write_text(records: Iterable[Numbered], form: str, file: IO[str], name: str) -> int:
    count = 0
    names: list[str] | None = None
    rows = csv.writer(file, delimiter="\t" if name.lower().endswith(".tsv") else ",", lineterminator="\n")
    held: list[Any] = []
    for item in records:
        count += 1
        if form == "text":
            file.write(str(item.record) + item.ending)
        elif form == "jsonl":
            file.write(_as_json(item.record) + "\n")
        elif form == "json":
            held.append(item.record)
        else:
            if names is None:
                names = [name for name in item.record if name != BEYOND]
                rows.writerow(names)
            rows.writerow([*(item.record.get(name) for name in names), *(item.record.get(BEYOND) or ())])
    if form == "json":
        file.write(_as_json(held) + "\n")
    return count


def _as_json(value: Any) -> str:
    """Readable JSON; where half of a surrogate pair stands in it, escapes, because UTF-8 cannot write one."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    if _SURROGATE.search(text) is None:
        return text
    return json.dumps(value, default=str)


_SURROGATE = re.compile("[\ud800-\udfff]")


def _write_parquet(records: Iterable[Numbered], file: IO[bytes]) -> int:
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
