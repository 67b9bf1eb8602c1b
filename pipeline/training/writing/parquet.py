"""Rows to Parquet shards and back, the same bytes for the same rows.

What belongs here: Arrow types, fixed settings, the features as the dataset card states them. What does not:
what the rows say.

Tool calls vary from row to row, and Parquet would give every call the arguments of all others as nulls. So a
call is stored as JSON text, declared as ``json`` in the card and in the file, and ``datasets`` hands out
objects.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.training.writing.rows import Row

ROWS_PER_GROUP = 5_000
_OPTIONAL = ("name", "reasoning_content", "tool_calls", "tool_call_id")

ORDER = (
    *("data_source", "messages", "input", "prompt", "completion", "chosen", "rejected"),
    *("preferred_output", "non_preferred_output", "margin", "tools", "score", "label", "ability", "style"),
    *("ground_truth", "reference", "split", "index", "reference_score", "mean_score", "reward_model"),
    *("extra_info", "attempts"),
)
"""The order of columns and of keys in structures: that of rows, also where the first rows lack some."""

ATIF_COLUMNS = pa.schema(
    [
        ("trajectory_id", pa.string()),
        ("agent", pa.string()),
        ("steps", pa.int64()),
        ("trajectory", pa.string()),
    ]
)
"""An ATIF document is one JSON text in its row: its keys vary too much for columns."""


def schema_of(kind: str, rows: Sequence[Row]) -> pa.Schema:
    """The Arrow schema of rows of one kind: every column that occurs, messages with every key that occurs."""
    if kind == "atif":
        return ATIF_COLUMNS
    names = _in_order(rows)
    return pa.schema([(name, _column([row.get(name) for row in rows], kind)) for name in names])


def _in_order(values: Sequence[Row]) -> list[str]:
    return sorted({name for value in values for name in value}, key=ORDER.index)


def _column(values: list[Any], kind: str) -> pa.DataType:
    known = [value for value in values if value is not None]
    first = known[0] if known else ""
    if isinstance(first, bool):
        return pa.bool_()
    if isinstance(first, int) and all(isinstance(value, int) for value in known):
        return pa.int64()
    if isinstance(first, int | float):
        return pa.float64()
    if isinstance(first, str):
        return pa.string()
    if isinstance(first, list):
        return pa.list_(_messages(known, kind)) if "role" in first[0] else pa.list_(pa.string())
    return pa.struct([(key, _column([value.get(key) for value in known], kind)) for key in _in_order(known)])


def _messages(lists: list[Any], kind: str) -> pa.DataType:
    used = {key for messages in lists for message in messages for key in message}
    call = pa.string()
    if kind.startswith("openai"):
        function = pa.struct([("name", pa.string()), ("arguments", pa.string())])
        call = pa.struct([("id", pa.string()), ("type", pa.string()), ("function", function)])
    fields = [("role", pa.string()), ("content", pa.string())]
    return pa.struct(
        fields
        + [(key, pa.list_(call) if key == "tool_calls" else pa.string()) for key in _OPTIONAL if key in used]
    )


def features_of(schema: pa.Schema) -> list[dict[str, Any]]:
    """The schema as the card's ``dataset_info.features``; lists of JSON texts are declared as ``json``."""
    return [{"name": field.name, **_feature(field.type, field.name)} for field in schema]


def _feature(kind: pa.DataType, name: str) -> dict[str, Any]:
    if pa.types.is_struct(kind):
        return {"struct": [{"name": part.name, **_feature(part.type, part.name)} for part in kind]}
    if not pa.types.is_list(kind):
        return {"dtype": _plain(kind)}
    inner = kind.value_type
    if pa.types.is_struct(inner):
        return {"list": [{"name": part.name, **_feature(part.type, part.name)} for part in inner]}
    return {"list": "json" if name in ("tool_calls", "tools") else _plain(inner)}


def _plain(kind: pa.DataType) -> str:
    return {"double": "float64"}.get(str(kind), str(kind))


def _declared(schema: pa.Schema) -> pa.Schema:
    """The schema with the features as ``datasets`` reads them from a Parquet file."""
    features = {field.name: _as_datasets(field.type, field.name) for field in schema}
    info = json.dumps({"info": {"features": features}})
    return schema.with_metadata({"huggingface": info})


def _as_datasets(kind: pa.DataType, name: str) -> Any:
    if pa.types.is_struct(kind):
        return {part.name: _as_datasets(part.type, part.name) for part in kind}
    if pa.types.is_list(kind):
        inner = kind.value_type
        if pa.types.is_string(inner) and name in ("tool_calls", "tools"):
            return {"feature": {"_type": "Json"}, "_type": "List"}
        return {"feature": _as_datasets(inner, ""), "_type": "List"}
    return {"dtype": _plain(kind), "_type": "Value"}


def stored(kind: str, row: Row) -> Row:
    """The row as it stands in Parquet: calls, lists of tools and ATIF documents as JSON text."""
    if kind == "atif":
        return {
            "trajectory_id": row["trajectory_id"],
            "agent": row["agent"]["name"],
            "steps": len(row["steps"]),
            "trajectory": _dump(row),
        }
    return {name: _stored(kind, name, value) for name, value in row.items()}


def _stored(kind: str, name: str, value: Any) -> Any:
    if name == "tools" and isinstance(value, list):
        return [_dump(tool) for tool in value]
    if name == "input":
        return {key: _stored(kind, key, part) for key, part in value.items()}
    if isinstance(value, list) and not kind.startswith("openai"):
        return [
            {**message, "tool_calls": [_dump(call) for call in message["tool_calls"]]}
            if "tool_calls" in message
            else message
            for message in value
        ]
    return value


def restored(kind: str, row: Row) -> Row:
    """The row that ``stored`` made this of, but for keys whose value is null."""
    if kind == "atif":
        document: Row = json.loads(row["trajectory"])
        return document
    return {name: _restored(name, value) for name, value in row.items()}


def _restored(name: str, value: Any) -> Any:
    if name in ("tools", "tool_calls") and isinstance(value, list):
        return [json.loads(part) if isinstance(part, str) else part for part in value]
    if isinstance(value, dict):
        return {key: _restored(key, part) for key, part in value.items()}
    if isinstance(value, list):
        return [_restored("", part) for part in value]
    return value


def _dump(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def write_shards(
    folder: Path, split: str, kind: str, rows: Sequence[Row], *, schema: pa.Schema, shard_rows: int
) -> list[Path]:
    """Write ``<split>-0000N-of-0000M.parquet`` and return their paths."""
    count = max(1, -(-len(rows) // shard_rows))
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for number in range(count):
        part = rows[number * shard_rows : (number + 1) * shard_rows]
        table = pa.Table.from_pylist([stored(kind, row) for row in part], schema=_declared(schema))
        path = folder / f"{split}-{number:05d}-of-{count:05d}.parquet"
        pq.write_table(
            table,
            path,
            compression="zstd",
            compression_level=3,
            version="2.6",
            data_page_version="1.0",
            row_group_size=ROWS_PER_GROUP,
            use_dictionary=True,
        )
        written.append(path)
    return written


def read_shards(paths: Sequence[Path], kind: str) -> Iterator[Row]:
    """The rows of shards in order, as they were before they were stored, with nulls."""
    for path in paths:
        file = pq.ParquetFile(path)
        for batch in file.iter_batches(batch_size=1_000):
            for row in batch.to_pylist():
                yield restored(kind, row)
