"""What tests of whole commands share: the stub on a thread, a changeable configuration, the command."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

from pipeline.cli.collect import collect
from pipeline.collector.stub.server import Stub, StubOptions, serving


@contextmanager
def stubbed(**options: Any) -> Iterator[tuple[Stub, str]]:
    """The stub on a free port, in a thread of its own; it and its base URL."""
    started, found = threading.Event(), []
    loop = asyncio.new_event_loop()
    stop = asyncio.Event()

    async def serve() -> None:
        given = {"port": 0, "latency_ms": 0, "accuracy": 1, **options}
        async with serving(StubOptions(**given)) as both:
            found.append(both)
            started.set()
            await stop.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    try:
        assert started.wait(60)
        yield found[0]
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()
        loop.close()


class Commands:
    """A folder with a configuration that a test may change, and the command on it."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, url: str, **dataset: Any) -> None:
        self.data, self.configs = folder / "data", folder / "configs"
        self.configs.mkdir(parents=True)
        monkeypatch.setenv("PIPELINE_DATA_DIR", str(self.data))
        monkeypatch.setenv("PIPELINE_CONFIG_DIR", str(self.configs))
        self.rows([{"a": number, "answer": number + 1} for number in range(1, 7)])
        self.declaration: dict[str, Any] = {
            "licence": "Apache-2.0", "source": "a test", "splits": {"test": {"files": ["rows.jsonl"]}},
            "prompt": "What is {{ a }} + 1?", "target": "{{ answer }}", "evaluator": {"name": "number"},
            **dataset,
        }  # fmt: skip
        self.settings: dict[str, Any] = {
            "models": [{"name": "adder", "base_url": url, "timeout": 20, "max_tokens": 16}],
            "datasets": [{"dataset_id": "rows"}],
            "run": {"concurrency": 4, "backoff_seconds": 0.01, "retries": 1},
            "cache": {"enabled": True},
        }

    def rows(self, rows: list[dict[str, Any]]) -> None:
        """Writes the dataset's file."""
        (self.configs / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")

    def call(self, *arguments: str) -> Result:
        """``pipeline collect`` with these arguments on the configuration as it stands."""
        for name, document in (
            ("datasets.yaml", {"datasets": {"rows": self.declaration}}),
            ("collector.yaml", self.settings),
        ):
            (self.configs / name).write_text(yaml.safe_dump(document), encoding="utf-8")
        return CliRunner().invoke(collect, list(arguments))

    def run(self, *arguments: str) -> dict[str, Any]:
        """A run that has to be complete; its newest result document."""
        done = self.call("run", "--quiet", "--json", *arguments)
        assert done.exit_code == 0, repr(done.exception)
        document: dict[str, Any] = json.loads(
            Path(json.loads(done.stdout)[0]["result"]).read_text(encoding="utf-8")
        )
        return document
