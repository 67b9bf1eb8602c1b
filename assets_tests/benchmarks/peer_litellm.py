"""litellm on the benchmark's chats, run by the Python of an environment of its own.

    python peer_litellm.py PORT CHATS CONCURRENCY FOLDER

Prints {"cold": chats a second, "warm": the same again, answered by its cache on disk}. Stands alone: nothing of
this project is imported.
"""

import asyncio
import json
import sys
import time

import litellm
from litellm.caching.caching import Cache


async def asked(port: int, chats: int, concurrency: int, first: int = 1) -> float:
    """Chats a second."""
    numbers = iter(range(first, first + chats))

    async def worker() -> None:
        for number in numbers:
            answer = await litellm.acompletion(
                model="openai/adder",
                api_base=f"http://127.0.0.1:{port}/v1",
                api_key="none",
                messages=[{"role": "user", "content": f"What is {number} + 1?"}],
                max_tokens=16,
                caching=True,
            )
            assert answer.choices[0].message.content

    began = time.perf_counter()
    await asyncio.gather(*(worker() for _ in range(concurrency)))
    return chats / (time.perf_counter() - began)


async def main(port: int, chats: int, concurrency: int, folder: str) -> None:
    litellm.suppress_debug_info = True
    litellm.telemetry = False
    litellm.cache = Cache(type="disk", disk_cache_dir=folder)
    for first in (10_000_000, 10_000_000):  # what is imported and opened once is not measured
        await asked(port, 20, concurrency, first)
    cold = await asked(port, chats, concurrency)
    await asyncio.sleep(1)  # its writes to the cache run beside the answers
    warm = await asked(port, chats, concurrency)
    print(json.dumps({"cold": cold, "warm": warm}))


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]))
