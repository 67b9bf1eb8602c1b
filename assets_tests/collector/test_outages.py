"""What fails around a whole run: the cache's server, a name's addresses, missing keys."""

from __future__ import annotations

import asyncio
import json
import logging
import socket
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, text

from assets_tests.collector.commands import Commands, stubbed
from assets_tests.services import require_service
from pipeline.collector.client import Client
from pipeline.collector.exchange import Reply, Request
from pipeline.collector.stub.server import Stub
from pipeline.settings.collector import CollectorSettings


@pytest.fixture
def table() -> Iterator[str]:
    """The name of a table of MariaDB and of a user that may do all in its database; both go afterwards."""
    require_service("MariaDB", "127.0.0.1", 3306)
    name = f"cache_{uuid.uuid4().hex[:12]}"
    execute(f"CREATE USER {name}@'%'")
    execute(f"GRANT ALL ON test.* TO {name}@'%'")
    yield name
    execute(f"DROP TABLE IF EXISTS {name}")
    execute(f"DROP USER {name}@'%'")


def execute(statement: str) -> list[Any]:
    engine = create_engine("mysql+pymysql://root@127.0.0.1:3306/test")
    with engine.begin() as connection:
        found = connection.execute(text(statement))
        rows = [tuple(row) for row in found] if found.returns_rows else []
    engine.dispose()
    return rows


def on_mariadb(place: Commands, table: str, **options: Any) -> None:
    place.settings["cache"]["mysql"] = {
        "host": "127.0.0.1", "user": table, "password": "", "database": "test", "table_name": table,
        **options,
    }  # fmt: skip


@pytest.mark.parametrize("pool", [False, True])
def test_a_whole_run_is_cached_in_mariadb(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, table: str, pool: bool
) -> None:
    with stubbed() as (stub, url):
        place = Commands(tmp_path, monkeypatch, url)
        on_mariadb(place, table, use_connection_pool=pool)
        place.run()
        again = place.run("--overwrite")
        assert stub.outcomes.total() == 6
    assert again["counts"]["cache_hits"] == 6
    assert execute(f"SELECT count(*) FROM {table}") == [(6,)]


def test_connections_to_the_cache_killed_midway_are_said_and_the_run_completes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, table: str, caplog: pytest.LogCaptureFixture
) -> None:
    original, killed = Stub._said, []

    def said(self: Stub, *given: Any) -> Any:
        if self.outcomes.total() == 100:
            found = execute(f"SELECT id FROM information_schema.processlist WHERE user = '{table}'")
            for (number,) in found:
                execute(f"KILL CONNECTION {number}")
                killed.append(number)
        return original(self, *given)

    monkeypatch.setattr(Stub, "_said", said)
    with stubbed() as (stub, url), caplog.at_level(logging.WARNING):
        place = Commands(tmp_path, monkeypatch, url)
        place.rows([{"a": number, "answer": number + 1} for number in range(1, 401)])
        on_mariadb(place, table)
        result = place.run()
        assert stub.outcomes["answered"] == 400
    assert killed, "the run had connections to lose"
    assert result["status"] == "complete" and len(result["records"]) == 400
    assert "The run goes on without it" in caplog.text
    ((kept,),) = execute(f"SELECT count(*) FROM {table}")
    assert 200 < kept <= 400, "new connections took over"


def test_a_name_that_changes_to_a_private_address_is_refused_where_it_is_connected(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    resolved: list[str] = []
    addresses = iter(["93.184.215.14"])

    async def resolve(_self: object, host: str, port: int, **_: Any) -> list[tuple[Any, ...]]:
        address = next(addresses, "10.0.0.7")
        resolved.append(address)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

    monkeypatch.setattr(asyncio.base_events.BaseEventLoop, "getaddrinfo", resolve)
    connected: list[str] = []

    async def connect(_self: object, _factory: object, host: object = None, *_: Any, **given: Any) -> Any:
        connected.append(str(host or given.get("sock")))
        raise ConnectionRefusedError(111, "refused")

    monkeypatch.setattr(asyncio.base_events.BaseEventLoop, "create_connection", connect)
    monkeypatch.setattr(asyncio.selector_events.BaseSelectorEventLoop, "sock_connect", connect)
    settings = CollectorSettings.model_validate(
        {
            "models": [{"name": "m", "base_url": "https://models.example/v1", "timeout": 5}],
            "datasets": [{"dataset_id": "d"}],
            "run": {"retries": 0},
            "cache": {"enabled": False},
        }
    )

    async def asked() -> list[Reply]:
        replies = []
        for _ in range(2):
            async with Client(settings) as client:
                replies.append(await client.send(Request(settings.models[0], prompt="hello")))
        return replies

    classes = [reply.error.error_class for reply in asyncio.run(asked()) if reply.error]
    assert resolved[0] == "93.184.215.14" and resolved[-1] == "10.0.0.7"
    assert classes == ["connection_failed", "forbidden_address"]
    assert len(connected) == 1, "the private address is never connected to"


def test_a_plan_needs_no_keys_and_names_those_that_are_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("INVENTED_KEY", raising=False)
    with stubbed() as (stub, url):
        place = Commands(tmp_path, monkeypatch, url)
        place.settings["models"][0] |= {
            "api_key": "INVENTED_KEY",
            "extra_headers": {"X-Team": "$INVENTED_TEAM"},
        }
        done = place.call("plan", "--json")
        assert done.exit_code == 0 and json.loads(done.stdout)[0]["to_send"] == 6
        assert "set INVENTED_KEY, INVENTED_TEAM in the environment" in done.stderr
        refused = place.call("run", "--quiet")
        assert refused.exit_code == 1 and "INVENTED_KEY is not set" in str(refused.exception)
        assert stub.outcomes.total() == 0
