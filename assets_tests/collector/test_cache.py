"""The cache on a SQLite file and on a real MariaDB or MySQL server."""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, text

from assets_tests.services import require_service
from pipeline.collector.cache import Cache, CacheError, CacheStats
from pipeline.collector.exchange import Failure, Reply, Usage
from pipeline.settings.collector_cache import CacheSettings

Make = Callable[..., CacheSettings]
PARTS = {"model": "m", "temperature": 0, "messages": [{"role": "user", "content": "hello"}]}
REPLY = Reply(
    "k",
    text="h\u00e9llo \U0001f600",
    usage=Usage(5, 7, 1, 2),
    raw={"id": 1},
    served_model="m-1",
    finish_reason="stop",
)


@pytest.fixture(params=["sqlite", "mysql", "mysql_pool"])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Make]:
    """Settings of a cache of its own, on each database."""
    if request.param == "sqlite":
        yield lambda **given: CacheSettings.model_validate(
            {"url": f"sqlite:///{tmp_path / 'c.sqlite'}", "store": given.pop("store", {}), **given}
        )
        return
    require_service("MariaDB", "127.0.0.1", 3306)
    table = f"cache_{uuid.uuid4().hex[:12]}"
    base = {"host": "127.0.0.1", "user": "root", "password": "", "database": "test", "table_name": table}
    base |= {"use_connection_pool": request.param == "mysql_pool"}
    yield lambda **given: CacheSettings.model_validate({"mysql": base | given.pop("store", {}), **given})
    engine = create_engine(CacheSettings.model_validate({"mysql": base}).resolved_url)
    with engine.begin() as connection:
        connection.execute(text(f"DROP TABLE IF EXISTS {table}"))
    engine.dispose()


async def put_and_get(
    settings: CacheSettings, *, write: CacheSettings | None = None, reply: Reply = REPLY
) -> tuple[Reply | None, CacheStats]:
    first = Cache(write or settings)
    await first.open()
    first.put("k", PARTS, "m", reply)
    await first.close()
    second = Cache(settings)
    await second.open()
    found, other = await asyncio.gather(second.get("k"), second.get("other"))
    assert other is None
    assert set(await second.get_many(["k", "x"])) <= {"k"}
    await second.close()
    return found, second.stats


def test_an_answer_comes_back_as_it_was(make: Make) -> None:
    found, stats = asyncio.run(put_and_get(make()))
    assert found is not None
    assert (found.text, found.usage, found.served_model, found.finish_reason) == (
        REPLY.text,
        REPLY.usage,
        "m-1",
        "stop",
    )
    assert (found.cache_hit, found.raw, stats.hits, stats.misses) == (True, None, 2, 2)


@pytest.mark.parametrize(
    ("options", "reply", "hit"),
    [
        ({"conditions": {"cache_raw_response": True}}, REPLY, True),
        ({"conditions": {"min_completion_tokens": 8}}, REPLY, False),
        ({"conditions": {"min_completion_tokens": 7}}, REPLY, True),
        ({"force_override_cache": True}, REPLY, False),
        ({}, Reply("k", error=Failure("bad_request", False, "no")), False),
        (
            {"conditions": {"cache_successful_only": False}},
            Reply("k", error=Failure("bad_request", False, "no")),
            True,
        ),
        (
            {"conditions": {"cache_successful_only": False}},
            Reply("k", error=Failure("timeout", True, "no")),
            False,
        ),
    ],
)
def test_conditions(tmp_path: Path, options: dict[str, Any], reply: Reply, hit: bool) -> None:
    settings = CacheSettings.model_validate({"url": f"sqlite:///{tmp_path / 'c.sqlite'}", **options})
    found, _ = asyncio.run(put_and_get(settings, reply=reply))
    assert (found is not None) is hit
    if found is not None and settings.conditions.cache_raw_response:
        assert found.raw == {"id": 1}


def test_an_answer_without_its_raw_response_is_asked_again_where_wanted(make: Make) -> None:
    wanted = make(conditions={"cache_raw_response": True, "refresh_if_missing_raw_response": True})
    found, stats = asyncio.run(put_and_get(wanted, write=make()))
    assert found is None and stats.incomplete == 2


def test_an_old_answer_expires(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    from dataclasses import replace
    from datetime import timedelta

    from pipeline.hours import now

    old = replace(REPLY, received_at=now() - timedelta(hours=2))
    found, stats = asyncio.run(put_and_get(make(store={"ttl_seconds": 3600}), reply=old))
    assert found is None and stats.expired == 2
    found, _ = asyncio.run(put_and_get(make(store={"ttl_seconds": 9000}), reply=old))
    assert found is not None


def test_why_a_request_missed_names_the_field(make: Make) -> None:
    async def missed() -> None:
        cache = Cache(make())
        await cache.open()
        assert "Nothing like it" in cache.why_miss("k2", PARTS, "m").sentence
        cache.put("k", PARTS, "m", REPLY)
        await cache.flush()
        miss = cache.why_miss("k2", PARTS | {"temperature": 1, "seed": 3}, "m")
        assert dict(miss.differing) == {"temperature": ("1", "0"), "seed": ("3", None)}
        assert set(cache.why_miss("k3", PARTS | {"messages": []}, "m").differing) == {"messages"}
        assert "no miss" in cache.why_miss("k", PARTS, "m").sentence
        await cache.close()

    asyncio.run(missed())


def test_a_broken_cache_is_an_error_at_start(tmp_path: Path) -> None:
    broken = tmp_path / "c.sqlite"
    broken.write_bytes(b"this is no database" * 100)
    for settings in (
        CacheSettings(url=f"sqlite:///{broken}"),
        CacheSettings.model_validate(
            {"mysql": {"host": "127.0.0.1", "port": 1, "user": "u", "database": "d"}}
        ),
    ):
        with pytest.raises(CacheError, match="Opening the cache"):
            asyncio.run(Cache(settings).open())


def test_a_cache_that_breaks_later_is_counted_and_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "c.sqlite"

    async def broken() -> CacheStats:
        cache = Cache(CacheSettings(url=f"sqlite:///{path}"))
        await cache.open()
        engine = create_engine(f"sqlite:///{path}")
        with engine.begin() as connection:
            connection.execute(text("DROP TABLE generator_output_cache"))
        engine.dispose()
        cache.put("k", PARTS, "m", REPLY)
        await cache.flush()
        assert await cache.get("k") is None
        await cache.close()
        return cache.stats

    with caplog.at_level(logging.WARNING):
        stats = asyncio.run(broken())
    assert (stats.write_errors, stats.read_errors) == (1, 1)
    assert "The run goes on without it" in caplog.text


@pytest.mark.parametrize(
    ("given", "word"),
    [
        ({"url": "mysql://u:secret@h/d"}, "password"),
        ({"url": "postgresql://h/d"}, "sqlite"),
        ({"mysql": {"database": "d", "password": "hunter2"}}, "environment variable"),
        ({"url": "sqlite:///x", "mysql": {"database": "d"}}, "two databases"),
        ({"conditions": {"refresh_if_missing_raw_response": True}}, "both or neither"),
        ({"key_generator": {"cached_parameters": ["model"]}}, "one answer"),
    ],
)
def test_settings_that_cannot_be_are_refused_without_an_echo(given: dict[str, Any], word: str) -> None:
    with pytest.raises(ValueError, match=word) as refused:
        CacheSettings.model_validate(given)
    assert "secret@" not in str(refused.value) and "hunter2" not in str(refused.value)
