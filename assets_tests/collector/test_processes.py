"""Whole runs as a user starts them: real processes, a real server, killed, disturbed, doubled and
interrupted."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipeline.settings.places import PROJECT

CONCURRENCY = 8
PATIENCE = 120.0
VOLATILE = {"run_id", "time_taken", "written_at", "started_at", "mean_latency_ms"}


@contextmanager
def server(log: Path, *options: str) -> Iterator[int]:
    """The loopback server; its port."""
    command = [sys.executable, "-m", "assets_tests.collector.loopback", str(log), *options]
    process = subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield int(process.stdout.readline())
    finally:
        process.kill()
        process.wait()


class Place:
    """A data folder, a configuration and the command on them."""

    def __init__(self, folder: Path, port: int, rows: int, *, cache: bool, **run: Any) -> None:
        self.data, self.configs = folder / "data", folder / "configs"
        self.configs.mkdir(parents=True)
        lines = (json.dumps({"a": number, "answer": number + 1}) for number in range(1, rows + 1))
        (self.configs / "sums.jsonl").write_text("\n".join(lines), encoding="utf-8")
        declared = {
            "licence": "Apache-2.0", "source": "a test", "splits": {"test": {"files": ["sums.jsonl"]}},
            "prompt": "What is {{ a }} + 1?", "target": "{{ answer }}", "evaluator": {"name": "number"},
        }  # fmt: skip
        model = {
            "name": "adder", "base_url": f"http://127.0.0.1:{port}/v1", "timeout": 2,
            "pricing": {"input": 1.0, "output": 2.0}, "max_tokens": 16,
        }  # fmt: skip
        settings = {
            "models": [model], "datasets": [{"dataset_id": "sums"}],
            "run": {"concurrency": CONCURRENCY, "backoff_seconds": 0.05, **run}, "cache": {"enabled": cache},
        }  # fmt: skip
        for name, document in (
            ("datasets.yaml", {"datasets": {"sums": declared}}),
            ("collector.yaml", settings),
        ):
            (self.configs / name).write_text(yaml.safe_dump(document), encoding="utf-8")

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        environment = {
            **os.environ,
            "PIPELINE_DATA_DIR": str(self.data),
            "PIPELINE_CONFIG_DIR": str(self.configs),
        }
        command = [sys.executable, "-m", "pipeline", "collect", *arguments]
        return subprocess.Popen(
            command, cwd=PROJECT, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )

    def run(self, *arguments: str, code: int = 0) -> str:
        process = self.start(*arguments)
        out, errors = process.communicate(timeout=PATIENCE)
        assert process.returncode == code, errors
        return out if code == 0 else errors

    def results(self) -> list[dict[str, Any]]:
        return [
            json.loads(path.read_text(encoding="utf-8"))
            for path in sorted(self.data.rglob("bench/**/*.json"))
        ]


def asked(log: Path) -> Counter[str]:
    """Requests by prompt."""
    if not log.exists():
        return Counter()
    return Counter(json.loads(line)["prompt"] for line in log.read_text(encoding="utf-8").splitlines())


def wait_for(log: Path, count: int, process: subprocess.Popen[str]) -> None:
    end = time.monotonic() + PATIENCE
    while sum(asked(log).values()) < count and process.poll() is None and time.monotonic() < end:
        time.sleep(0.01)
    assert sum(asked(log).values()) >= count


def settled(result: dict[str, Any]) -> dict[str, Any]:
    """A result without what differs from run to run: times and latencies."""
    records = [
        {name: value for name, value in record.items() if name not in {"latency_ms", "attempts"}}
        for record in result["records"]
    ]
    return {**{name: value for name, value in result.items() if name not in VOLATILE}, "records": records}


def test_killed_at_half_it_goes_on_repeats_no_more_than_was_under_way_and_ends_the_same(
    tmp_path: Path,
) -> None:
    log, rows = tmp_path / "disturbed.log", 160
    with server(log, "--latency", "0.02") as port:
        disturbed = Place(tmp_path / "disturbed", port, rows, cache=False)
        process = disturbed.start("run", "--quiet")
        wait_for(log, rows // 2, process)
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=PATIENCE)
        assert disturbed.results() == []
        disturbed.run("run", "--quiet")
        repeated = sum(asked(log).values()) - rows
        assert len(asked(log)) == rows
        assert 0 <= repeated <= CONCURRENCY
        undisturbed = Place(tmp_path / "undisturbed", port, rows, cache=False)
        undisturbed.run("run", "--quiet")
    (one,), (other,) = disturbed.results(), undisturbed.results()
    assert settled(one) == settled(other)
    assert one["performance"] == pytest.approx(0.8)


def test_limits_hangs_and_refusals_are_survived_with_one_attempt_per_refusal(tmp_path: Path) -> None:
    log, rows = tmp_path / "server.log", 300
    with server(log, "--limited", "0.05", "--hanging", "0.01", "--refused", "0.01") as port:
        place = Place(tmp_path / "place", port, rows, cache=True)
        errors = place.run("run", "--quiet", code=1)
        lines = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
        (result,) = place.results()
        counts = result["counts"]
        refused = [line for line in lines if line["fault"] == "refused"]
        limited = [line for line in lines if line["fault"] == "limited"]
        hanging = [line for line in lines if line["fault"] == "hanging"]
        assert refused and limited and hanging, "the shares reach some prompts"
        assert all(line["attempt"] == 1 for line in refused)
        assert counts["failed_permanent"] == len(refused)
        assert counts["failed_infrastructure"] == 0
        assert counts["scored"] == rows - len(refused)
        assert f"{len(refused)} records failed; the same command asks them again" in errors
        first = {line["prompt"]: line["at"] for line in limited if line["attempt"] == 1}
        assert all(line["at"] - first[line["prompt"]] >= 0.95 for line in limited if line["attempt"] == 2)
        place.run("run", "--quiet", code=1)
        again = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()][len(lines) :]
        assert {line["fault"] for line in again} == {"refused"}, "only what failed is asked again"


def test_two_runs_at_once_send_nothing_twice(tmp_path: Path) -> None:
    log, rows = tmp_path / "server.log", 120
    with server(log, "--latency", "0.02") as port:
        place = Place(tmp_path / "place", port, rows, cache=False)
        both = [place.start("run", "--quiet") for _ in range(2)]
        for process in both:
            _, errors = process.communicate(timeout=PATIENCE)
            assert process.returncode == 0, errors
    assert set(asked(log).values()) == {1}
    assert len(asked(log)) == rows
    (result,) = place.results()
    assert result["counts"]["scored"] == rows


def test_an_interrupt_finishes_what_is_under_way_and_says_how_to_go_on(tmp_path: Path) -> None:
    log, rows = tmp_path / "server.log", 200
    with server(log, "--latency", "0.05") as port:
        place = Place(tmp_path / "place", port, rows, cache=False)
        process = place.start("run")
        wait_for(log, 40, process)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=PATIENCE)
        assert process.returncode == 1
        assert "press Ctrl-C again to stop at once" in errors
        assert "stopped as asked; the same command continues" in errors
        sent = sum(asked(log).values())
        assert sent < rows
        place.run("run", "--quiet")
        assert sum(asked(log).values()) == rows, "nothing that was under way was lost"


def test_plan_demo_cache_and_cost_work_together(tmp_path: Path) -> None:
    log, rows = tmp_path / "server.log", 40
    with server(log) as port:
        place = Place(tmp_path / "place", port, rows, cache=True)
        (planned,) = json.loads(place.run("plan", "--json"))
        assert (planned["records"], planned["to_send"]) == (rows, rows)
        assert planned["cost"] > 0
        assert sum(asked(log).values()) == 0, "a plan sends nothing"
        (demo,) = json.loads(place.run("run", "--demo", "--demo-limit", "5", "--quiet", "--json"))
        assert demo["status"] == "complete"
        place.run("run", "--quiet")
        assert sum(asked(log).values()) == rows, "the full run goes on from the demo"
        (again,) = json.loads(place.run("plan", "--overwrite", "--json"))
        assert (again["done"], again["cached"], again["to_send"]) == (0, rows, 0)
        place.run("run", "--force", "--quiet")
        assert sum(asked(log).values()) == rows, "everything came from the cache"
        by_run = json.loads(place.run("cost", "--json"))
        bought, replayed = sorted(by_run, key=lambda row: row["run_id"])
        assert (bought["replayed"], replayed["billed"]) == (0.0, 0.0)
        assert replayed["replayed"] == replayed["avoided"] == pytest.approx(bought["billed"])
        bounded = place.run("run", "--force", "--max-cost", "0", "--quiet")
        assert "complete" in bounded, "cached answers are free"
        shown = json.loads(place.run("info", "--json"))
        assert shown["datasets"][0]["rows"] == rows


def test_a_second_interrupt_stops_at_once_and_loses_nothing_kept(tmp_path: Path) -> None:
    log, rows = tmp_path / "server.log", 30
    with server(log, "--latency", "0.02") as quick:
        place = Place(tmp_path / "place", quick, rows, cache=False)
        place.run("run", "--demo", "--demo-limit", "10", "--quiet")
    slow_log = tmp_path / "slow.log"
    with server(slow_log, "--latency", "60") as slow:
        configuration = place.configs / "collector.yaml"
        settings = yaml.safe_load(configuration.read_text(encoding="utf-8"))
        settings["models"][0] |= {"base_url": f"http://127.0.0.1:{slow}/v1", "timeout": 90}
        configuration.write_text(yaml.safe_dump(settings), encoding="utf-8")
        process = place.start("run", "--quiet")
        wait_for(slow_log, CONCURRENCY, process)
        assert process.stderr is not None
        process.send_signal(signal.SIGINT)
        while "press Ctrl-C again" not in process.stderr.readline():
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        errors = process.communicate(timeout=PATIENCE)[1]
    assert process.returncode == 1
    assert "stopped at once; what was on disk is kept" in errors
    assert [len(result["records"]) for result in place.results()] == [10], "the finished demo stands"
