"""Whole collector runs against a loopback server: cold beside a bare httpx-over-aiohttp loop, warm, and memory.

    python -m assets_tests.benchmarks.bench_collector_runner [--chats 2000] [--rounds 3] [--records 100000]
    python -m assets_tests.benchmarks.bench_collector_runner --peers [--environments FOLDER]

Cold: every chat is sent, its record committed with a sync, results written; the bare loop posts the same bodies and
reads the same answers and does nothing else. The server waits 20 ms. Warm: the same run begun anew, every answer
from the cache, results written. Memory: peak resident size of a process that runs so many records through the
runner, journal and results. Goals: 0.75x the bare loop at 32, 0.45x at 64; 5,000 records a second warm; 1 GB.

Peers: the same chats at 32 through litellm and inspect_ai, each in an environment of its own that pip makes in
FOLDER (a temporary one unless given, which is kept), then again from their own caches on disk. Goals: 4x litellm
and 15x inspect_ai cold, 12x the better of them warm.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from assets_tests.collector.test_processes import Place, server


async def bare(port: int, chats: int, concurrency: int) -> float:
    """Requests a second of a loop that only sends and reads."""
    import httpx
    from httpx_aiohttp import AiohttpTransport

    numbers = iter(range(1, chats + 1))
    url = f"http://127.0.0.1:{port}/v1/chat/completions"

    async def worker(client: httpx.AsyncClient) -> None:
        for number in numbers:
            body = {
                "model": "adder",
                "messages": [{"role": "user", "content": f"What is {number} + 1?"}],
                "max_tokens": 16,
            }
            answer = await client.post(url, json=body)
            json.loads(answer.content)

    async with httpx.AsyncClient(transport=AiohttpTransport(), timeout=60) as client:
        began = time.perf_counter()
        await asyncio.gather(*(worker(client) for _ in range(concurrency)))
        return chats / (time.perf_counter() - began)


def whole(place: Place, *options: str) -> tuple[float, dict[str, object]]:
    """Records a second of ``pipeline collect run`` in this process, without the start of Python."""
    from pipeline.collector.collecting import collect, prepare
    from pipeline.collector.running import Progress
    from pipeline.collector.setup import Choice

    os.environ["PIPELINE_DATA_DIR"], os.environ["PIPELINE_CONFIG_DIR"] = str(place.data), str(place.configs)
    began = time.perf_counter()
    collection = prepare(None, Choice(overwrite="--overwrite" in options))
    (outcome,) = asyncio.run(collect(collection, Progress()))
    seconds = time.perf_counter() - began
    assert outcome.status == "complete" and outcome.result is not None
    head = json.loads(outcome.result.read_text(encoding="utf-8"))
    return len(head["records"]) / seconds, head["counts"]


def cold_and_warm(folder: Path, port: int, chats: int, rounds: int) -> None:
    whole(Place(folder / "imports", port, 20, cache=True))  # what is imported once is not measured
    for concurrency in (32, 64):
        ratios, best, best_bare = [], 0.0, 0.0
        for attempt in range(rounds):
            place = Place(
                folder / f"{concurrency}-{attempt}", port, chats, cache=True, concurrency=concurrency
            )
            loop = asyncio.run(bare(port, chats, concurrency))
            ours, _ = whole(place)
            ratios.append(ours / loop)
            best, best_bare = max(best, ours), max(best_bare, loop)
        shown = ", ".join(f"{ratio:.2f}" for ratio in ratios)
        print(
            f"cold, {concurrency} at once: best {best:,.0f}/s beside bare {best_bare:,.0f}/s; ratios {shown}"
        )
    for _ in range(rounds):
        rate, counts = whole(place, "--overwrite")
        print(f"warm, {chats} records: {rate:,.0f}/s, {counts['cache_hits']} from the cache")
    large = Place(folder / "large", port, 5 * chats, cache=True, concurrency=64)
    whole(large)
    for _ in range(rounds):
        rate, _counts = whole(large, "--overwrite")
        print(f"warm, {5 * chats} records: {rate:,.0f}/s")


def memory(records: int) -> None:
    """Run in a process of its own: records through reader, runner, journal, results, with answers of 2 KB."""
    from dataclasses import replace

    from assets_tests.collector.runs import TableAsker, plan, right, sums
    from pipeline.collector.journal import Journal
    from pipeline.collector.running import Progress, run_plans

    with tempfile.TemporaryDirectory() as name:
        journal = Journal(Path(name) / "collector" / "journal.sqlite")
        made = plan(sums(Path(name), records), journal)
        filler = "because " * 250
        asker = TableAsker(
            lambda item: replace(right(item), text=f"{filler}\n#### {item.index + 1}", reused=True)
        )
        asker.asked = _Forgetful()
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        began = time.perf_counter()
        (outcome,) = asyncio.run(
            run_plans([made], asker, journal, Path(name) / "results", Progress(), concurrency=32)
        )
        seconds = time.perf_counter() - began
        assert outcome.result is not None
        size = outcome.result.stat().st_size
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        print(
            f"{records:,} records ({size / 1e6:,.0f} MB of JSON): peak {peak / 1024:,.0f} MB "
            f"(before {before / 1024:,.0f}), {records / seconds:,.0f}/s"
        )


PEERS = {
    "litellm": ("peer_litellm.py", "litellm[caching,proxy]==1.106.2", 4.0),
    "inspect_ai": ("peer_inspect.py", "inspect-ai==0.3.285 openai==3.52.0", 15.0),
}
"""Script, what pip installs, and how many times faster the collector is to be."""


def environment(folder: Path, name: str, requirements: str) -> Path:
    """The Python of the peer's own environment, made where it is not there yet."""
    python = folder / name / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", str(folder / name)], check=True)
        install = [str(python), "-m", "pip", "install", "--quiet", *requirements.split()]
        subprocess.run(install, check=True)
    return python


