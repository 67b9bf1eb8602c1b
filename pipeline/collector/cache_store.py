"""The table of answers in SQLite, MySQL or MariaDB: rows in and out, by SQLAlchemy.

What belongs here: connections, the table, batches of rows. What does not: which answers are kept and when
(``cache``). SQLAlchemy is imported on first use. A ``Store`` is used by one thread.

Columns: cache_key (hex), question (hash of what was asked), model, created_at (seconds since 1970, UTC),
parts (zstd JSON), reply (zstd JSON), raw (zstd JSON of the whole response, or null).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from pipeline.errors import ConfigurationError, PipelineError
from pipeline.http_redaction import scrubbed
from pipeline.settings.collector_cache import CacheSettings

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine, Table


class CacheError(PipelineError):
    """The cache of answers cannot be opened or read."""

    retryable = True


class Row(NamedTuple):
    """One stored answer, as the table has it."""

    cache_key: str
    question: str
    model: str
    created_at: float
    parts: bytes
    reply: bytes
    raw: bytes | None


class Database:
    """The engine and the table; ``store`` hands out one thread's way to it."""

    def __init__(self, settings: CacheSettings) -> None:
        from sqlalchemy.engine import make_url

        self._options = settings.options
        self._autocommit = settings.mysql is not None and settings.mysql.autocommit
        url = make_url(settings.resolved_url)
        if url.get_backend_name() in ("mysql", "mariadb") and url.drivername in ("mysql", "mariadb"):
            url = url.set(drivername=f"{url.drivername}+pymysql")
        self.shown = url.render_as_string(hide_password=True)
        self._secrets = (url.password,) if isinstance(url.password, str) else ()
        self.is_sqlite = url.get_backend_name() == "sqlite"
        if self.is_sqlite and (url.database in (None, "", ":memory:")):
            raise ConfigurationError(
                "Opening the cache: a SQLite cache needs a file; write sqlite:////path/file."
            )
        try:
            if self.is_sqlite:
                Path(str(url.database)).parent.mkdir(parents=True, exist_ok=True)
            self._engine = self._make_engine(url)
        except ImportError as error:
            raise ConfigurationError(
                f"Opening the cache {self.shown}: its driver is not installed; install the extra `mysql`."
            ) from error
        except OSError as error:
            raise CacheError(self._sentence("Opening", error)) from error
        self.table = _make_table(self._options.table_name)

    def open(self) -> None:
        """Creates the table and tries a row; raises ``CacheError`` where the cache cannot be used."""
        from sqlalchemy import delete
        from sqlalchemy.exc import SQLAlchemyError

        probe = Row("probe", "probe", "probe", 0.0, b"", b"", None)
        store = self.store()
        try:
            self.table.create(self._engine, checkfirst=True)
            store.write([probe])
            if "probe" not in store.read(["probe"]):
                raise CacheError(
                    f"Opening the cache {self.shown}: a row that was written cannot be read back."
                )
            with self._engine.begin() as connection:
                connection.execute(delete(self.table).where(self.table.c.cache_key == "probe"))
        except (SQLAlchemyError, OSError) as error:
            raise CacheError(self._sentence("Opening", error)) from error
        finally:
            store.close()

    def store(self) -> Store:
        """One thread's way to the table."""
        return Store(
            self._engine, self.table, pooled=self._options.use_connection_pool, is_sqlite=self.is_sqlite
        )

    def close(self) -> None:
        """Closes every pooled connection."""
        self._engine.dispose()

    def say(self, doing: str, error: Exception) -> str:
        """A sentence about a failure, without secrets."""
        return self._sentence(doing, error)

    def _sentence(self, doing: str, error: Exception) -> str:
        detail = scrubbed(str(getattr(error, "orig", None) or error), self._secrets) or type(error).__name__
        return (
            f"{doing} the cache {self.shown}: {detail}; check that the database is there and may be used, "
            "or set cache.enabled: false."
        )

    def _make_engine(self, url: Any) -> Engine:
        from sqlalchemy import create_engine, event
        from sqlalchemy.pool import NullPool, QueuePool

        given: dict[str, Any] = {"poolclass": NullPool}
        if self._options.use_connection_pool:
            given = {
                "poolclass": QueuePool,
                "pool_size": self._options.pool_size,
                "max_overflow": self._options.max_overflow,
                "pool_timeout": self._options.pool_timeout,
                "pool_recycle": self._options.pool_recycle,
                "pool_pre_ping": True,
            }
        if self.is_sqlite:
            engine = create_engine(url, connect_args={"timeout": 30, "check_same_thread": False}, **given)
            event.listen(engine, "connect", _prepare_sqlite)
            return engine
        if self._autocommit:
            given["isolation_level"] = "AUTOCOMMIT"
        return create_engine(url, connect_args={"connect_timeout": 10, "read_timeout": 60}, **given)


