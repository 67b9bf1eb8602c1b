"""Where results lie: ``bench/<dataset>/<split>/<model>/<time>.json``, found, listed and removed.

What belongs here: names that cannot leave the folder, heads of files, the choice of files to remove. What
does not: what stands in a file (``results``).
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from pipeline.documents import parse_json, read_bytes
from pipeline.errors import InputError
from pipeline.settings.places import data_directory

RECORDS_LINE = ' "records": ['
LONGEST_HEAD = 1024 * 1024
LONGEST_NAME = 80

_UNSAFE = re.compile(r"[^A-Za-z0-9._@+-]+", re.ASCII)
_RESERVED = frozenset({"CON", "PRN", "AUX", "NUL"})


@dataclass(frozen=True)
class ResultFile:
    """One result file and its head; ``head`` is empty and ``problem`` says why where it cannot be read."""

    path: Path
    head: dict[str, Any]
    problem: str = ""

    @property
    def written(self) -> date | None:
        """The day the file was written, UTC."""
        try:
            return datetime.fromisoformat(str(self.head.get("written_at"))).date()
        except ValueError:
            return datetime.fromtimestamp(self.path.stat().st_mtime, UTC).date()


def results_directory(output_dir: Path | None = None) -> Path:
    """``output_dir`` where given (relative to the data folder), else ``results`` in the data folder."""
    return data_directory() / (output_dir if output_dir is not None else "results")


def safe_name(name: str) -> str:
    """A name as one path segment: letters, digits and ``._@+-``; a changed name carries a hash of the first.

    No name becomes empty, hidden, ``..`` or longer than 80 characters, and no two names become one.
    """
    plain = _UNSAFE.sub("_", name).lstrip(".")
    stem = plain.split(".")[0].upper()
    if plain == name and plain and len(plain) <= LONGEST_NAME and stem not in _RESERVED:
        return plain
    digest = hashlib.blake2b(name.encode("utf-8", "surrogatepass"), digest_size=5).hexdigest()
    return f"{plain[: LONGEST_NAME - 11].strip('.')}~{digest}"


def result_path(folder: Path, dataset: str, split: str, model: str, written_at: datetime) -> Path:
    """The path of a new result; microseconds keep two results of one second apart."""
    stamp = written_at.astimezone(UTC).strftime("%Y%m%dT%H%M%S_%fZ")
    parts = (safe_name(dataset), safe_name(split), safe_name(model))
    return folder.joinpath("bench", *parts, f"{stamp}.json")


def list_results(
    folder: Path,
    *,
    dataset: str | None = None,
    model: str | None = None,
    since: date | None = None,
    before: date | None = None,
) -> list[ResultFile]:
    """The results below ``folder`` by dataset, model and day written: from ``since`` on, earlier than
    ``before``."""
    found = [_read(path) for path in _paths(folder)]
    return [
        result
        for result in found
        if (dataset is None or result.head.get("dataset_name") == dataset)
        and (model is None or model in {result.head.get("model_name"), result.head.get("api_model_name")})
        and (since is None or (result.written is not None and result.written >= since))
        and (before is None or (result.written is not None and result.written < before))
    ]


def remove_results(results: list[ResultFile], folder: Path) -> int:
    """Remove the files with their Parquet, and folders left empty; returns how many results went."""
    root = (folder / "bench").resolve()
    gone = 0
    for result in results:
        path = result.path.resolve()
        if not path.is_relative_to(root):
            raise InputError(f"Removing {result.path}: it lies outside {root}; nothing outside is removed.")
        for part in (path, path.with_suffix(".parquet")):
            part.unlink(missing_ok=True)
        gone += 1
        for parent in path.parents:
            if parent == root or any(parent.iterdir()):
                break
            parent.rmdir()
    return gone


def _paths(folder: Path) -> Iterator[Path]:
    root = folder / "bench"
    if root.is_dir():
        yield from sorted(path for path in root.glob("*/*/*/*.json") if not path.name.startswith("."))


def _read(path: Path) -> ResultFile:
    try:
        head = _head(path)
    except InputError as error:
        return ResultFile(path, {}, str(error))
    return ResultFile(path, head)


def _head(path: Path) -> dict[str, Any]:
    lines: list[str] = []
    size = 0
    try:
        with path.open(encoding="utf-8", errors="replace") as stream:
            for line in stream:
                if line.rstrip() == RECORDS_LINE:
                    document = json.loads("".join(lines).rstrip().removesuffix(",") + "}")
                    return document if isinstance(document, dict) else {}
                size += len(line)
                if size > LONGEST_HEAD:
                    break
                lines.append(line)
        document = parse_json(read_bytes(path), path.name)  # a file that something else wrote
    except (OSError, ValueError) as error:
        raise InputError(f"Reading {path.name}: {error}; it is no result of this project.") from error
    if not isinstance(document, dict) or "performance" not in document:
        raise InputError(f"Reading {path.name}: it has no performance; it is no result of this project.")
    return {name: value for name, value in document.items() if name != "records"}