def peers(folder: Path, environments: Path, port: int, chats: int, rounds: int) -> None:
    whole(Place(folder / "imports", port, 20, cache=True))
    best: dict[str, dict[str, float]] = {name: {"cold": 0.0, "warm": 0.0} for name in ("collector", *PEERS)}
    pythons = {name: environment(environments, name, needs) for name, (_, needs, _) in PEERS.items()}
    variables = {**os.environ, "LITELLM_LOCAL_MODEL_COST_MAP": "True"}  # no fetch of its price list
    for attempt in range(rounds):
        place = Place(folder / f"peers-{attempt}", port, chats, cache=True, concurrency=32)
        found = {"collector": {"cold": whole(place)[0], "warm": whole(place, "--overwrite")[0]}}
        for name, (script, _, _) in PEERS.items():
            own = folder / f"{name}-{attempt}"
            command = [str(pythons[name]), "-P", str(Path(__file__).with_name(script))]
            command += [str(port), str(chats), "32", str(own)]
            done = subprocess.run(
                command, check=True, text=True, stdout=subprocess.PIPE, cwd=folder, env=variables
            )
            found[name] = json.loads(done.stdout.splitlines()[-1])
        for name, rates in found.items():
            print(f"{name}: cold {rates['cold']:,.0f}/s, warm {rates['warm']:,.0f}/s")
            best[name] = {kind: max(best[name][kind], rate) for kind, rate in rates.items()}
    ours = best["collector"]
    for name, (_, _, goal) in PEERS.items():
        ratio = ours["cold"] / best[name]["cold"]
        print(f"best against best, cold: {ratio:.1f} times {name} (goal {goal:.0f})")
    ratio = ours["warm"] / max(best[name]["warm"] for name in PEERS)
    print(f"best against best, warm: {ratio:.1f} times the better peer (goal 12)")


class _Forgetful(list[tuple[str, int, int]]):
    def append(self, _: tuple[str, int, int]) -> None:
        """What was asked is not kept here."""


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--chats", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--records", type=int, default=100_000)
    parser.add_argument("--memory", action="store_true")
    parser.add_argument("--peers", action="store_true")
    parser.add_argument("--environments", type=Path)
    options = parser.parse_args()
    if options.memory:
        memory(options.records)
        raise SystemExit
    with (
        tempfile.TemporaryDirectory() as scratch,
        server(Path(scratch) / "log", "--latency", "0.02") as port_,
    ):
        if options.peers:
            peers(
                Path(scratch), options.environments or Path(scratch) / "environments", port_,
                options.chats, options.rounds,
            )  # fmt: skip
            raise SystemExit
        cold_and_warm(Path(scratch), port_, options.chats, options.rounds)
    module = "assets_tests.benchmarks.bench_collector_runner"
    subprocess.run([sys.executable, "-m", module, "--memory", "--records", str(options.records)], check=True)
