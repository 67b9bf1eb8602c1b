"""Rows of a dataset's files, one at a time: JSON lines, CSV and Parquet, plain or gzipped.

What belongs here: finding the files of a split, reading them as a stream, and their content hash. What does
not: what the rows mean (``datasets``).
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from pipeline.errors import InputError
from pipeline.settings.places import config_directory, data_directory, input_directory

DATASETS_VARIABLE = "PIPELINE_DATASETS_DIR"
"""Environment variable naming the folder of datasets that a user has downloaded."""

LONGEST_LINE = 32 * 1024 * 1024
BATCH_ROWS = 1_000
_CHUNK = 1024 * 1024


class Row(NamedTuple):
    """One row: its file, its number there from 1 (lines of JSONL, records of CSV and Parquet), its columns.

    Where the row cannot be read, ``values`` is None and ``problem`` says why.
    """

    file: str
    number: int
    values: dict[str, Any] | None
    problem: str = ""


def dataset_folders() -> list[Path]:
    """Where relative paths of ``configs/datasets.yaml`` are looked up, the first that has the file wins."""
    named = os.environ.get(DATASETS_VARIABLE)
    folders = [Path(named).expanduser().resolve()] if named else []
    folders += [data_directory() / "datasets", input_directory() / "datasets", config_directory()]
    return list(dict.fromkeys(folders))


def find_files(patterns: tuple[str, ...], what: str, source: str) -> list[Path]:
    """The files of a split in the order of ``patterns``, each pattern's in the order of their names.

    Raises ``InputError`` that says which file is missing, where it may be put and where it comes from.
    """
    found: list[Path] = []
    for pattern in patterns:
        files = _matching(pattern)
        if not files:
            folders = " or ".join(str(folder) for folder in dataset_folders()[:2])
            raise InputError(
                f"Looking for {what}: there is no {pattern}; get it from {source} and put it "
                f"below {folders}, "
                f"or name another folder in {DATASETS_VARIABLE}."
            )
        found += [file for file in files if file not in found]
    return found


def content_hash(files: list[Path]) -> str:
    """SHA-256 over names and bytes of the files, in order."""
    digest = hashlib.sha256()
    for file in files:
        digest.update(file.name.encode())
        try:
            with file.open("rb") as stream:
                while chunk := stream.read(_CHUNK):
                    digest.update(chunk)
        except OSError as error:
            raise _unreadable(file, error) from error
    return digest.hexdigest()


def read_rows(files: list[Path]) -> Iterator[Row]:
    """Every row of the files as a stream; a row that cannot be read is handed out with its problem."""
    for file in files:
        try:
            yield from _reader(file)
        except (OSError, EOFError, UnicodeDecodeError, csv.Error) as error:
            raise _unreadable(file, error) from error


def _matching(pattern: str) -> list[Path]:
    path = Path(pattern).expanduser()
    if path.is_absolute():
        return sorted(path.parent.glob(path.name))
    for folder in dataset_folders():
        files = sorted(folder.glob(pattern)) if folder.is_dir() else []
        if files:
            return files
    return []


def _reader(file: Path) -> Iterator[Row]:
    name = file.name.removesuffix(".gz")
    if name.endswith(".jsonl"):
        return _json_lines(file)
    return _csv_records(file) if name.endswith(".csv") else _parquet_records(file)


def _json_lines(file: Path) -> Iterator[Row]:
    number = 0
    with _opened(file) as stream:
        while line := stream.readline(LONGEST_LINE + 1):
            number += 1
            if len(line) > LONGEST_LINE:
                raise InputError(
                    f"Reading {file.name}: line {number} is longer than {LONGEST_LINE:,} bytes; "
                    "split the file into lines of one JSON object each."
                )
            if line.strip():
                yield _json_row(file.name, number, line)


def _json_row(file: str, number: int, line: bytes) -> Row:
    try:
        values = json.loads(line.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        return Row(file, number, None, f"byte {error.start} is no UTF-8")
    except json.JSONDecodeError as error:
        return Row(file, number, None, f"it is no JSON at column {error.colno} ({error.msg})")
    except RecursionError:
        return Row(file, number, None, "it is nested too deeply")
    if not isinstance(values, dict):
        return Row(file, number, None, f"it is a {type(values).__name__}, not an object")
    return Row(file, number, values)


def _csv_records(file: Path) -> Iterator[Row]:
    csv.field_size_limit(LONGEST_LINE)
    with _opened(file) as stream:
        text = io.TextIOWrapper(stream, encoding="utf-8-sig", newline="")
        reader = csv.reader(text, strict=True)
        header = next(reader, [])
        if len(set(header)) < len(header):
            raise InputError(
                f"Reading {file.name}: its header names a column twice; give every column its own name."
            )
        for number, record in enumerate(reader, start=1):
            if len(record) != len(header):
                yield Row(
                    file.name, number, None, f"it has {len(record)} fields where the header has {len(header)}"
                )
            else:
                yield Row(file.name, number, dict(zip(header, record, strict=True)))


def _parquet_records(file: Path) -> Iterator[Row]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    number = 0
    try:
        with pq.ParquetFile(file) as source:
            for batch in source.iter_batches(batch_size=BATCH_ROWS):
                for values in batch.to_pylist():
                    number += 1
                    yield Row(file.name, number, values)
    except pa.ArrowException as error:
        raise _unreadable(file, error) from error


@contextmanager
def _opened(file: Path) -> Iterator[Any]:
    with gzip.open(file, "rb") if file.name.endswith(".gz") else file.open("rb") as stream:
        yield stream


def _unreadable(file: Path, error: Exception) -> InputError:
    return InputError(f"Reading {file.name}: {error}; mend or replace the file.")