class Store:
    """Rows by key. Without a pool one connection stays open and is replaced after an error."""

    def __init__(self, engine: Engine, table: Table, *, pooled: bool, is_sqlite: bool) -> None:
        from sqlalchemy import bindparam, select

        self._engine, self._table, self._pooled = engine, table, pooled
        self._kept: Connection | None = None
        columns = table.c
        self._select = select(columns.cache_key, columns.created_at, columns.reply, columns.raw).where(
            columns.cache_key.in_(bindparam("keys", expanding=True))
        )
        self._upsert = _upsert(table, is_sqlite)

    def read(self, keys: Sequence[str]) -> dict[str, tuple[float, bytes, bytes | None]]:
        """created_at, reply and raw by key, of those that are there."""
        rows = self._run(lambda connection: connection.execute(self._select, {"keys": list(keys)}).all())
        return {row[0]: (row[1], row[2], row[3]) for row in rows}

    def write(self, rows: Iterable[Row]) -> None:
        """Stores rows in one transaction; an older row of a key is replaced."""
        given = [row._asdict() for row in rows]
        if given:
            self._run(lambda connection: connection.execute(self._upsert, given))

    def nearest(self, question: str, model: str, limit: int = 200) -> list[tuple[str, float, bytes]]:
        """key, created_at and parts of rows of the same question or, failing that, of the same model,
        newest first.
        """
        from sqlalchemy import select

        columns = self._table.c
        for column, value in ((columns.question, question), (columns.model, model)):
            query = select(columns.cache_key, columns.created_at, columns.parts).where(column == value)
            query = query.order_by(columns.created_at.desc()).limit(limit)
            rows = self._run(lambda connection, query=query: connection.execute(query).all())
            if rows:
                return [(row[0], row[1], row[2]) for row in rows]
        return []

    def close(self) -> None:
        """Closes the connection that is kept."""
        kept, self._kept = self._kept, None
        if kept is not None:
            kept.close()

    def _run(self, work: Any) -> Any:
        if self._pooled:
            with self._engine.begin() as connection:
                return work(connection)
        connection = self._kept if self._kept is not None else self._engine.connect()
        self._kept = None
        try:
            with connection.begin():
                found = work(connection)
        except BaseException:
            connection.invalidate()
            connection.close()
            raise
        self._kept = connection
        return found


def _make_table(name: str) -> Table:
    from sqlalchemy import Column, Double, LargeBinary, MetaData, String, Table
    from sqlalchemy.dialects.mysql import LONGBLOB

    blob = LargeBinary().with_variant(LONGBLOB(), "mysql", "mariadb")
    return Table(
        name,
        MetaData(),
        Column("cache_key", String(128), primary_key=True),
        Column("question", String(64), nullable=False, index=True),
        Column("model", String(300), nullable=False, index=True),
        Column("created_at", Double, nullable=False),
        Column("parts", blob, nullable=False),
        Column("reply", blob, nullable=False),
        Column("raw", blob),
    )


def _upsert(table: Table, is_sqlite: bool) -> Any:
    if is_sqlite:
        return table.insert().prefix_with("OR REPLACE")
    from sqlalchemy.dialects.mysql import insert

    statement = insert(table)
    return statement.on_duplicate_key_update(
        {column.name: statement.inserted[column.name] for column in table.c if column.name != "cache_key"}
    )


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    # FULL: a commit is on the disk when it returns, not only safe against a crash of this process.
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.close()
