"""Reading the tables of schema ``training`` for examples: who stands where, then the texts of what was
chosen.

What belongs here: brief connections, frames, and ``Texts`` by id. What does not: choosing (``selecting``),
rows (one module per kind). No connection is held while rows are made.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import duckdb
import polars as pl

from pipeline.settings.exports import Criteria
from pipeline.training import tables
from pipeline.training.examples import statements
from pipeline.warehouse.statements import existing_columns
from pipeline.warehouse.store import Warehouse

FOREVER = datetime(9999, 1, 1, tzinfo=UTC)
"""The end of time, where no hour bounds what may be read."""

_TABLES = {table.table_name: table for table in tables.RECORDS}

# A computed table of an export must not be taken for its input.
_OUTPUTS = ("training.exports",)


@dataclass
class Texts:
    """The texts of chosen records: outputs by artifact, inputs and spans by attempt, contents by hash."""

    outputs: dict[str, dict[str, Any]] = field(default_factory=dict)
    inputs: dict[str, dict[str, Any]] = field(default_factory=dict)
    spans: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    contents: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Records:
    """The training records of a warehouse before the instant ``until``."""

    warehouse: Warehouse
    until: datetime = FOREVER

    def state(self) -> str:
        """SHA-256 that stands for the content of all training tables; the same where nothing changed."""
        if not self.warehouse.path.exists():
            return hashlib.sha256(b"").hexdigest()
        with self.warehouse.reading() as connection:
            known = connection.execute(
                "SELECT count(*) FROM information_schema.tables "
                "WHERE table_schema = 'ledger' AND table_name = 'hours'"
            ).fetchone()
            rows = (
                connection.execute(statements.STATE, {"until": self.until}).fetchall()
                if known and known[0]
                else []
            )
        kept = [row for row in rows if row[0] not in _OUTPUTS]
        return hashlib.sha256(json.dumps(kept, default=str).encode()).hexdigest()

    def artifacts(self, criteria: Criteria) -> pl.DataFrame:
        """One row per artifact, without texts (``statements.ARTIFACTS``)."""
        return self._frame(
            statements.ARTIFACTS,
            {**_judging(criteria), "seed": f"{criteria.seed}:"},
        ).sort("artifact_id")

    def comparisons(self, criteria: Criteria) -> list[dict[str, Any]]:
        """Every comparison, its ranking parsed."""
        rows = self._frame(statements.COMPARISONS, _judging(criteria)).to_dicts()
        return [{**row, "ranking": json.loads(row["ranking"])} for row in rows]

    def locks(self, criteria: Criteria) -> pl.DataFrame:
        """Every lock and release, oldest first."""
        return self._frame(statements.LOCKS, {"synthetic": criteria.include_synthetic})

    def texts(self, chosen: pl.DataFrame, *, spans: bool = False, into: Texts | None = None) -> Texts:
        """The texts of the artifacts in ``chosen`` (columns artifact_id, attempt_id, …_hash), over one
        connection.
        """
        texts = into or Texts()
        texts.outputs, texts.inputs, texts.spans = {}, {}, {}
        with self._connection() as connection:
            outputs = self._wanted(connection, statements.OUTPUTS, chosen["artifact_id"])
            texts.outputs = {row["artifact_id"]: row for row in outputs.iter_rows(named=True)}
            attempts = chosen["attempt_id"].drop_nulls().unique().sort()
            inputs = self._wanted(connection, statements.INPUTS, attempts)
            texts.inputs = {row["attempt_id"]: row for row in inputs.iter_rows(named=True)}
            if spans:
                for row in self._wanted(connection, statements.SPANS, attempts).iter_rows(named=True):
                    texts.spans.setdefault(row["attempt_id"], []).append(row)
            hashes = _hashes(chosen, texts.inputs.values()) - set(texts.contents)
            if hashes:
                contents = self._wanted(connection, statements.CONTENTS, pl.Series(sorted(hashes)))
                texts.contents.update(zip(contents["hash"], contents["text"], strict=True))
        return texts

    def _frame(self, statement: str, values: dict[str, Any]) -> pl.DataFrame:
        with self._connection() as connection:
            return self._run(connection, statement, values)

    @contextmanager
    def _connection(self) -> Iterator[duckdb.DuckDBPyConnection]:
        if self.warehouse.path.exists():
            with self.warehouse.reading() as connection:
                yield connection
            return
        connection = duckdb.connect()
        try:
            connection.execute("SET TimeZone = 'UTC'")
            yield connection
        finally:
            connection.close()

    def _run(
        self, connection: duckdb.DuckDBPyConnection, statement: str, values: dict[str, Any]
    ) -> pl.DataFrame:
        names = {}
        for name, table in _TABLES.items():
            if "{" + name + "}" not in statement:
                continue
            names[name] = table.name
            if not existing_columns(connection, table):
                names[name] = f"no_{name}"
                connection.register(names[name], table.empty())
        return connection.execute(statement.format(**names), {"until": self.until, **values}).pl()

    def _wanted(
        self, connection: duckdb.DuckDBPyConnection, statement: str, identifiers: pl.Series
    ) -> pl.DataFrame:
        connection.register("wanted", pl.DataFrame({"id": identifiers.cast(pl.String)}))
        rows = self._run(connection, statement, {})
        connection.unregister("wanted")
        return rows


def _judging(criteria: Criteria) -> dict[str, Any]:
    return {"evaluators": list(criteria.evaluators), "synthetic": criteria.include_synthetic}


def _hashes(chosen: pl.DataFrame, inputs: Iterable[dict[str, Any]]) -> set[str]:
    """The stored contents that the chosen artifacts' agents and attempts name."""
    found: set[str] = set()
    for column in ("system_prompt_hash", "tools_hash"):
        found.update(chosen[column].drop_nulls().unique())
    for row in inputs:
        if row["context_documents"] != "[]":
            found.update(document["hash"] for document in json.loads(row["context_documents"]))
    return found
