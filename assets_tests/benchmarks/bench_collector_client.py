"""The client with durable cache writes against a bare httpx-over-aiohttp loop, on a stub with 20 ms.

Prints requests a second of both at 32 and at 64 in flight, and their ratio; the stub runs in a process of its own.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import tempfile
import time
from multiprocessing.connection import Connection
from pathlib import Path

import httpx
from httpx_aiohttp import AiohttpTransport

from pipeline.collector.client import Client
from pipeline.collector.exchange import Request
from pipeline.collector.stub.server import StubOptions, serve
from pipeline.settings.collector import CollectorSettings

CHATS = 2000
ROUNDS = 3


def _stub(pipe: Connection) -> None:
    serve(StubOptions(port=0, latency_ms=20), said=pipe.send)


async def _bare(url: str, concurrency: int, run: int) -> float:
    prompts = iter(range(CHATS))
    async with httpx.AsyncClient(transport=AiohttpTransport()) as client:

        async def worker() -> None:
            for number in prompts:
                body = {"model": "m", "messages": [{"role": "user", "content": f"bare {run} {number}"}]}
                answer = await client.post(f"{url}/chat/completions", json=body)
                assert answer.json()["choices"]

        began = time.perf_counter()
        await asyncio.gather(*(worker() for _ in range(concurrency)))
        return CHATS / (time.perf_counter() - began)


async def _ours(url: str, concurrency: int, run: int, folder: Path) -> tuple[float, float]:
    """Requests a second when asked first, and when all come from the cache."""
    settings = CollectorSettings.model_validate(
        {
            "models": [{"name": "m", "base_url": url}],
            "datasets": [{"dataset_id": "d"}],
            "run": {"concurrency": concurrency},
            "cache": {"url": f"sqlite:///{folder / f'{concurrency}-{run}.sqlite'}"},
        }
    )
    model = settings.models[0]
    speeds = []
    for _ in range(2):
        prompts = iter(range(CHATS))
        began = time.perf_counter()
        async with Client(settings) as client:

            async def worker(client: Client = client, prompts: object = prompts) -> None:
                for number in prompts:  # type: ignore[attr-defined]
                    reply = await client.send(Request(model, prompt=f"ours {run} {number}"))
                    assert reply.error is None

            await asyncio.gather(*(worker() for _ in range(concurrency)))
        speeds.append(CHATS / (time.perf_counter() - began))  # until every answer is committed
    return speeds[0], speeds[1]


def main() -> None:
    """Prints a line for each concurrency: the best of three rounds."""
    ours_end, stub_end = multiprocessing.Pipe()
    process = multiprocessing.Process(target=_stub, args=(stub_end,), daemon=True)
    process.start()
    url = ours_end.recv()
    with tempfile.TemporaryDirectory() as folder:
        for concurrency in (32, 64):
            bare = max(asyncio.run(_bare(url, concurrency, run)) for run in range(ROUNDS))
            both = [asyncio.run(_ours(url, concurrency, run, Path(folder))) for run in range(ROUNDS)]
            ours, warm = max(one[0] for one in both), max(one[1] for one in both)
            print(
                f"{concurrency} in flight: bare {bare:,.0f}/s, client with durable cache {ours:,.0f}/s, "
                f"ratio {ours / bare:.2f}; warm {warm:,.0f}/s"
            )
    process.terminate()


if __name__ == "__main__":
    main()
